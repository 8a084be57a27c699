"""Facts reach every observer that hears their type; no observer can disturb a call, and a fact
that no observer hears is never constructed.
"""

from __future__ import annotations

import logging

import msgspec
import pytest

from sidecar.domain.call import CHAT
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import (
    AffinityOperation,
    AttemptEnded,
    CallDecided,
    CallEnded,
    CallTranslated,
    CandidateFailed,
    CandidateServed,
    DownstreamClosed,
    Event,
    FailedOver,
    Listeners,
    PinRead,
    RequestRefused,
    ResponseBrokeOff,
    RouterAsked,
    UsageRefused,
)
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Timing
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    ConnectionEnd,
    FailureClass,
    PinOperation,
    PinOutcome,
    RouterOutcome,
)
from tests.support.values import a_call

CALL = a_call()
CANDIDATE = Candidate("p", "m", "m", "m", frozenset())
DECISION = Decision(Source.REQUESTED, (CANDIDATE,))
ONE_OF_EACH: list[Event] = [
    CallDecided(CALL, DECISION, 0.1),
    AttemptEnded(CALL, Attempt(CANDIDATE, AttemptOutcome.OK, 200, 0.1, 0.2)),
    FailedOver(CALL, CANDIDATE, CANDIDATE, FailureClass.BUSY),
    CandidateFailed(CALL, CANDIDATE, FailureClass.BUSY, FailureReport("p:443", "refused")),
    ResponseBrokeOff(CALL, CANDIDATE),
    UsageRefused(CANDIDATE),
    CandidateServed(CANDIDATE, 1000.0),
    CallEnded(CALL, DECISION, Outcome(CallOutcome.OK, 200, Timing(total_s=1.0))),
    CallTranslated(CALL, CANDIDATE, "chat>messages"),
    RouterAsked(RouterOutcome.MATCHED, 0.1),
    PinRead(CALL, 1000.0, 0.1, True),
    AffinityOperation(PinOperation.GET, PinOutcome.HIT, 0.1),
    RequestRefused(CHAT, 400, "invalid_body"),
    DownstreamClosed(ConnectionEnd.IDLE),
]


class Listener:
    """Hears the given types and writes the events down."""

    def __init__(self, *kinds: type[Event]) -> None:
        self.kinds = kinds
        self.heard: list[Event] = []

    def listeners(self) -> Listeners:
        return dict.fromkeys(self.kinds, self.heard.append)


class Broken:
    """Fails at everything it hears."""

    def listeners(self) -> Listeners:
        return dict.fromkeys(map(type, ONE_OF_EACH), self._fail)

    def _fail(self, event: Event) -> None:
        raise RuntimeError("broken observer")


def test_the_list_of_events_above_is_complete():
    """A fact that is added later is tested here too."""
    assert set(Event.__subclasses__()) == {type(event) for event in ONE_OF_EACH}


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_each_type_reaches_those_who_hear_it_and_nobody_else(event):
    """By its exact type."""
    kind = type(event)
    others = [type(each) for each in ONE_OF_EACH if type(each) is not kind]
    one, another, unheard = Listener(kind), Listener(kind), Listener(*others)
    observers = Observers([one, another, unheard])
    observers.emit(event)

    assert kind in observers.heard
    assert ([event], [event], []) == (one.heard, another.heard, unheard.heard)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_is_frozen(event):
    """Observers share one value; none may change it for the next."""
    with pytest.raises(AttributeError):
        setattr(event, msgspec.structs.fields(event)[0].name, None)


def test_one_observer_hears_events_in_the_order_in_which_they_happen():
    """Whatever their types."""
    listener = Listener(*map(type, ONE_OF_EACH))
    observers = Observers([listener])
    for event in ONE_OF_EACH:
        observers.emit(event)

    assert ONE_OF_EACH == listener.heard


def test_an_observer_that_raises_is_logged_and_changes_nothing(caplog):
    """The other observers hear all events, and the call goes on."""
    before, after = (Listener(*map(type, ONE_OF_EACH)) for _ in range(2))
    observers = Observers([before, Broken(), after])
    with caplog.at_level(logging.ERROR):
        for event in ONE_OF_EACH:
            observers.emit(event)

    assert ONE_OF_EACH == before.heard == after.heard
    assert len(ONE_OF_EACH) == caplog.text.count("observer failed")


def test_without_observers_nothing_is_heard_and_emitting_does_nothing():
    """Commands that start no listener run like this."""
    observers = Observers()
    for event in ONE_OF_EACH:
        observers.emit(event)

    assert frozenset() == observers.heard

"""Telling observers: all of them, only what they want to hear, and whatever they do."""

import logging

from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import BaseObserver
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, AttemptOutcome, CallOutcome, Outcome, Timing
from tests.support.values import a_call

CALL = a_call()
DECISION = Decision(Source.REQUESTED, ())
ATTEMPT = Attempt(Candidate("p", "m", "m", "m", frozenset()), AttemptOutcome.OK, 200, 0.1, 0.2)
OUTCOME = Outcome(CallOutcome.OK, 200, Timing(total_s=1.0))
ALL = ["admitted", "decided", "attempt", "failed over", "router", "affinity", "ended", "refused"]


class Listener(BaseObserver):
    """Hears everything and writes it down."""

    def __init__(self):
        self.heard = []

    def call_admitted(self, call):
        self.heard.append("admitted")

    def call_decided(self, call, decision, routing_s):
        self.heard.append("decided")

    def attempt_ended(self, call, attempt):
        self.heard.append("attempt")

    def failed_over(self, call, failed, following, reason):
        self.heard.append("failed over")

    def router_asked(self, outcome, seconds):
        self.heard.append("router")

    def affinity_operation(self, operation, outcome, seconds):
        self.heard.append("affinity")

    def call_ended(self, call, decision, outcome):
        self.heard.append("ended")

    def request_refused(self, dialect, status, code):
        self.heard.append("refused")


class Broken(Listener):
    """Fails at everything."""

    def __getattribute__(self, name):
        if name == "heard":
            raise RuntimeError("broken observer")
        return super().__getattribute__(name)


def _tell(observers: Observers) -> None:
    observers.call_admitted(CALL)
    observers.call_decided(CALL, DECISION, 0.1)
    observers.attempt_ended(CALL, ATTEMPT)
    observers.failed_over(CALL, ATTEMPT.candidate, ATTEMPT.candidate, "capacity")
    observers.router_asked("matched", 0.1)
    observers.affinity_operation("get", "hit", 0.1)
    observers.call_ended(CALL, DECISION, OUTCOME)
    observers.request_refused("chat", 400, "invalid_body")


def test_every_observer_hears_every_fact():
    """In the order in which they happen."""
    one, other = Listener(), Listener()
    _tell(Observers([one, other]))

    assert [ALL, ALL] == [one.heard, other.heard]


def test_a_broken_observer_changes_nothing_for_the_others(caplog):
    """It is logged, once a fact, and the call goes on."""
    listener = Listener()
    with caplog.at_level(logging.ERROR):
        _tell(Observers([Broken(), listener]))

    assert ALL == listener.heard
    assert len(ALL) == caplog.text.count("observer failed")


def test_what_an_observer_left_out_it_is_not_told():
    """Facts that nobody hears are not even made."""
    assert [True, False, False] == [
        Observers([Listener()]).hear_attempts,
        Observers([BaseObserver()]).hear_attempts,
        Observers().hear_attempts,
    ]
    _tell(Observers([BaseObserver()]))


def test_a_deaf_observer_can_be_told():
    """Whoever calls it directly loses nothing."""
    deaf = BaseObserver()
    deaf.call_admitted(CALL)
    deaf.call_decided(CALL, DECISION, 0.1)
    deaf.attempt_ended(CALL, ATTEMPT)
    deaf.call_ended(CALL, DECISION, OUTCOME)
    deaf.request_refused("chat", 400, "x")

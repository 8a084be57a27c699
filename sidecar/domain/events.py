"""The facts that rooms report to observers: one frozen value per fact.

A room reports a fact in one line at the place where it happens:

    if CallEnded in observers.heard:
        observers.emit(CallEnded(call, decision, outcome))

``heard`` is a set that `domain.observers` makes once, so a fact that no observer wants is never
constructed. A fact that carries nothing of a call is made once, as a constant, and emitted without
the question. This module is not compiled: mypyc would drop what makes these classes frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Candidate, Decision
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.outcome import Attempt, Outcome
from sidecar.domain.translation import LostField
from sidecar.domain.vocabulary import (
    CallOutcome,
    ConnectionEnd,
    FailureClass,
    PinOperation,
    PinOutcome,
    RouterOutcome,
)


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all facts. Never constructed itself."""


class CallDecided(Event, frozen=True, gc=False):
    """A model was chosen for a call."""

    call: Call
    decision: Decision
    routing_s: float
    """From admission to the finished plan, in seconds; waiting for Redis and the router model
    included.
    """


class AttemptEnded(Event, frozen=True, gc=False):
    """One attempt at a provider is over."""

    call: Call
    attempt: Attempt


class FailedOver(Event, frozen=True, gc=False):
    """A call goes on from a candidate that did not serve it to the next one."""

    call: Call
    failed: Candidate
    following: Candidate
    reason: FailureClass


class CandidateFailed(Event, frozen=True, gc=False):
    """An attempt failed for a reason that is held against its candidate. Emitted beside
    `AttemptEnded`.
    """

    call: Call
    candidate: Candidate
    reason: FailureClass
    report: FailureReport


class ResponseBrokeOff(Event, frozen=True, gc=False):
    """A response ended before it was complete, after its beginning had gone to the app: no other
    candidate could serve the call. Emitted beside `AttemptEnded`.
    """

    call: Call
    candidate: Candidate


class CandidateServed(Event, frozen=True, gc=False):
    """A candidate served a call while failures of any candidate are remembered. Not emitted where
    nothing has failed lately.
    """

    candidate: Candidate
    sent_s: float
    """When the attempt began, on the monotonic clock."""
    instead_of: tuple[str, ...] = ()
    """The entries that had failed this very call before."""


class UsageRefused(Event, frozen=True, gc=False):
    """A candidate refused a stream since the sidecar had asked for its usage: it is not asked
    again.
    """

    candidate: Candidate


class CallEnded(Event, frozen=True, gc=False):
    """A call is over. Emitted exactly once for every call that reached the proxy."""

    call: Call
    decision: Decision | None
    """None where the call ended before a model was chosen."""
    outcome: Outcome
    config_hash: str = ""
    """Of the config by which the call was served."""


class CallTranslated(Event, frozen=True, gc=False):
    """A call that the app was responded to by translation is over. Emitted before `CallEnded`."""

    call: Call
    candidate: Candidate
    """Whose response the app got."""
    way: str
    """From the call's dialect to the one in which the candidate was asked: ``chat>messages``."""
    lost: tuple[LostField, ...] = ()
    """What had no place in the other API, of the request and of the response."""


class RouterAsked(Event, frozen=True, gc=False):
    """A call needed the router model."""

    outcome: RouterOutcome
    waited_s: float
    """How long the call waited for the router model, in seconds; 0 where it did not wait."""
    cause: str = ""
    """Why the model did not say anything, as a phrase; empty where it did, or was not asked."""
    trace_id: str = ""
    """Of the call, where it is sampled."""
    call: Call | None = None
    """The call; None where an observer need not know it."""
    began_s: float = 0.0
    """When the call turned to the router model, on the monotonic clock."""


class PinRead(Event, frozen=True, gc=False):
    """A call has waited for the store to read its session's pin."""

    call: Call
    began_s: float
    """Monotonic clock."""
    waited_s: float
    is_found: bool


class AffinityOperation(Event, frozen=True, gc=False):
    """A pin was read or written, or passed over."""

    operation: PinOperation
    outcome: PinOutcome
    waited_s: float = 0.0
    """How long the operation took, in seconds; 0 where no call waited for it."""
    trace_id: str = ""
    """Of the call that waited, where it is sampled."""


class RequestRefused(Event, frozen=True, gc=False):
    """A request was refused with an error before it became a call."""

    dialect: DialectName
    status: int
    code: str
    """The ``code`` of the error's class in `domain.errors`."""
    request_id: str = ""
    method: str = ""
    """As it was sent, as is ``path``."""
    path: str = ""
    """Without its query, which may hold a credential."""

    @property
    def result(self) -> CallOutcome:
        """How it counts among calls: as the app's own fault, or as the sidecar's."""
        is_apps = 400 <= self.status < 500
        return CallOutcome.CLIENT_ERROR if is_apps else CallOutcome.SIDECAR_ERROR


class DownstreamClosed(Event, frozen=True, gc=False):
    """The sidecar has closed a connection of an app's, of its own accord."""

    reason: ConnectionEnd


Listeners = Mapping[type[Event], Callable[[Any], None]]
"""For each type of event that an observer hears: the function to call with such an event."""


class Observer(Protocol):
    """Listens to facts: metrics, spans, the access log."""

    def listeners(self) -> Listeners:
        """Return what this observer hears. Read once; the functions are called in the event loop
        and must be quick.
        """
        ...

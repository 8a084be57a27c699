"""The walk over a plan's candidates until one of them answers."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from sidecar.domain.call import Call, Reply
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.errors import ConnectFailed, SidecarError, UpstreamMalformed, UpstreamReset, UpstreamTimeout
from sidecar.domain.events import Observers
from sidecar.domain.outcome import Attempt, AttemptOutcome, CallOutcome
from sidecar.upstream.cluster import Cluster

_ERROR_OUTCOMES: Final[tuple[tuple[type[BaseException], AttemptOutcome], ...]] = (
    (ConnectFailed, AttemptOutcome.CONNECT_FAILED),
    (UpstreamReset, AttemptOutcome.CONNECT_FAILED),
    (UpstreamTimeout, AttemptOutcome.TIMEOUT),
    (UpstreamMalformed, AttemptOutcome.MALFORMED),
    (asyncio.CancelledError, AttemptOutcome.CANCELLED),
)

_OUTCOMES_OF_RESULT: Final = {
    CallOutcome.INCOMPLETE: AttemptOutcome.CUT,
    CallOutcome.CANCELLED: AttemptOutcome.CANCELLED,
}


class Dispatched(msgspec.Struct, frozen=True):
    """A reply whose head has arrived, and who gave it. Whoever holds it closes the reply."""

    reply: Reply
    candidate: Candidate
    attempts: int
    sent_s: float
    """Monotonic clock: when the attempt that answered was begun."""
    head_s: float
    """Monotonic clock: when its head had arrived."""


class Dispatcher:
    """Sends a call to its plan's candidates."""

    def __init__(self, cluster: Cluster, clock: Clock, observers: Observers) -> None:
        self._links = cluster.links
        self._monotonic_s = clock.monotonic_s
        self._observers = observers

    async def dispatch(self, call: Call, plan: Plan) -> Dispatched:
        """Send ``call`` to the plan's first candidate and wait for the head of its answer.

        Raises: UpstreamError subclasses.
        """
        candidate = plan.candidates[0]
        link = self._links[candidate.provider]
        head, pieces = link.request(call, candidate)
        sent_s = self._monotonic_s()
        left_s = None if call.patience_s is None else call.admitted_s + call.patience_s - sent_s
        try:
            reply = await link.pool.send(head, pieces, link.timeouts(call, left_s=left_s), method=call.method)
        except (SidecarError, asyncio.CancelledError) as error:
            self._report(call, candidate, _outcome_of_error(error), self._monotonic_s() - sent_s)
            raise
        return Dispatched(reply, candidate, 1, sent_s, self._monotonic_s())

    def observe(self, call: Call, dispatched: Dispatched, result: CallOutcome, now_s: float) -> None:
        """Report the attempt that answered, once its answer has ended with ``result``."""
        if not self._observers.hear_attempts:
            return
        status = dispatched.reply.status
        outcome = _OUTCOMES_OF_RESULT.get(result) or outcome_of_status(status)
        first_byte_s = dispatched.head_s - dispatched.sent_s
        total_s = now_s - dispatched.sent_s
        self._observers.attempt_ended(call, Attempt(dispatched.candidate, outcome, status, first_byte_s, total_s))

    def _report(self, call: Call, candidate: Candidate, outcome: AttemptOutcome, total_s: float) -> None:
        self._observers.attempt_ended(call, Attempt(candidate, outcome, None, None, total_s))


def _outcome_of_error(error: BaseException) -> AttemptOutcome:
    for kind, outcome in _ERROR_OUTCOMES:
        if isinstance(error, kind):
            return outcome
    return AttemptOutcome.CUT


def outcome_of_status(status: int) -> AttemptOutcome:
    """The attempt's outcome as a provider's status tells it."""
    if status < 400:
        return AttemptOutcome.OK
    if status == 429:
        return AttemptOutcome.RATE_LIMITED
    return AttemptOutcome.SERVER_ERROR if status >= 500 else AttemptOutcome.CLIENT_ERROR

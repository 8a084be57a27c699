"""The walk over a plan's candidates until one of them serves the call.

Source of the rules: contract.md, "What a failure means" and the last rows of "Errors".
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Final

from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.errors import (
    ConnectFailed,
    SidecarError,
    UpstreamError,
    UpstreamMalformed,
    UpstreamReset,
    UpstreamTimeout,
)
from sidecar.domain.events import AttemptEnded, FailedOver
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt
from sidecar.domain.ports import Reply
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.client import ProviderRegistry
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.credential_reload import CredentialReloader
from sidecar.upstream.dispatched import Dispatched, Failed
from sidecar.upstream.failure import (
    Failure,
    classify_answer,
    classify_error,
    is_curable,
)
from sidecar.upstream.latency import FirstByteAverages

_log: Final = logging.getLogger("sidecar.upstream")

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


class _Walk:
    """What one call's attempts have come to so far."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.attempts = 0
        self.failed: list[Failed] = []
        self.answer: Dispatched | None = None
        """The error answer that the app gets if no candidate serves."""
        self.error: UpstreamError | None = None
        self.is_cured_by_retry = False
        """Whether `answer` or `error`, whichever came first, may be cured by a retry: no later one
        may mask it.
        """

    def keep(self, dispatched: Dispatched) -> None:
        """An error answer: the first one that a retry could cure goes before all others."""
        if self.is_cured_by_retry:
            dispatched.reply.abort()
            return
        self.drop()
        self.answer = dispatched
        self.is_cured_by_retry = is_curable(dispatched.reply.status)

    def note(self, error: UpstreamError) -> None:
        """No answer at all."""
        if not self.is_cured_by_retry:
            self.drop()
            self.error = error
            self.is_cured_by_retry = True

    def drop(self) -> None:
        """Something better has come."""
        if self.answer is not None:
            self.answer.reply.abort()
        self.answer = self.error = None

    def end(self) -> Dispatched:
        """What the app gets. Raises: UpstreamError where nobody answered."""
        if self.answer is not None:
            return dataclasses.replace(
                self.answer, attempts=self.attempts, failed=tuple(self.failed)
            )
        assert self.error is not None  # each attempt ends in one or the other
        self.error.attempts = self.attempts
        raise self.error


class Dispatcher:
    """Sends a call to its plan's candidates, and remembers how they did."""

    def __init__(self, cluster: ProviderRegistry, clock: Clock, observers: Observers) -> None:
        self.cooling = Cooling()
        self.averages = FirstByteAverages()
        self._links = cluster.links
        self._clock = clock
        self._monotonic_s = clock.monotonic_s
        self._observers = observers
        self._renewal = CredentialReloader(cluster.links, lambda: self.cooling, clock.monotonic_s)

    async def aclose(self) -> None:
        """Give up what runs beside calls."""
        await self._renewal.aclose()

    async def dispatch(self, call: Call, plan: Plan) -> Dispatched:
        """Send ``call`` to the plan's candidates, one after the other, until one answers with less
        than 400.

        Returns: that answer, or where none serves the error answer that tells the app most.
        Raises: UpstreamError subclasses, where nobody answered.
        """
        began_s = self._monotonic_s()
        meant = plan.candidates[0]
        if self.cooling.holds_any:
            plan = self.cooling.order(_in_one_name(plan, meant), began_s)
        candidate = plan.candidates[0]
        try:
            reply = await self._send(call, candidate, began_s)
        except UpstreamError as error:
            walk = _Walk(call)
            self._fail(walk, candidate, error)
        else:
            head_s = self._monotonic_s()
            if reply.status < 400:
                self.cooling.served(candidate, began_s)
                return Dispatched(reply, candidate, 1, began_s, head_s)
            walk = _Walk(call)
            await self._refuse(
                walk,
                Dispatched(reply, candidate, 1, began_s, head_s),
                is_last=len(plan.candidates) < 2,
            )
        return await self._walk_on(walk, _in_one_name(plan, meant))

    def is_cooling(self, candidate: Candidate) -> bool:
        """Whether a candidate cools, or is ejected, now."""
        return self.cooling.due_s(candidate, self._monotonic_s()) is not None

    def observe(
        self,
        call: Call,
        dispatched: Dispatched,
        result: CallOutcome,
        now_s: float,
        first_piece_s: float | None = None,
    ) -> None:
        """The answer that was relayed has ended with ``result``; the first bytes of its body came
        at ``first_piece_s``: a server that sends its head before it thinks is no faster for it.
        """
        is_heard = AttemptEnded in self._observers.heard and not dispatched.is_reported
        if not is_heard and not call.facts.wants_stream:
            return
        first_byte_s = (
            dispatched.head_s if first_piece_s is None else first_piece_s
        ) - dispatched.sent_s
        status = dispatched.reply.status
        if call.facts.wants_stream and status < 400 and result is not CallOutcome.CANCELLED:
            self.averages.observe(dispatched.candidate, first_byte_s, now_s)
        if not is_heard:
            return
        outcome = _OUTCOMES_OF_RESULT.get(result) or outcome_of_status(status)
        total_s = now_s - dispatched.sent_s
        attempt = Attempt(dispatched.candidate, outcome, status, first_byte_s, total_s)
        self._observers.emit(AttemptEnded(call, attempt))

    async def _send(self, call: Call, candidate: Candidate, now_s: float) -> Reply:
        link = self._links[candidate.provider]
        head, pieces = link.request(call, candidate)
        left_s = (
            None
            if call.client_timeout_s is None
            else call.admitted_s + call.client_timeout_s - now_s
        )
        try:
            reply = await link.pool.send(
                head, pieces, link.timeouts(call, left_s=left_s), method=call.method
            )
            if call.facts.wants_stream and reply.status < 400:
                await (
                    reply.begin()
                )  # until then nothing has gone to the app, and another candidate may serve
        except (SidecarError, asyncio.CancelledError) as error:
            self._report(call, candidate, _outcome_of_error(error), self._monotonic_s() - now_s)
            raise
        return reply

    async def _walk_on(self, walk: _Walk, plan: Plan) -> Dispatched:
        """Try the rest of the plan after its first candidate did not serve."""
        call = walk.call
        left = list(plan.candidates[1:])
        try:
            while left and walk.attempts < plan.max_attempts and self._may_go_on(walk):
                candidate, before = left.pop(0), walk.failed[-1]
                began_s = self._monotonic_s()
                if FailedOver in self._observers.heard:
                    reason = before.failure.failure_class
                    self._observers.emit(FailedOver(call, before.candidate, candidate, reason))
                try:
                    reply = await self._send(call, candidate, began_s)
                except UpstreamError as error:
                    self._fail(walk, candidate, error)
                    continue
                dispatched = Dispatched(
                    reply, candidate, walk.attempts + 1, began_s, self._monotonic_s()
                )
                if reply.status < 400:
                    self.cooling.served(candidate, began_s)
                    walk.drop()
                    return dataclasses.replace(dispatched, failed=tuple(walk.failed))
                await self._refuse(
                    walk, dispatched, is_last=not left or walk.attempts + 1 >= plan.max_attempts
                )
        except BaseException:
            walk.drop()
            raise
        return walk.end()

    def _may_go_on(self, walk: _Walk) -> bool:
        call = walk.call
        if (
            not walk.failed[-1].failure.may_try_next
            or call.endpoint.operation is Operation.PASSTHROUGH
        ):
            return False
        return (
            call.client_timeout_s is None
            or self._monotonic_s() < call.admitted_s + call.client_timeout_s
        )

    def _fail(self, walk: _Walk, candidate: Candidate, error: UpstreamError) -> None:
        """An attempt that brought no answer."""
        provider = self._links[candidate.provider].provider
        failure = classify_error(
            error, failover_on_response_timeout=provider.failover_on_response_timeout
        )
        self._hold(candidate, failure)
        walk.attempts += 1
        walk.failed.append(Failed(candidate, failure))
        walk.note(error)

    async def _refuse(self, walk: _Walk, dispatched: Dispatched, *, is_last: bool) -> None:
        """An attempt that brought an error: learn what it means, and keep it for the app."""
        held, candidate = BufferedReply(dispatched.reply), dispatched.candidate
        held.hold_nowait()
        if not is_last:
            await held.hold()
        failure = classify_answer(
            held.status,
            held.beginning,
            held.headers,
            self._clock.unix_s(),
            passthrough_auth=candidate.passthrough_auth,
        )
        if failure.failure_class is not FailureClass.OUR_CREDENTIAL:
            self._hold(candidate, failure)
        elif not self._renewal.is_outdated(candidate.provider, dispatched.sent_s):
            self._hold(candidate, failure)
            self._renewal.refused(candidate.provider)
        walk.attempts += 1
        walk.failed.append(Failed(candidate, failure))
        self._report(
            walk.call,
            candidate,
            outcome_of_status(held.status),
            self._monotonic_s() - dispatched.sent_s,
            dispatched,
        )
        walk.keep(dataclasses.replace(dispatched, reply=held, is_reported=True))

    def _hold(self, candidate: Candidate, failure: Failure) -> None:
        now_s = self._monotonic_s()
        if failure.needs_alert:
            place = (
                candidate.provider,
                candidate.metric_model,
            )  # a wildcard's models are the clients' to invent
            if place not in self.cooling.ejected(now_s):
                _log.error(
                    "provider %s, %s: %s; it goes last for minutes",
                    *place,
                    failure.failure_class.value,
                )
        self.cooling.observe(candidate, failure, now_s)
        if failure.may_try_next:
            # A refusal in a millisecond must not look fast.
            self.averages.observe_failure(candidate, now_s)

    def _report(
        self,
        call: Call,
        candidate: Candidate,
        outcome: AttemptOutcome,
        total_s: float,
        dispatched: Dispatched | None = None,
    ) -> None:
        if AttemptEnded not in self._observers.heard:
            return
        status = first_byte_s = None
        if dispatched is not None:
            status, first_byte_s = dispatched.reply.status, dispatched.head_s - dispatched.sent_s
        attempt = Attempt(candidate, outcome, status, first_byte_s, total_s)
        self._observers.emit(AttemptEnded(call, attempt))


def _outcome_of_error(error: BaseException) -> AttemptOutcome:
    for kind, outcome in _ERROR_OUTCOMES:
        if isinstance(error, kind):
            return outcome
    return AttemptOutcome.CUT


def _in_one_name(plan: Plan, meant: Candidate) -> Plan:
    """The plan without candidates that would be sent the caller's credential, but for the one that
    it was ``meant`` for: no other provider gets it, whatever cools or fails.
    """
    kept = tuple(each for each in plan.candidates if each is meant or not each.passthrough_auth)
    return Plan(kept, plan.max_attempts)


def outcome_of_status(status: int) -> AttemptOutcome:
    """The attempt's outcome as a provider's status tells it."""
    if status < 400:
        return AttemptOutcome.OK
    if status == 429:
        return AttemptOutcome.RATE_LIMITED
    return AttemptOutcome.SERVER_ERROR if status >= 500 else AttemptOutcome.CLIENT_ERROR

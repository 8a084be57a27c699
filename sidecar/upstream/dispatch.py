"""Sends a call to the candidates of its plan, one after the other, until one of them serves it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.errors import SidecarError, UpstreamError
from sidecar.domain.events import AttemptEnded, FailedOver
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt
from sidecar.domain.ports import Reply
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass
from sidecar.upstream.attempts import (
    OUTCOME_OF_RESULT,
    Dispatched,
    FailureRecord,
    outcome_of_error,
    outcome_of_reply,
)
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.credential_reload import CredentialReloader
from sidecar.upstream.failure import Failure, classify_body_error, classify_error, classify_reply
from sidecar.upstream.latency import FAILED_S, FirstByteAverages
from sidecar.upstream.opening import opened
from sidecar.upstream.registry import ProviderRegistry

_log: Final = logging.getLogger("sidecar.upstream")
_OK: Final = 200


class Dispatcher:
    """Sends calls to candidates, and remembers how the candidates did."""

    def __init__(
        self,
        registry: ProviderRegistry,
        clock: Clock,
        observers: Observers,
        cooling: Cooling,
        averages: FirstByteAverages,
    ) -> None:
        """Args: ``cooling`` and ``averages`` may be shared with the dispatcher of another config:
        what was learnt of a candidate stays true when the config changes.
        """
        self.cooling = cooling
        self.averages = averages
        self._clients = registry.clients
        self._clock = clock
        self._monotonic_s = clock.monotonic_s
        self._observers = observers
        self._reloader = CredentialReloader(registry.clients, self.cooling, clock.monotonic_s)

    async def aclose(self) -> None:
        """Cancel the reading of credentials that runs beside calls."""
        await self._reloader.aclose()

    async def dispatch(self, call: Call, plan: Plan) -> Dispatched:
        """Send ``call`` to the plan's candidates, one after the other, until one replies with a
        status below 400 and no error in its body.

        Returns: that reply, or where no candidate serves the error reply that tells the app most.
        Raises: UpstreamError subclasses, where no candidate replied.
        """
        sent_s = self._monotonic_s()
        intended = plan.candidates[0]
        if self.cooling.cooldowns:
            plan = self.cooling.order(_in_own_name(plan, intended), sent_s)
        candidate = plan.candidates[0]
        try:
            reply = await self._send(call, candidate, sent_s)
        except UpstreamError as error:
            record = FailureRecord()
            self._record_error(record, candidate, error)
        else:
            if reply.status < 400 and not isinstance(reply, BufferedReply):
                if self.cooling.cooldowns:
                    self.cooling.observe_served(candidate, sent_s)
                return Dispatched(reply, candidate, 1, sent_s, self._monotonic_s())
            record = FailureRecord()
            await self._record_reply(
                call, record, candidate, reply, sent_s, is_last=len(plan.candidates) < 2
            )
        return await self._fail_over(call, _in_own_name(plan, intended), record)

    def is_cooling(self, candidate: Candidate) -> bool:
        """Return whether a candidate cools, or is ejected, now."""
        return self.cooling.due_s(candidate, self._monotonic_s()) is not None

    def observe(
        self,
        call: Call,
        dispatched: Dispatched,
        result: CallOutcome,
        now_s: float,
        first_piece_s: float | None = None,
        error_event: bytes | None = None,
    ) -> None:
        """Learn from a relayed reply that has ended, and report its attempt.

        Args: ``result`` is how the relay ended; ``first_piece_s`` is when the first bytes of the
            body came. Some servers send the head before they think, which makes them no faster.
            ``error_event`` are the data of the event by which the provider said that it failed.
        """
        if dispatched.is_error:
            return  # learnt and reported when it was recorded
        is_heard = AttemptEnded in self._observers.heard
        if not is_heard and not call.facts.wants_stream and error_event is None:
            return
        began_s = dispatched.head_s if first_piece_s is None else first_piece_s
        first_byte_s = began_s - dispatched.sent_s
        status = dispatched.reply.status
        if call.facts.wants_stream and status < 400 and result is not CallOutcome.CANCELLED:
            self.averages.observe(dispatched.candidate, first_byte_s, now_s)
        if error_event is not None:
            candidate = dispatched.candidate
            self._penalize(
                candidate,
                classify_body_error(error_event, passthrough_auth=candidate.passthrough_auth),
            )
        if not is_heard:
            return
        outcome = OUTCOME_OF_RESULT[result] if error_event is None else AttemptOutcome.ERROR_BODY
        total_s = now_s - dispatched.sent_s
        attempt = Attempt(dispatched.candidate, outcome, status, first_byte_s, total_s)
        self._observers.emit(AttemptEnded(call, attempt))

    async def _send(self, call: Call, candidate: Candidate, now_s: float) -> Reply:
        """Send one attempt and return its reply once the head is here; one that is not an error,
        once its beginning shows that the provider serves, or that it fails all the same (a
        `BufferedReply`): until then another candidate may serve.
        """
        client = self._clients[candidate.provider]
        head, pieces = client.request(call, candidate)
        wants_stream = call.facts.wants_stream
        left_s = (
            None
            if call.client_timeout_s is None
            else call.admitted_s + call.client_timeout_s - now_s
        )
        timeouts = client.timeouts(is_stream=wants_stream, left_s=left_s)
        try:
            reply = await client.pool.send(head, pieces, timeouts, method=call.method)
            if reply.status == _OK and call.endpoint.operation is not Operation.PASSTHROUGH:
                dialect = client.dialects[call.endpoint.dialect]
                return await opened(reply, dialect, is_stream=wants_stream)
            if wants_stream and reply.status < 400:
                await reply.begin()
        except (SidecarError, asyncio.CancelledError) as error:
            if AttemptEnded in self._observers.heard:
                total_s = self._monotonic_s() - now_s
                attempt = Attempt(candidate, outcome_of_error(error), None, None, total_s)
                self._observers.emit(AttemptEnded(call, attempt))
            raise
        return reply

    async def _fail_over(self, call: Call, plan: Plan, record: FailureRecord) -> Dispatched:
        """Try the rest of the plan after its first candidate did not serve."""
        left = list(plan.candidates[1:])
        failed = record.failed
        try:
            while left and len(failed) < plan.max_attempts and self._may_go_on(call, record):
                candidate, before = left.pop(0), failed[-1]
                sent_s = self._monotonic_s()
                if FailedOver in self._observers.heard:
                    reason = before.failure.failure_class
                    self._observers.emit(FailedOver(call, before.candidate, candidate, reason))
                try:
                    reply = await self._send(call, candidate, sent_s)
                except UpstreamError as error:
                    self._record_error(record, candidate, error)
                    continue
                if reply.status < 400 and not isinstance(reply, BufferedReply):
                    head_s = self._monotonic_s()
                    if self.cooling.cooldowns:
                        self.cooling.observe_served(candidate, sent_s)
                    record.abort_shown()
                    attempts = len(failed) + 1
                    return Dispatched(reply, candidate, attempts, sent_s, head_s, tuple(failed))
                is_last = not left or len(failed) + 1 >= plan.max_attempts
                await self._record_reply(call, record, candidate, reply, sent_s, is_last=is_last)
        except BaseException:
            record.abort_shown()
            raise
        return record.result()

    def _may_go_on(self, call: Call, record: FailureRecord) -> bool:
        """Return whether the last failure and the app's timeout allow another attempt."""
        if not record.failed[-1].failure.may_try_next:
            return False
        if call.endpoint.operation is Operation.PASSTHROUGH:
            return False
        timeout_s = call.client_timeout_s
        return timeout_s is None or self._monotonic_s() < call.admitted_s + timeout_s

    def _record_error(
        self, record: FailureRecord, candidate: Candidate, error: UpstreamError
    ) -> None:
        """Record an attempt that brought no reply; `_send` has reported it."""
        provider = self._clients[candidate.provider].provider
        failure = classify_error(
            error, failover_on_response_timeout=provider.failover_on_response_timeout
        )
        self._penalize(candidate, failure)
        record.add_error(candidate, failure, error)

    async def _record_reply(
        self,
        call: Call,
        record: FailureRecord,
        candidate: Candidate,
        reply: Reply,
        sent_s: float,
        *,
        is_last: bool,
    ) -> None:
        """Record and report an attempt whose reply is an error.

        Where another candidate may follow, the error's body is waited for to learn what it means.
        The last one is judged by what has arrived, and goes to the app as it comes.
        """
        head_s = self._monotonic_s()
        buffered = reply if isinstance(reply, BufferedReply) else BufferedReply(reply)
        if not is_last and not buffered.is_whole and buffered.error is None:
            await buffered.fill()
        if buffered.error is not None:
            failure = classify_body_error(
                buffered.error, passthrough_auth=candidate.passthrough_auth
            )
        else:
            failure = classify_reply(
                buffered.status,
                buffered.beginning,
                buffered.headers,
                self._clock.unix_s(),
                passthrough_auth=candidate.passthrough_auth,
            )
        is_our_key = failure.failure_class is FailureClass.OUR_CREDENTIAL
        if not is_our_key or not self._reloader.is_outdated(candidate.provider, sent_s):
            self._penalize(candidate, failure)
            if is_our_key:
                self._reloader.reload(candidate.provider)
        if AttemptEnded in self._observers.heard:
            outcome, total_s = outcome_of_reply(buffered.status), self._monotonic_s() - sent_s
            attempt = Attempt(candidate, outcome, buffered.status, head_s - sent_s, total_s)
            self._observers.emit(AttemptEnded(call, attempt))
        attempts = len(record.failed) + 1
        record.add_reply(
            Dispatched(buffered, candidate, attempts, sent_s, head_s, is_error=True), failure
        )

    def _penalize(self, candidate: Candidate, failure: Failure) -> None:
        """Let a candidate that failed cool, and count the failure among its first bytes."""
        now_s = self._monotonic_s()
        if failure.needs_alert:
            # A wildcard's model names are the callers' to invent: the log names the wildcard.
            name = candidate.provider, candidate.metric_model
            if name not in self.cooling.ejected(now_s):
                _log.error(
                    "provider %s, %s: %s; it goes last for minutes",
                    *name,
                    failure.failure_class.value,
                )
        self.cooling.observe_failure(candidate, failure, now_s)
        if failure.may_try_next:
            # A refusal within a millisecond must not look fast.
            self.averages.observe(candidate, FAILED_S, now_s)


def _in_own_name(plan: Plan, intended: Candidate) -> Plan:
    """Return the plan without the candidates that would be sent the caller's credential, but for
    the one that the call was intended for: no other provider may see that credential.
    """
    for each in plan.candidates:
        if each.passthrough_auth and each is not intended:
            break
    else:
        return plan
    kept = tuple(each for each in plan.candidates if each is intended or not each.passthrough_auth)
    return Plan(kept, plan.max_attempts, plan.requested)

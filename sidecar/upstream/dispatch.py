"""Sends a call to the candidates of its plan, one after the other, until one of them serves it."""

from __future__ import annotations

import asyncio

from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.errors import SidecarError, UpstreamError
from sidecar.domain.events import AttemptEnded, CandidateFailed, CandidateServed, FailedOver
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt
from sidecar.domain.ports import ArrivingReply
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
from sidecar.upstream.evidence import FailedCall
from sidecar.upstream.failure import (
    Failure,
    Penalty,
    classify_body_error,
    classify_error,
    classify_reply,
)
from sidecar.upstream.failure_report import HowItFailed, report_failure
from sidecar.upstream.latency import FAILED_S, FirstByteAverages
from sidecar.upstream.opening import OPENED, opened, serves_nowait
from sidecar.upstream.patience import apps_timeout, attempt_timeouts
from sidecar.upstream.registry import ProviderRegistry
from sidecar.upstream.walk import Walk, in_own_name


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
        self._registry = registry
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
        activity = self.cooling.activity
        if call.tenant != activity.tenant:
            activity.tenants_s = activity.seen_s
        elif call.session_id != activity.session_id:
            activity.others_s = activity.seen_s
        activity.tenant, activity.session_id = call.tenant, call.session_id
        activity.seen_s = sent_s
        if self.cooling.cooldowns:
            plan = self.cooling.order(in_own_name(plan, intended), sent_s)
        candidate = plan.candidates[0]
        is_last = len(plan.candidates) < 2 or plan.max_attempts < 2
        try:
            reply = await self._send(call, candidate, sent_s, 1, is_last=is_last)
        except UpstreamError as error:
            record = FailureRecord(plan.requested)
            self._record_error(call, record, candidate, error, sent_s)
        else:
            if reply.status < 400 and not isinstance(reply, BufferedReply):
                if self.cooling.cooldowns or self.cooling.suspects:
                    self._observe_served(candidate, sent_s)
                return Dispatched(reply, candidate, reply.sends, sent_s, self._monotonic_s())
            record = FailureRecord(plan.requested)
            await self._record_reply(call, record, candidate, reply, sent_s)
        return await self._fail_over(call, Walk(plan, intended, self.is_cooling), record)

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
    ) -> Failure | None:
        """Learn from a relayed reply that has ended, report its attempt, and return what its error
        event means; None without one.

        Args: ``result`` is how the relay ended; ``first_piece_s`` is when the first bytes of the
            body came. Some servers send the head before they think, which makes them no faster.
            ``error_event`` are the data of the event by which the provider said that it failed.
        """
        if dispatched.is_error:
            return None  # learnt and reported when it was recorded
        is_heard, failure = AttemptEnded in self._observers.heard, None
        if not is_heard and not call.facts.wants_stream and error_event is None:
            return None
        sent_s, status = dispatched.sent_s, dispatched.reply.status
        first_byte_s = (dispatched.head_s if first_piece_s is None else first_piece_s) - sent_s
        if call.facts.wants_stream and status < 400 and result is not CallOutcome.CANCELLED:
            self.averages.observe(dispatched.candidate, first_byte_s, now_s)
        served, outcome = dispatched.candidate, OUTCOME_OF_RESULT[result]
        if error_event is not None:
            outcome = AttemptOutcome.ERROR_BODY
            failure = classify_body_error(error_event, passthrough_auth=served.passthrough_auth)
            self._penalize(call, served, failure, sent_s, error_event)
        if is_heard:
            number, total_s = len(dispatched.failed) + 1, now_s - sent_s
            attempt = Attempt(served, outcome, status, first_byte_s, total_s, sent_s, number)
            self._observers.emit(AttemptEnded(call, attempt))
        return failure

    async def _send(
        self, call: Call, candidate: Candidate, now_s: float, number: int, *, is_last: bool
    ) -> ArrivingReply | BufferedReply:
        """Send one attempt and return its reply once the head is here; one that is not an error,
        once its beginning shows that the provider serves, or that it fails all the same (a
        `BufferedReply`): until then another candidate may serve.
        """
        client = self._registry.clients[candidate.provider]
        head, pieces = client.request(call, candidate, number)
        reply, wants_stream = None, call.facts.wants_stream
        timeouts = own = client.timeouts(is_stream=wants_stream)
        if call.client_timeout_s is not None:
            may_go_on = wants_stream or client.provider.failover_on_response_timeout
            timeouts = attempt_timeouts(own, call, now_s, may_go_on=may_go_on and not is_last)
        try:
            reply = await client.pool.send(head, pieces, timeouts, method=call.method)
            if reply.sends > 1:
                self._report_lost(call, candidate)
            if reply.status in OPENED and call.endpoint.operation is not Operation.PASSTHROUGH:
                dialect = client.dialects[call.endpoint.dialect]
                if reply.is_complete and serves_nowait(reply, dialect, is_stream=wants_stream):
                    return reply
                return await opened(reply, dialect, is_stream=wants_stream)
            if wants_stream and reply.status < 400:
                await reply.begin()
        except (SidecarError, asyncio.CancelledError) as error:
            if reply is None and isinstance(error, UpstreamError) and error.sends > 1:
                self._report_lost(call, candidate)
            if AttemptEnded in self._observers.heard:
                outcome, total_s = outcome_of_error(error), self._monotonic_s() - now_s
                attempt = Attempt(candidate, outcome, None, None, total_s, now_s, number)
                self._observers.emit(AttemptEnded(call, attempt))
            late = apps_timeout(error, own, timeouts)
            if late is not None:
                raise late from error
            raise
        return reply

    def _report_lost(self, call: Call, candidate: Candidate) -> None:
        """Report a sending that a dead connection lost; how long that took is not known."""
        if AttemptEnded in self._observers.heard:
            lost = Attempt(candidate, AttemptOutcome.CONNECT_FAILED, None, None, 0.0)
            self._observers.emit(AttemptEnded(call, lost))

    async def _fail_over(self, call: Call, walk: Walk, record: FailureRecord) -> Dispatched:
        """Try the rest of the plan after its first candidate did not serve, while the app waits."""
        failed, timeout_s = record.failed, call.client_timeout_s
        try:
            while (
                found := record.next_try(call, walk.next(failed), self._registry.strip)
            ) is not None:
                call, candidate = found
                before, number, sent_s = failed[-1], len(failed) + 1, self._monotonic_s()
                if timeout_s is not None and sent_s >= call.admitted_s + timeout_s:
                    break
                if FailedOver in self._observers.heard:
                    reason = before.failure.failure_class
                    self._observers.emit(FailedOver(call, before.candidate, candidate, reason))
                try:
                    reply = await self._send(call, candidate, sent_s, number, is_last=walk.is_last)
                except UpstreamError as error:
                    self._record_error(call, record, candidate, error, sent_s)
                    continue
                if reply.status < 400 and not isinstance(reply, BufferedReply):
                    head_s = self._monotonic_s()
                    if self.cooling.cooldowns or self.cooling.suspects:
                        self._observe_served(candidate, sent_s)
                    record.abort_shown()
                    attempts = record.sends + reply.sends
                    return Dispatched(
                        reply, candidate, attempts, sent_s, head_s, tuple(failed), lost=record.lost
                    )
                await self._record_reply(call, record, candidate, reply, sent_s)
        except BaseException:
            record.abort_shown()
            raise
        return record.result()

    def _record_error(
        self,
        call: Call,
        record: FailureRecord,
        candidate: Candidate,
        error: UpstreamError,
        sent_s: float,
    ) -> None:
        """Record an attempt that brought no reply; `_send` has reported it."""
        provider = self._registry.clients[candidate.provider].provider
        failure = classify_error(
            error, failover_on_response_timeout=provider.failover_on_response_timeout
        )
        self._penalize(call, candidate, failure, sent_s, error)
        record.add_error(candidate, failure, error)

    async def _record_reply(
        self,
        call: Call,
        record: FailureRecord,
        candidate: Candidate,
        reply: ArrivingReply | BufferedReply,
        sent_s: float,
    ) -> None:
        """Record and report an attempt whose reply is an error.

        The error's body is waited for, so that no pin and no candidate is judged by half of it.
        """
        head_s = self._monotonic_s()
        buffered = reply if isinstance(reply, BufferedReply) else BufferedReply(reply)
        if not buffered.is_whole and buffered.error is None:
            await buffered.fill()
        passthrough_auth = candidate.passthrough_auth
        if buffered.error is not None:
            failure = classify_body_error(buffered.error, passthrough_auth=passthrough_auth)
        else:
            failure = classify_reply(
                buffered.status,
                buffered.readable,
                buffered.headers,
                self._clock.unix_s(),
                passthrough_auth=passthrough_auth,
                upstream_model=candidate.upstream_model,
            )
        is_our_key = failure.failure_class is FailureClass.OUR_CREDENTIAL
        if not is_our_key or not self._reloader.is_outdated(candidate.provider, sent_s):
            self._penalize(call, candidate, failure, sent_s, buffered)
            if is_our_key:
                self._reloader.reload(candidate.provider)
        if AttemptEnded in self._observers.heard:
            outcome, status = outcome_of_reply(buffered.status), buffered.status
            times = head_s - sent_s, self._monotonic_s() - sent_s, sent_s
            attempt = Attempt(candidate, outcome, status, *times, len(record.failed) + 1)
            self._observers.emit(AttemptEnded(call, attempt))
        attempts = record.sends + buffered.sends
        dispatched = Dispatched(buffered, candidate, attempts, sent_s, head_s, is_error=True)
        record.add_reply(dispatched, failure, buffered.error or buffered.readable)

    def _observe_served(self, candidate: Candidate, sent_s: float) -> None:
        self.cooling.observe_served(candidate, sent_s)
        if CandidateServed in self._observers.heard:
            self._observers.emit(CandidateServed(candidate, sent_s))

    def _penalize(
        self, call: Call, candidate: Candidate, failure: Failure, sent_s: float, what: HowItFailed
    ) -> None:
        """Let a candidate that failed cool, where that is evidence against it, and count the
        failure among its first bytes. ``what`` is how it failed, for observers.
        """
        if failure.penalty is Penalty.NONE:
            return
        now_s = self._monotonic_s()
        if CandidateFailed in self._observers.heard:
            provider = self._registry.clients[candidate.provider].provider
            report = report_failure(failure, provider, what)
            self._observers.emit(CandidateFailed(call, candidate, failure.failure_class, report))
        failed_call = None
        if failure.penalty is Penalty.COOL_ON_EVIDENCE:
            failed_call = FailedCall(call, self.cooling.activity, sent_s, now_s)
        if self.cooling.observe_failure(candidate, failure, now_s, failed_call):
            # A refusal within a millisecond must not look fast.
            self.averages.observe(candidate, FAILED_S, now_s)

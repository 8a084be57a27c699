"""Records failed attempts: what they mean, what becomes of their candidates, and what observers are
told.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import UpstreamError
from sidecar.domain.events import AttemptEnded, CandidateFailed, CandidateServed
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt
from sidecar.domain.ports import ArrivingReply, Reply
from sidecar.domain.vocabulary import AttemptOutcome, FailureClass
from sidecar.upstream.attempts import (
    Dispatched,
    FailedAttempt,
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
    with_another_key,
)
from sidecar.upstream.failure_report import report_failure
from sidecar.upstream.latency import FAILED_S, FirstByteAverages
from sidecar.upstream.registry import ProviderRegistry
from sidecar.upstream.translated_reply import TranslatedReply, translated_error


class FailureRecorder:
    """Records failed attempts."""

    def __init__(
        self,
        registry: ProviderRegistry,
        clock: Clock,
        observers: Observers,
        cooling: Cooling,
        averages: FirstByteAverages,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._observers = observers
        self._cooling = cooling
        self.averages = averages
        self.credentials = CredentialReloader(registry.clients, cooling, clock.monotonic_s)

    def record_error(
        self,
        call: Call,
        record: FailureRecord,
        candidate: Candidate,
        error: UpstreamError,
        sent_s: float,
        tried: list[Attempt],
    ) -> None:
        """Record and report an attempt that brought no reply; put it into ``tried``."""
        provider = self._registry.clients[candidate.provider].provider
        failure = classify_error(
            error, failover_on_response_timeout=provider.failover_on_response_timeout
        )
        report = report_failure(failure, provider, error)
        if AttemptEnded in self._observers.heard:
            total_s, number = self._clock.monotonic_s() - sent_s, len(record.failed) + 1
            ending = outcome_of_error(error), None, None, total_s
            attempt = Attempt(candidate, *ending, sent_s, number, failure.failure_class, report)
            tried.append(attempt)
            self._observers.emit(AttemptEnded(call, attempt))
        self._penalize(call, candidate, failure, sent_s, report)
        record.add_error(candidate, failure, error)

    async def record_reply(
        self,
        call: Call,
        record: FailureRecord,
        candidate: Candidate,
        reply: ArrivingReply | BufferedReply | TranslatedReply,
        sent_s: float,
        tried: list[Attempt],
    ) -> None:
        """Record and report an attempt whose reply is an error; put it into ``tried``.

        The error's body is waited for, so that no pin and no candidate is judged by half of it.
        """
        head_s = self._clock.monotonic_s()
        buffered = reply if isinstance(reply, BufferedReply) else self._registry.buffered(reply)
        if not buffered.is_whole and buffered.error is None:
            await buffered.fill()
        passthrough_auth, model = candidate.passthrough_auth, candidate.upstream_model
        beginning = buffered.error
        if beginning is not None:
            failure = classify_body_error(beginning, passthrough_auth=passthrough_auth)
        else:
            beginning = buffered.readable
            said = buffered.status, beginning, buffered.headers, self._clock.unix_s()
            failure = classify_reply(*said, passthrough_auth=passthrough_auth, upstream_model=model)
        provider = self._registry.clients[candidate.provider].provider
        report = report_failure(failure, provider, buffered)
        total_s = self._clock.monotonic_s() - sent_s
        if failure.failure_class is FailureClass.OUR_CREDENTIAL:
            failure = await self._key_refused(call, record, candidate, failure, sent_s, report)
        else:
            self._penalize(call, candidate, failure, sent_s, report)
        shown: Reply = buffered
        sends, lost = record.sends + buffered.sends, call.facts.lost
        if call.translation is not None:
            shown = translated_error(call, candidate, buffered, failure.failure_class)
        dispatched = Dispatched(shown, candidate, sends, sent_s, head_s, (), True, lost)
        record.add_reply(dispatched, failure, beginning, is_translated=shown is not buffered)
        if AttemptEnded in self._observers.heard:
            reason = record.failed[-1].failure.failure_class  # as this call sees it
            status, number = buffered.status, len(record.failed)
            ending = outcome_of_reply(status, reason), status, head_s - sent_s, total_s
            tried.append(attempt := Attempt(candidate, *ending, sent_s, number, reason, report))
            self._observers.emit(AttemptEnded(call, attempt))

    def record_event(
        self, call: Call, candidate: Candidate, data: bytes, sent_s: float
    ) -> tuple[FailureClass, FailureReport]:
        """Record the event by which a provider said in mid-stream that it failed; return what that
        means, and what an operator is told.
        """
        failure = classify_body_error(data, passthrough_auth=candidate.passthrough_auth)
        provider = self._registry.clients[candidate.provider].provider
        report = report_failure(failure, provider, data)
        is_our_key = failure.failure_class is FailureClass.OUR_CREDENTIAL
        if not is_our_key or not self._cooling.is_outdated(candidate.provider, sent_s):
            self._penalize(call, candidate, failure, sent_s, report)
        if is_our_key:
            self.credentials.watch(candidate.provider)
        return failure.failure_class, report

    def observe_served(
        self, candidate: Candidate, sent_s: float, failed: Sequence[FailedAttempt] = ()
    ) -> None:
        """A candidate serves, while failures are remembered. ``failed`` are the call's own."""
        self._cooling.observe_served(candidate, sent_s)
        if CandidateServed in self._observers.heard:
            instead_of = tuple([each.candidate.provider for each in failed])
            self._observers.emit(CandidateServed(candidate, sent_s, instead_of))

    def report_lost(self, call: Call, candidate: Candidate, tried: list[Attempt]) -> None:
        """Report a sending that a dead connection lost; how long that took is not known."""
        if AttemptEnded in self._observers.heard:
            lost = Attempt(candidate, AttemptOutcome.CONNECT_FAILED, None, None, 0.0)
            tried.append(lost)
            self._observers.emit(AttemptEnded(call, lost))

    def report_given_up(
        self,
        call: Call,
        candidate: Candidate,
        error: BaseException,
        sent_s: float,
        number: int,
        tried: list[Attempt],
    ) -> None:
        """Report an attempt that the provider did not end: the app left, or the sidecar stops."""
        if AttemptEnded in self._observers.heard:
            total_s = self._clock.monotonic_s() - sent_s
            outcome = outcome_of_error(error)
            attempt = Attempt(candidate, outcome, None, None, total_s, sent_s, number)
            tried.append(attempt)
            self._observers.emit(AttemptEnded(call, attempt))

    async def _key_refused(
        self,
        call: Call,
        record: FailureRecord,
        candidate: Candidate,
        failure: Failure,
        sent_s: float,
        report: FailureReport,
    ) -> Failure:
        """A provider refused the entry's own key: return whether its candidate is tried once more,
        with another one, which it is once for each entry; where there is no other key, penalize it.
        """
        provider = candidate.provider
        if await self.credentials.is_renewed(provider, sent_s) and record.may_repeat(provider):
            return with_another_key(failure)
        if not self._cooling.is_outdated(provider, sent_s):
            self._penalize(call, candidate, failure, sent_s, report)
            self.credentials.watch(provider)
        return failure

    def _penalize(
        self,
        call: Call,
        candidate: Candidate,
        failure: Failure,
        sent_s: float,
        report: FailureReport,
    ) -> None:
        """Let a candidate that failed cool, where that is evidence against it, and count the
        failure among its first bytes.
        """
        is_gone = failure.failure_class is FailureClass.MODEL_GONE
        if is_gone and call.endpoint.operation is Operation.PASSTHROUGH:
            return  # the app named that model, or a file or batch: none of the config's is gone
        if failure.penalty is Penalty.NONE:
            return
        now_s = self._clock.monotonic_s()
        if CandidateFailed in self._observers.heard:
            self._observers.emit(CandidateFailed(call, candidate, failure.failure_class, report))
        failed_call = None
        if failure.penalty is Penalty.COOL_ON_EVIDENCE:
            failed_call = FailedCall(call, self._cooling.activity, sent_s, now_s)
        if self._cooling.observe_failure(candidate, failure, now_s, failed_call):
            # A refusal within a millisecond must not look fast.
            self.averages.observe(candidate, FAILED_S, now_s)

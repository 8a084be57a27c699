"""Sends a call to the candidates of its plan, one after the other, until one of them serves it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from sidecar.domain.call import Call, Operation, RawHeaders
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.errors import SidecarError, UpstreamError
from sidecar.domain.events import AttemptEnded, CallTranslated, FailedOver
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt
from sidecar.domain.ports import ArrivingReply
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome
from sidecar.upstream.attempts import OUTCOME_OF_RESULT, Dispatched, FailureRecord
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.credential_reload import CredentialReloader
from sidecar.upstream.failure_recorder import FailureRecorder
from sidecar.upstream.latency import FirstByteAverages
from sidecar.upstream.opening import LOOP_STATUS, opened, refuse_loop, serves_nowait
from sidecar.upstream.patience import attempt_timeouts, timeout_of
from sidecar.upstream.registry import ProviderRegistry
from sidecar.upstream.translated_call import call_for, fitted_plan
from sidecar.upstream.translated_reply import TranslatedReply, translated, translation_of
from sidecar.upstream.usage_asking import REFUSALS, SentAttempt, UsageAsking
from sidecar.upstream.walk import FitCandidates, Walk, fit_all, in_own_name

_PASSTHROUGH: Final = Operation.PASSTHROUGH
_Place = tuple[int, bool]
"""Of an attempt among those of its call: its number, and whether no other would follow it."""
_LOOKED_AT: Final = frozenset((LOOP_STATUS, *REFUSALS))
"""Statuses by which the same request may have to be sent in another way, or never again."""


class Dispatcher:
    """Sends calls to candidates, and remembers how the candidates did."""

    def __init__(
        self,
        registry: ProviderRegistry,
        clock: Clock,
        observers: Observers,
        cooling: Cooling,
        averages: FirstByteAverages,
        fit: FitCandidates = fit_all,
    ) -> None:
        """Args: ``cooling`` and ``averages`` may be shared with the dispatcher of another config:
        what was learnt of a candidate stays true when the config changes.
        """
        self.cooling = cooling
        self._registry = registry
        self._fit = fit
        self._asking = UsageAsking(observers, registry.replies)
        self._monotonic_s = clock.monotonic_s
        self._observers = observers
        self._recorder = FailureRecorder(registry, clock, observers, cooling, averages)

    @property
    def averages(self) -> FirstByteAverages:
        """How soon candidates send their first bytes."""
        return self._recorder.averages

    @property
    def credentials(self) -> CredentialReloader:
        """Reads refused keys again. Its owner closes it."""
        return self._recorder.credentials

    async def dispatch(self, call: Call, plan: Plan, tried: list[Attempt]) -> Dispatched:
        """Send ``call`` to the plan's candidates, one after the other, until one replies with a
        status below 400 and no error in its body.

        Args: ``tried`` gets the attempts that have ended, also where this is cancelled.
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
        if call.query:
            self._registry.bind_query(call, plan)
        if self.cooling.cooldowns:
            plan = await self._ordered(call, in_own_name(plan, intended), sent_s)
        candidate = plan.candidates[0]
        is_last = len(plan.candidates) < 2 or plan.max_attempts < 2
        patches, asked = self._registry.patches, plan.asked
        key = candidate.provider, candidate.upstream_model, asked, call.endpoint.dialect
        needs = patches.known.get(key, candidate.provider in patches.entries)
        sent = await patches.patched(call, candidate, asked) if needs else call
        try:
            place = 1, is_last
            reply, is_asking = await self._send(sent, candidate, sent_s, place, tried)
        except UpstreamError as error:
            record = FailureRecord(plan.requested)
            self._recorder.record_error(call, record, candidate, error, sent_s, tried)
        else:
            if not isinstance(reply, BufferedReply) and reply.status < 400:
                if self.cooling.cooldowns or self.cooling.suspects:
                    self._recorder.observe_served(candidate, sent_s)
                head_s, lost = self._monotonic_s(), sent.facts.lost
                rest = (), False, lost, is_asking
                return Dispatched(reply, candidate, reply.sends, sent_s, head_s, *rest)
            record = FailureRecord(plan.requested)
            await self._recorder.record_reply(sent, record, candidate, reply, sent_s, tried)
        if call.upload is not None and call.upload.is_begun:
            return record.result()  # what has gone out cannot be sent again
        walk = Walk(plan, intended, self.is_cooling, call.endpoint.dialect)
        walk = await walk.fit(call, self._fit) if walk.may_translate else walk
        return await self._fail_over(call, asked, walk, record, tried)

    def is_cooling(self, candidate: Candidate) -> bool:
        """Return whether a candidate cools, or is ejected, now."""
        return self.cooling.due_s(candidate, self._monotonic_s()) is not None

    def local_headers(self, call: Call, dispatched: Dispatched) -> tuple[RawHeaders, str]:
        """Return the headers of the response to a call that is passed through, without places that
        are elsewhere than at its provider; and their names, as ``x-plano-lost`` says them.
        """
        own, owner_of = dispatched.candidate.provider, self._registry.owner_of
        return self._registry.clients[own].local_headers(
            call,
            dispatched.candidate,
            dispatched.reply.headers,
            lambda path: owner_of(call, path) == own,
        )

    def observe(
        self,
        call: Call,
        dispatched: Dispatched,
        result: CallOutcome,
        now_s: float,
        first_piece_s: float | None = None,
        error_event: bytes | None = None,
    ) -> Attempt | None:
        """Learn from a relayed reply that has ended, report its attempt, and return it; None where
        the reply is an error, whose attempt was reported when it was recorded, and where no
        observer hears of it.

        Args: ``result`` is how the relay ended; ``first_piece_s`` is when the first bytes of the
            body came. Some servers send the head before they think, which makes them no faster.
            ``error_event`` are the data of the event by which the provider said that it failed.
        """
        if dispatched.is_error:
            return None
        if call.endpoint.dialect not in dispatched.candidate.dialects:
            self._report_translated(call, dispatched)
        is_heard = AttemptEnded in self._observers.heard
        if not is_heard and not call.facts.wants_stream and error_event is None:
            return None
        sent_s, status = dispatched.sent_s, dispatched.reply.status
        first_byte_s = (dispatched.head_s if first_piece_s is None else first_piece_s) - sent_s
        if call.facts.wants_stream and status < 400 and result is not CallOutcome.CANCELLED:
            self._recorder.averages.observe(dispatched.candidate, first_byte_s, now_s)
        reason, report = None, None
        outcome = OUTCOME_OF_RESULT[result]
        if error_event is not None:
            outcome, candidate = AttemptOutcome.ERROR_BODY, dispatched.candidate
            reason, report = self._recorder.record_event(call, candidate, error_event, sent_s)
        if not is_heard:
            return None
        served, number, total_s = dispatched.candidate, len(dispatched.failed) + 1, now_s - sent_s
        attempt = Attempt(
            served, outcome, status, first_byte_s, total_s, sent_s, number, reason, report
        )
        self._observers.emit(AttemptEnded(call, attempt))
        return attempt

    def _report_translated(self, call: Call, dispatched: Dispatched) -> None:
        translation = translation_of(dispatched.reply)
        if translation is not None and CallTranslated in self._observers.heard:
            lost = tuple(translation.lost())
            self._observers.emit(CallTranslated(call, dispatched.candidate, translation.way, lost))

    async def _ordered(self, call: Call, plan: Plan, now_s: float) -> Plan:
        """Return a plan with the candidates that cool last; and without those that cannot serve a
        call in full, where the first one would be translated for and was not looked at yet.
        """
        plan = self.cooling.order(plan, now_s)
        is_native = call.endpoint.dialect in plan.candidates[0].dialects
        is_foreign = call.endpoint.operation is Operation.PASSTHROUGH
        if is_native or is_foreign or call.translation is not None:
            return plan
        return await fitted_plan(call, plan, self._fit)

    async def _send(
        self, call: Call, candidate: Candidate, now_s: float, place: _Place, tried: list[Attempt]
    ) -> tuple[ArrivingReply | BufferedReply | TranslatedReply, bool]:
        """Send one attempt and return its reply once the head is here, and whether it has asked for
        usage; a reply that is not an error, once its beginning shows that the provider serves, or
        that it fails all the same (a `BufferedReply`): until then another candidate may serve.
        """
        client, (number, is_last) = self._registry.clients[candidate.provider], place
        is_own = call.translation is None or call.endpoint.dialect in candidate.dialects
        sent = call if is_own else await call_for(call, candidate, client.dialects)
        reply: ArrivingReply | BufferedReply | None = None
        is_foreign, stream = call.endpoint.operation is _PASSTHROUGH, call.facts.wants_stream
        asking = self._asking.call(client, call, candidate) if client.provider.asks_usage else None
        head, pieces = client.request(asking or sent, candidate, number)
        timeouts = own = client.timeouts_for(call)
        if call.client_timeout_s is not None:
            may_go_on = stream or client.provider.failover_on_response_timeout
            timeouts = attempt_timeouts(own, call, now_s, may_go_on=may_go_on and not is_last)
        try:
            reply = await client.pool.send(head, pieces, timeouts, call.method, call.upload)
            if reply.sends > 1:
                self._recorder.report_lost(call, candidate, tried)
            if reply.status in _LOOKED_AT:
                refuse_loop(reply)
                attempt = SentAttempt(client, sent, candidate, number, timeouts)
                reply, asking = await self._asking.without(attempt, reply, asking)
            if not (reply.status >= 400 or is_foreign or isinstance(reply, BufferedReply)):
                dialect, share = client.dialects[sent.endpoint.dialect], self._registry.replies
                if is_own and reply.is_complete and serves_nowait(reply, dialect, is_stream=stream):
                    return reply, False
                begun = await opened(reply, dialect, share, is_stream=stream)
                found = begun if is_own else await translated(call, candidate, begun, share)
                return found, asking is not None
        except (SidecarError, asyncio.CancelledError) as error:
            if not isinstance(error, UpstreamError):
                self._recorder.report_given_up(call, candidate, error, now_s, number, tried)
                raise
            if reply is None and error.sends > 1:
                self._recorder.report_lost(call, candidate, tried)
            if (late := timeout_of(error, own, timeouts, is_foreign=is_foreign)) is not None:
                raise late from error
            raise
        return reply, asking is not None

    async def _fail_over(
        self, call: Call, asked: str, walk: Walk, record: FailureRecord, tried: list[Attempt]
    ) -> Dispatched:
        """Try the rest of the plan after its first candidate did not serve, while the app waits."""
        failed, timeout_s, patches = record.failed, call.client_timeout_s, self._registry.patches
        try:
            while True:
                candidate = walk.next(failed)
                if candidate is None:
                    found = await record.next_try(call, None, self._registry.strip)
                    if found is None:
                        break
                    call, candidate = found
                before, number, sent_s = failed[-1], len(failed) + 1, self._monotonic_s()
                if timeout_s is not None and sent_s >= call.admitted_s + timeout_s:
                    break
                if FailedOver in self._observers.heard and not before.failure.tries_again:
                    reason = before.failure.failure_class
                    self._observers.emit(FailedOver(call, before.candidate, candidate, reason))
                key = candidate.provider, candidate.upstream_model, asked, call.endpoint.dialect
                needs = patches.known.get(key, candidate.provider in patches.entries)
                sent = await patches.patched(call, candidate, asked) if needs else call
                try:
                    place = number, walk.is_last
                    reply, is_asking = await self._send(sent, candidate, sent_s, place, tried)
                except UpstreamError as error:
                    self._recorder.record_error(call, record, candidate, error, sent_s, tried)
                    continue
                if reply.status < 400 and not isinstance(reply, BufferedReply):
                    head_s = self._monotonic_s()
                    if self.cooling.cooldowns or self.cooling.suspects:
                        self._recorder.observe_served(candidate, sent_s, failed)
                    served = record.served(reply, candidate, sent_s, head_s, sent.facts.lost)
                    return replace(served, asked_usage=True) if is_asking else served
                await self._recorder.record_reply(sent, record, candidate, reply, sent_s, tried)
        except BaseException:
            record.abort_shown()
            raise
        return record.result()

"""The life of a call, one straight coroutine: the only module that knows the order of the rooms.

A call is decided, dispatched, followed by its session's pin, and relayed. Whatever happens on the
way, its outcome is reported exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Decision, Plan
from sidecar.domain.errors import Draining, InternalFault, Side, SidecarError, UpstreamError
from sidecar.domain.events import CallDecided, CallEnded, ResponseBrokeOff
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Timing
from sidecar.domain.ports import Downstream
from sidecar.domain.vocabulary import CallOutcome, FailureClass
from sidecar.selection.pin_updater import PinUpdater
from sidecar.selection.selector import ModelSelector
from sidecar.stream.relay import Relay, Relayed, relay_nowait
from sidecar.upstream.attempts import Dispatched
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.translated_reply import change_lines, lost_of, translation_of
from sidecar.wire.own_headers import served_lines, walked_headers
from sidecar.wire.response_headers import response_lines

_RESULT_BY_SIDE: Final = {
    Side.DOWNSTREAM: CallOutcome.CLIENT_ERROR,
    Side.SIDECAR: CallOutcome.SIDECAR_ERROR,
    Side.UPSTREAM: CallOutcome.UPSTREAM_ERROR,
}
_SHUT_DOWN: Final = Draining("the sidecar has shut down before the response came")
"""How a call ends that a drain cuts off before its response began; `listener.handlers` replies."""


@final
@dataclass(init=False, unsafe_hash=True)
class ProxyPolicy:
    """What a config says of all calls."""

    max_attempts: Final[int]
    config_hash: Final[str]
    """Names the config, for observers."""

    def __init__(self, max_attempts: int, config_hash: str = "") -> None:
        self.max_attempts = max_attempts
        self.config_hash = config_hash


class Proxy:
    """Handles calls. Holds the rooms, and no state of its own."""

    def __init__(
        self,
        selector: ModelSelector,
        pin_updater: PinUpdater,
        dispatcher: Dispatcher,
        dialects: Mapping[DialectName, Dialect],
        observers: Observers,
        clock: Clock,
        policy: ProxyPolicy,
    ) -> None:
        self._selector = selector
        self._pin_updater = pin_updater
        self._dispatcher = dispatcher
        self._dialects = dialects
        self._observers = observers
        self._clock = clock
        self._monotonic_s: Callable[[], float] = clock.monotonic_s
        self._policy = policy

    async def handle(self, call: Call, down: Downstream) -> Outcome:
        """Carry one call to a provider and the response back to the app; return how it ended.

        Raises: SidecarError while nothing has been sent to the app: `listener.rescue` replies.
        """
        progress = _Progress(call)
        try:
            found = self._selector.decide_nowait(call)
            decision = found if isinstance(found, Decision) else await self._selector.decide(found)
            progress.decision, progress.decided_s = decision, self._monotonic_s()
            routing_s = progress.decided_s - call.admitted_s
            if CallDecided in self._observers.heard:
                self._observers.emit(CallDecided(call, decision, routing_s))
            plan = self._plan(call, decision)
            dispatched = await self._dispatcher.dispatch(call, plan, progress.tried)
            progress.dispatched = dispatched
            call.release_body()
            self._update_pin(call, decision, dispatched)
            reply, served_by = dispatched.reply, dispatched.candidate
            times_s = routing_s, dispatched.head_s - dispatched.sent_s
            own = served_lines(call, decision, served_by, dispatched.attempts, *times_s)
            headers, lost, dialect = reply.headers, dispatched.lost, self._dialect_of(call)
            if dialect is None:
                headers, lost = self._dispatcher.local_headers(call, dispatched)
            if lost or call.endpoint.dialect not in served_by.dialects:
                own += change_lines(reply, lost)
            if reply.status >= 400 and len(dispatched.failed) > 1:
                headers = walked_headers(headers)
            lines = response_lines(headers, (own,))
            relayed = None
            # A reply to HEAD announces a length that never comes; a stream's end is looked at.
            if call.method != "HEAD" and not (call.facts.wants_stream and reply.status < 400):
                relayed = relay_nowait(reply, lines, down, self._clock, dialect)
            if relayed is None:
                relay = progress.relay = Relay(self._clock, dialect, call.request_id)
                relay.cuts_usage = dispatched.asked_usage
                relayed = await relay.run(reply, lines, down)
        except asyncio.CancelledError:
            self._end_cancelled(progress, down)
            raise
        except Exception as error:
            self._end_refused(progress, error)
            raise
        return self._end_relayed(progress, dispatched, relayed, relayed.result)

    async def decide(self, call: Call) -> Decision:
        """Return what `handle` would do with a call, pins included, without sending it anywhere.

        Raises: SidecarError.
        """
        found = self._selector.decide_nowait(call)
        decision = found if isinstance(found, Decision) else await self._selector.decide(found)
        if CallDecided in self._observers.heard:
            routing_s = self._monotonic_s() - call.admitted_s
            self._observers.emit(CallDecided(call, decision, routing_s))
        return decision

    def _plan(self, call: Call, decision: Decision) -> Plan:
        if call.facts.holds_provider_state:
            # What the call refers to is kept by one provider: another would not know it.
            asked = decision.requested[0].model_name if decision.requested else ""
            return Plan(decision.candidates[:1], 1, decision.candidates[:1], asked=asked)
        return Plan(decision.candidates, self._policy.max_attempts, decision.requested)

    def _update_pin(self, call: Call, decision: Decision, dispatched: Dispatched) -> None:
        """Tell the pin updater who served the call, or that no candidate did."""
        if dispatched.is_error:
            self._pin_updater.unserved(decision, dispatched.failed)
        elif dispatched.candidate is not decision.candidates[0] or decision.returns_home:
            self._pin_updater.served(call, decision, dispatched.candidate, dispatched.failed)

    def _dialect_of(self, call: Call) -> Dialect | None:
        """Return the dialect in which the response is read; None where a path is passed through."""
        is_foreign = call.endpoint.operation is Operation.PASSTHROUGH
        return None if is_foreign else self._dialects[call.endpoint.dialect]

    def _end_relayed(
        self,
        progress: _Progress,
        dispatched: Dispatched,
        relayed: Relayed,
        attempted: CallOutcome,
    ) -> Outcome:
        """A provider's response has gone to the app, all of it or as much as the app could get.

        Args: ``attempted`` is what that was on the provider's side.
        """
        call, now_s = progress.call, self._monotonic_s()
        attempt = self._dispatcher.observe(
            call, dispatched, attempted, now_s, relayed.first_piece_s, relayed.error_event
        )
        if attempt is not None:
            progress.tried.append(attempt)
        decision, event = progress.decision, relayed.error_event
        if event is not None and decision is not None and not dispatched.is_error:
            is_cooling = self._dispatcher.is_cooling
            self._pin_updater.broke_off(call, decision, dispatched, event, is_cooling)
        is_broken = attempted is CallOutcome.INCOMPLETE and relayed.error_event is None
        if is_broken and ResponseBrokeOff in self._observers.heard:
            self._observers.emit(ResponseBrokeOff(call, dispatched.candidate))
        outcome = progress.relayed(dispatched, relayed, now_s)
        self._end(progress, outcome)
        return outcome

    def _end_cancelled(self, progress: _Progress, down: Downstream) -> None:
        """The app has left; or it is still there, and the drain's grace is spent."""
        relayed = None if progress.relay is None else progress.relay.given_up
        if progress.dispatched is not None and relayed is not None:
            # The provider bills what the app got till then, and is not to blame.
            self._end_relayed(progress, progress.dispatched, relayed, CallOutcome.CANCELLED)
        elif down.is_open:
            self._end(progress, progress.refused(_SHUT_DOWN, self._monotonic_s()))
        else:
            self._end(progress, progress.cancelled(self._monotonic_s()))

    def _end_refused(self, progress: _Progress, error: Exception) -> None:
        """The app gets an error of the sidecar's own."""
        if progress.decision is not None and isinstance(error, UpstreamError):
            self._pin_updater.unreached(progress.decision, error)
        known = error if isinstance(error, SidecarError) else InternalFault("internal")
        self._end(progress, progress.refused(known, self._monotonic_s()))

    def _end(self, progress: _Progress, outcome: Outcome) -> None:
        if CallEnded in self._observers.heard:
            event = CallEnded(progress.call, progress.decision, outcome, self._policy.config_hash)
            self._observers.emit(event)


def _result_of_error(dispatched: Dispatched) -> CallOutcome:
    """Return whose fault a provider's error is: a refused credential is the operator's to mend."""
    status = dispatched.reply.status
    if not 400 <= status < 500 or status == 429:
        return CallOutcome.UPSTREAM_ERROR
    for each in dispatched.failed:
        is_shown = each.candidate is dispatched.candidate
        if is_shown and each.failure.failure_class is FailureClass.OUR_CREDENTIAL:
            return CallOutcome.UPSTREAM_ERROR
    return CallOutcome.CLIENT_ERROR


@final
class _Progress:
    """How far one call has come: the facts of which its outcome is made, whenever it ends."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.decision: Decision | None = None
        self.decided_s = call.admitted_s
        """Monotonic clock."""
        self.tried: list[Attempt] = []
        self.dispatched: Dispatched | None = None
        self.relay: Relay | None = None

    def relayed(self, dispatched: Dispatched, relayed: Relayed, now_s: float) -> Outcome:
        """The outcome of a call that a provider responded to. The provider's own errors are OK for
        the relay; here they are the caller's fault or the provider's.
        """
        call, decision, status, result = (
            self.call,
            self.decision,
            dispatched.reply.status,
            relayed.result,
        )
        if result is CallOutcome.OK and dispatched.is_error:
            result = _result_of_error(dispatched)
        first_sent_s = dispatched.sent_s if dispatched.attempts == 1 else self.decided_s
        # The error that an app is shown may be an earlier attempt's than the last one.
        is_last = not dispatched.is_error or len(dispatched.failed) < 2
        ended_s = dispatched.head_s if is_last else relayed.first_byte_s
        translation, lost = None, dispatched.lost
        if call.endpoint.dialect not in dispatched.candidate.dialects:
            translation = translation_of(dispatched.reply)
            lost = lost_of(dispatched.reply, lost)
        timing = Timing(
            total_s=now_s - call.admitted_s,
            routing_s=self.decided_s - call.admitted_s,
            affinity_s=0.0 if decision is None else decision.affinity_s,
            router_s=0.0 if decision is None else decision.router_s,
            upstream_s=ended_s - first_sent_s + relayed.waited_s,
            first_byte_s=relayed.first_byte_s - call.admitted_s,
        )
        return Outcome(
            result,
            status,
            timing,
            call.facts.wants_stream,
            relayed.served,
            dispatched.candidate,
            error_code=relayed.error_code,
            bytes_out=relayed.bytes_out,
            attempts=tuple(self.tried),
            reply_headers=dispatched.reply.headers,
            translated="" if translation is None else translation.way,
            lost=lost,
        )

    def cancelled(self, now_s: float) -> Outcome:
        """The outcome of a call that was given up before its response began."""
        admitted_s = self.call.admitted_s
        timing = Timing(total_s=now_s - admitted_s, routing_s=self.decided_s - admitted_s)
        streamed, tried = self.call.facts.wants_stream, tuple(self.tried)
        return Outcome(CallOutcome.CANCELLED, 0, timing, streamed, attempts=tried)

    def refused(self, error: SidecarError, now_s: float) -> Outcome:
        """The outcome of a call that ends with an error of the sidecar's own."""
        admitted_s, decision = self.call.admitted_s, self.decision
        is_upstream = error.side is Side.UPSTREAM
        timing = Timing(
            total_s=now_s - admitted_s,
            routing_s=self.decided_s - admitted_s,
            affinity_s=0.0 if decision is None else decision.affinity_s,
            router_s=0.0 if decision is None else decision.router_s,
            upstream_s=now_s - self.decided_s if is_upstream else 0.0,
        )
        result, streamed = _RESULT_BY_SIDE[error.side], self.call.facts.wants_stream
        tried = tuple(self.tried)
        return Outcome(
            result, error.status, timing, streamed, error_code=error.code, attempts=tried
        )

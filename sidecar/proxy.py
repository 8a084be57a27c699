"""The life of a call, one straight coroutine: the only module that knows the order of the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Decision, Plan, Source
from sidecar.domain.errors import InternalFault, Side, SidecarError, UpstreamError
from sidecar.domain.events import CallDecided, CallEnded
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Outcome, Timing
from sidecar.domain.ports import Downstream
from sidecar.domain.vocabulary import CallOutcome
from sidecar.selection.pin_updater import PinUpdater
from sidecar.selection.selector import ModelSelector
from sidecar.stream.relay import Relay, relay_nowait
from sidecar.stream.relayed import Relayed
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.dispatched import Dispatched
from sidecar.wire.headers import header_text, response_lines

_RESULT_BY_SIDE: Final = {
    Side.DOWNSTREAM: CallOutcome.CLIENT_ERROR,
    Side.SIDECAR: CallOutcome.SIDECAR_ERROR,
    Side.UPSTREAM: CallOutcome.UPSTREAM_ERROR,
}

_THOUSANDTHS: Final = tuple(b".%03d" % number for number in range(1000))
_WHYS_AT_MOST: Final = 1024
"""A wildcard's model names are the clients' to invent."""


class Proxy:
    """Carries calls. Holds the rooms, and no state of its own."""

    def __init__(
        self,
        decider: ModelSelector,
        follower: PinUpdater,
        dispatcher: Dispatcher,
        dialects: Mapping[DialectName, Dialect],
        observers: Observers,
        clock: Clock,
        attempts: int,
    ) -> None:
        self._decider = decider
        self._follower = follower
        self._dispatcher = dispatcher
        self._dialects = dialects
        self._observers = observers
        self._clock = clock
        self._monotonic_s: Callable[[], float] = clock.monotonic_s
        self._attempts = attempts
        self._whys: dict[tuple[str, str | None, Source], bytes] = {}

    async def handle(self, call: Call, down: Downstream) -> Outcome:
        """Carry one call to a provider and the answer back; return how it ended.

        Raises: SidecarError while nothing has been sent to the app, for `listener.rescue` to
            answer.
        """
        decision: Decision | None = None
        dispatched: Dispatched | None = None
        relay: Relay | None = None
        decided_s = call.admitted_s
        try:
            decision = self._decider.decide_nowait(call) or await self._decider.decide(call)
            decided_s = self._monotonic_s()
            if CallDecided in self._observers.heard:
                self._observers.emit(CallDecided(call, decision, decided_s - call.admitted_s))
            dispatched = await self._dispatcher.dispatch(call, self._plan(call, decision))
            if dispatched.reply.status >= 400:
                self._follower.unserved(call, decision, dispatched.failed)
            elif dispatched.candidate is not decision.candidates[0] or decision.returns_home:
                self._follower.served(call, decision, dispatched.candidate, dispatched.failed)
            lines = response_lines(
                dispatched.reply.headers, (self._own_lines(call, decision, decided_s, dispatched),)
            )
            dialect = (
                None
                if call.endpoint.operation is Operation.PASSTHROUGH
                else self._dialects[call.dialect]
            )
            # The answer to a HEAD announces a length that never comes.
            relayed = (
                None
                if call.method == "HEAD"
                else relay_nowait(dispatched.reply, lines, down, self._clock, dialect)
            )
            if relayed is None:
                relay = Relay(self._clock, dialect, call.request_id)
                relayed = await relay.run(dispatched.reply, lines, down)
        except SidecarError as error:
            if decision is not None and isinstance(error, UpstreamError):
                self._follower.unanswered(call, decision)
            self._end(
                call, decision, _refused(call, decision, error, decided_s, self._monotonic_s())
            )
            raise
        except asyncio.CancelledError:
            self._end_cancelled(
                call, decision, decided_s, dispatched, None if relay is None else relay.given_up
            )
            raise
        except Exception:
            fault = InternalFault("internal")
            self._end(
                call, decision, _refused(call, decision, fault, decided_s, self._monotonic_s())
            )
            raise
        return self._end_carried(call, decision, decided_s, dispatched, relayed)

    async def decide(self, call: Call) -> Decision:
        """What `carry` would do with a call, pins included, without sending it anywhere.

        Raises: SidecarError.
        """
        decision = self._decider.decide_nowait(call) or await self._decider.decide(call)
        if CallDecided in self._observers.heard:
            routing_s = self._monotonic_s() - call.admitted_s
            self._observers.emit(CallDecided(call, decision, routing_s))
        return decision

    def _plan(self, call: Call, decision: Decision) -> Plan:
        if call.facts.holds_provider_state:
            # What the call refers to is kept by one provider: another would not know it.
            return Plan(decision.candidates[:1], 1)
        return Plan(decision.candidates, self._attempts)

    def _own_lines(
        self, call: Call, decision: Decision, decided_s: float, dispatched: Dispatched
    ) -> bytes:
        return (
            b"%bx-request-id: %b\r\nx-plano-attempts: %d\r\n"
            b"server-timing: affinity;dur=%b, routing;dur=%b, upstream;dur=%b\r\n"
        ) % (
            self._why(dispatched.candidate.model_name, decision),
            call.request_id.encode(),
            dispatched.attempts,
            _ms(decision.affinity_s),
            _ms(decided_s - call.admitted_s),
            _ms(dispatched.head_s - dispatched.sent_s),
        )

    def _why(self, served_by: str, decision: Decision) -> bytes:
        """The lines that tell which model answered, and why; made once for all calls of which they
        are true.
        """
        key = served_by, decision.route_name, decision.source
        lines = self._whys.get(key)
        if lines is None:
            route = (
                ""
                if decision.route_name is None
                else f"x-plano-route: {header_text(decision.route_name)}\r\n"
            )
            model = header_text(served_by)
            lines = (
                f"x-plano-model: {model}\r\n{route}x-plano-source: {decision.source}\r\n".encode()
            )
            if len(self._whys) >= _WHYS_AT_MOST:
                self._whys.clear()
            self._whys[key] = lines
        return lines

    def _end_carried(
        self,
        call: Call,
        decision: Decision,
        decided_s: float,
        dispatched: Dispatched,
        relayed: Relayed,
    ) -> Outcome:
        """The way back has ended, well or not."""
        now_s = self._monotonic_s()
        self._dispatcher.observe(call, dispatched, relayed.result, now_s, relayed.first_piece_s)
        outcome = _carried(call, decision, decided_s, dispatched, relayed, now_s)
        self._end(call, decision, outcome)
        return outcome

    def _end_cancelled(
        self,
        call: Call,
        decision: Decision | None,
        decided_s: float,
        dispatched: Dispatched | None,
        relayed: Relayed | None,
    ) -> None:
        """The app has left, or the grace is spent. ``relayed`` is what it got till then, which the
        provider bills.
        """
        if decision is not None and dispatched is not None and relayed is not None:
            self._end_carried(call, decision, decided_s, dispatched, relayed)
            return
        timing = Timing(
            total_s=self._monotonic_s() - call.admitted_s, routing_s=decided_s - call.admitted_s
        )
        self._end(
            call, decision, Outcome(CallOutcome.CANCELLED, 0, timing, call.facts.wants_stream)
        )

    def _end(self, call: Call, decision: Decision | None, outcome: Outcome) -> None:
        if CallEnded in self._observers.heard:
            self._observers.emit(CallEnded(call, decision, outcome))


def _ms(seconds: float) -> bytes:
    """Milliseconds to the microsecond; a table instead of float formatting, three of which cost a
    microsecond.
    """
    us = int(seconds * 1e6 + 0.5)
    return b"%d%b" % (us // 1000, _THOUSANDTHS[us % 1000])


def _refused(
    call: Call, decision: Decision | None, error: SidecarError, decided_s: float, now_s: float
) -> Outcome:
    is_upstream = error.side is Side.UPSTREAM
    timing = Timing(
        total_s=now_s - call.admitted_s,
        routing_s=decided_s - call.admitted_s,
        affinity_s=0.0 if decision is None else decision.affinity_s,
        router_s=0.0 if decision is None else decision.router_s,
        upstream_s=now_s - decided_s if is_upstream else 0.0,
    )
    result = _RESULT_BY_SIDE[error.side]
    return Outcome(result, error.status, timing, call.facts.wants_stream, error_code=error.code)


def _carried(
    call: Call,
    decision: Decision,
    decided_s: float,
    dispatched: Dispatched,
    relayed: Relayed,
    now_s: float,
) -> Outcome:
    status, result = dispatched.reply.status, relayed.result
    if result is CallOutcome.OK and status >= 400:
        is_callers = status < 500 and status != 429
        result = CallOutcome.CLIENT_ERROR if is_callers else CallOutcome.UPSTREAM_ERROR
    timing = Timing(
        total_s=now_s - call.admitted_s,
        routing_s=decided_s - call.admitted_s,
        affinity_s=decision.affinity_s,
        router_s=decision.router_s,
        upstream_s=dispatched.head_s
        - (dispatched.sent_s if dispatched.attempts == 1 else decided_s)
        + relayed.waited_s,
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
    )

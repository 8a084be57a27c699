"""The life of a call, one straight coroutine: the only module that knows the order of the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.affinity.policy import keep_binding, session_key_of
from sidecar.affinity.store import AffinityStore
from sidecar.domain.call import Call, Dialect, DialectName, Downstream, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Decision, Plan, Source
from sidecar.domain.errors import InternalFault, Side, SidecarError
from sidecar.domain.events import Observers
from sidecar.domain.ids import SessionKey
from sidecar.domain.outcome import CallOutcome, Outcome, Timing
from sidecar.routing.table import ModelTable, Resolved
from sidecar.stream.relay import Relay, Relayed, relay_whole
from sidecar.upstream.dispatch import Dispatched, Dispatcher
from sidecar.wire.headers import response_lines

_RESULT_BY_SIDE: Final = {
    Side.DOWNSTREAM: CallOutcome.CLIENT_ERROR,
    Side.SIDECAR: CallOutcome.SIDECAR_ERROR,
    Side.UPSTREAM: CallOutcome.UPSTREAM_ERROR,
}

_KEPT_AT_MOST: Final = 1024
"""Pinned decisions that are remembered; a wildcard's model names are the clients' to invent."""


class Proxy:
    """Carries calls. Holds the rooms, and no state of its own."""

    def __init__(
        self,
        models: ModelTable,
        store: AffinityStore,
        dispatcher: Dispatcher,
        dialects: Mapping[DialectName, Dialect],
        observers: Observers,
        clock: Clock,
        *,
        has_preferences: bool,
    ) -> None:
        self._models = models
        self._store = store
        self._dispatcher = dispatcher
        self._dialects = dialects
        self._observers = observers
        self._clock = clock
        self._monotonic_s: Callable[[], float] = clock.monotonic_s
        self._has_preferences = has_preferences
        self._kept: dict[tuple[str, str | None, DialectName], Decision] = {}

    async def carry(self, call: Call, down: Downstream) -> Outcome:
        """Carry one call to a provider and the answer back; return how it ended.

        Raises: SidecarError while nothing has been sent to the app, for `listener.rescue` to answer.
        """
        decision: Decision | None = None
        decided_s = call.admitted_s
        try:
            decision = self._decide_now(call) or await self._decide(call)
            decided_s = self._monotonic_s()
            self._observers.call_decided(call, decision, decided_s - call.admitted_s)
            dispatched = await self._dispatcher.dispatch(call, Plan(decision.candidates, 1))
            lines = response_lines(dispatched.reply.headers, (self._own_lines(call, decision, decided_s, dispatched),))
            dialect = None if call.endpoint.operation is Operation.PASSTHROUGH else self._dialects[call.dialect]
            # The answer to a HEAD announces a length that never comes.
            relayed = (
                None if call.method == "HEAD" else relay_whole(dispatched.reply, lines, down, self._clock, dialect)
            )
            if relayed is None:
                relayed = await Relay(self._clock, dialect, call.request_id).run(dispatched.reply, lines, down)
        except SidecarError as error:
            self._end(call, decision, _refused(call, error, decided_s, self._monotonic_s()))
            raise
        except asyncio.CancelledError:
            timing = Timing(total_s=self._monotonic_s() - call.admitted_s, routing_s=decided_s - call.admitted_s)
            self._end(call, decision, Outcome(CallOutcome.CANCELLED, 0, timing, call.facts.wants_stream))
            raise
        except Exception:
            self._end(call, decision, _refused(call, InternalFault("internal"), decided_s, self._monotonic_s()))
            raise
        self._dispatcher.observe(call, dispatched, relayed.result, self._monotonic_s())
        outcome = _carried(call, decided_s, dispatched, relayed, self._monotonic_s())
        self._end(call, decision, outcome)
        return outcome

    def _decide_now(self, call: Call) -> Decision | None:
        """What can be decided without waiting: a call without a session, or one whose pin is at hand."""
        if call.passthrough_provider is not None:
            return Decision(Source.REQUESTED, (self._models.passthrough(call.passthrough_provider),))
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        session = self._session_of(call, resolved)
        if session is None:
            return resolved.decision
        binding = self._store.get_now(session)
        return None if binding is None else self._keep(binding, call, resolved)

    async def _decide(self, call: Call) -> Decision:
        """The session's pin where the store must be asked, or else the requested model, which then becomes the pin."""
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        session = self._session_of(call, resolved)
        assert session is not None  # else `_decide_now` decided
        binding = await self._store.get(session)
        if binding is None and call.endpoint.operation is Operation.GENERATE:
            claimed = self._new_binding(resolved)
            binding = await self._store.claim(session, claimed)
            if binding == claimed:
                return resolved.decision
        return resolved.decision if binding is None else self._keep(binding, call, resolved)

    def _session_of(self, call: Call, resolved: Resolved) -> SessionKey | None:
        """The session whose pin steers this call; None where no preferences are in effect: then nothing is pinned."""
        if not self._has_preferences or call.facts.routing_preferences is not None:
            return None
        return session_key_of(call, resolved.model_name)

    def _keep(self, binding: Binding, call: Call, resolved: Resolved) -> Decision:
        dialect = call.endpoint.dialect
        key = (binding.model_name, binding.route_name, dialect)
        kept = self._kept.get(key)
        if kept is None:
            usable = self._models.candidates_of(binding.model_name, dialect)
            kept = keep_binding(binding, usable)
            if kept is None:
                return resolved.decision
            if len(self._kept) < _KEPT_AT_MOST:
                self._kept[key] = kept
        return kept

    def _new_binding(self, resolved: Resolved) -> Binding:
        return Binding(
            model_name=resolved.model_name,
            requested_model=resolved.model_name,
            generation=1,
            bound_at_unix_s=self._clock.unix_s(),
        )

    def _own_lines(self, call: Call, decision: Decision, decided_s: float, dispatched: Dispatched) -> bytes:
        route = "" if decision.route_name is None else f"x-plano-route: {decision.route_name}\r\n"
        routing_ms = (decided_s - call.admitted_s) * 1e3
        upstream_ms = (dispatched.head_s - dispatched.sent_s) * 1e3
        return (
            f"x-request-id: {call.request_id}\r\nx-plano-model: {dispatched.candidate.model_name}\r\n{route}"
            f"x-plano-source: {decision.source}\r\nx-plano-attempts: {dispatched.attempts}\r\n"
            f"server-timing: routing;dur={routing_ms:.3f}, upstream;dur={upstream_ms:.3f}\r\n"
        ).encode()

    def _end(self, call: Call, decision: Decision | None, outcome: Outcome) -> None:
        self._observers.call_ended(call, decision, outcome)


def _refused(call: Call, error: SidecarError, decided_s: float, now_s: float) -> Outcome:
    is_upstream = error.side is Side.UPSTREAM
    timing = Timing(
        total_s=now_s - call.admitted_s,
        routing_s=decided_s - call.admitted_s,
        upstream_s=now_s - decided_s if is_upstream else 0.0,
    )
    result = _RESULT_BY_SIDE[error.side]
    return Outcome(result, error.status, timing, call.facts.wants_stream, error_code=error.code)


def _carried(call: Call, decided_s: float, dispatched: Dispatched, relayed: Relayed, now_s: float) -> Outcome:
    status, result = dispatched.reply.status, relayed.result
    if result is CallOutcome.OK and status >= 400:
        is_callers = status < 500 and status != 429
        result = CallOutcome.CLIENT_ERROR if is_callers else CallOutcome.UPSTREAM_ERROR
    timing = Timing(
        total_s=now_s - call.admitted_s,
        routing_s=decided_s - call.admitted_s,
        upstream_s=dispatched.head_s - dispatched.sent_s + relayed.waited_s,
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

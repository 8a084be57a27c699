"""The life of a call, one straight coroutine: the only module that knows the order of the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from sidecar.affinity.policy import keep_binding, moved, session_key_of, tries_home
from sidecar.affinity.store import AffinityStore
from sidecar.domain.call import Call, Dialect, DialectName, Downstream, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Decision, Plan, Route, Source
from sidecar.domain.errors import InternalFault, Side, SidecarError
from sidecar.domain.events import Observers
from sidecar.domain.ids import SessionKey
from sidecar.domain.outcome import CallOutcome, Outcome, Timing
from sidecar.lifecycle import Tasks
from sidecar.routing.chooser import Chooser
from sidecar.routing.table import ModelTable, Resolved
from sidecar.stream.relay import Relay, Relayed, relay_whole
from sidecar.upstream.classify import PinEffect
from sidecar.upstream.dispatch import Dispatched, Dispatcher
from sidecar.wire.conversation import prompt_facts
from sidecar.wire.headers import response_lines

_RESULT_BY_SIDE: Final = {
    Side.DOWNSTREAM: CallOutcome.CLIENT_ERROR,
    Side.SIDECAR: CallOutcome.SIDECAR_ERROR,
    Side.UPSTREAM: CallOutcome.UPSTREAM_ERROR,
}

_KEPT_AT_MOST: Final = 1024
"""Pinned decisions that are remembered; a wildcard's model names are the clients' to invent."""


class ProxyPolicy(msgspec.Struct, frozen=True):
    """What the config says about carrying calls."""

    attempts: int = 3
    """Tries at candidates for one call, at most."""


class Proxy:
    """Carries calls. Holds the rooms, and no state of its own."""

    def __init__(
        self,
        models: ModelTable,
        chooser: Chooser,
        store: AffinityStore,
        dispatcher: Dispatcher,
        dialects: Mapping[DialectName, Dialect],
        observers: Observers,
        clock: Clock,
        policy: ProxyPolicy,
        tasks: Tasks,
    ) -> None:
        self._models = models
        self._chooser = chooser
        self._store = store
        self._dispatcher = dispatcher
        self._dialects = dialects
        self._observers = observers
        self._clock = clock
        self._monotonic_s: Callable[[], float] = clock.monotonic_s
        self._policy = policy
        self._has_routes = bool(chooser.routes)
        self._tasks = tasks
        self._first_calls: dict[SessionKey, asyncio.Future[None]] = {}
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
            dispatched = await self._dispatcher.dispatch(call, self._plan(call, decision))
            lines = response_lines(dispatched.reply.headers, (self._own_lines(call, decision, decided_s, dispatched),))
            dialect = None if call.endpoint.operation is Operation.PASSTHROUGH else self._dialects[call.dialect]
            # The answer to a HEAD announces a length that never comes.
            relayed = (
                None if call.method == "HEAD" else relay_whole(dispatched.reply, lines, down, self._clock, dialect)
            )
            if relayed is None:
                relayed = await Relay(self._clock, dialect, call.request_id).run(dispatched.reply, lines, down)
        except SidecarError as error:
            self._end(call, decision, _refused(call, decision, error, decided_s, self._monotonic_s()))
            raise
        except asyncio.CancelledError:
            timing = Timing(total_s=self._monotonic_s() - call.admitted_s, routing_s=decided_s - call.admitted_s)
            self._end(call, decision, Outcome(CallOutcome.CANCELLED, 0, timing, call.facts.wants_stream))
            raise
        except Exception:
            fault = InternalFault("internal")
            self._end(call, decision, _refused(call, decision, fault, decided_s, self._monotonic_s()))
            raise
        self._dispatcher.observe(call, dispatched, relayed.result, self._monotonic_s())
        if dispatched.failed or decision.returns_home:
            self._tasks.spawn(self._follow(call, dispatched), name="follow the session")
        outcome = _carried(call, decision, decided_s, dispatched, relayed, self._monotonic_s())
        self._end(call, decision, outcome)
        return outcome

    async def decide(self, call: Call) -> Decision:
        """What `carry` would do with a call, pins included, without sending it anywhere.

        Raises: SidecarError.
        """
        decision = self._decide_now(call) or await self._decide(call)
        self._observers.call_decided(call, decision, self._monotonic_s() - call.admitted_s)
        return decision

    async def _follow(self, call: Call, dispatched: Dispatched) -> None:
        """The session goes to where it was served; a pin under which nobody served is dropped."""
        if call.passthrough_provider is not None:
            return
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        session = session_key_of(call, resolved.model_name)
        binding = None if session is None else await self._store.get(session)
        if session is None or binding is None or call.endpoint.operation is not Operation.GENERATE:
            return
        effects = [each.failure.pin for each in dispatched.failed if each.candidate.model_name == binding.model_name]
        served_by = dispatched.candidate.model_name
        if dispatched.reply.status >= 400:
            if any(effect is not PinEffect.UNTOUCHED for effect in effects) and binding.generation <= 1:
                await self._store.release(session, binding)
            return
        if served_by != binding.model_name:
            is_for_good = PinEffect.MOVES in effects
            new = moved(binding, served_by, self._clock.unix_s(), is_for_good=is_for_good)
            await self._store.replace(session, binding, new)

    def _plan(self, call: Call, decision: Decision) -> Plan:
        if call.facts.holds_provider_state:
            # What the call refers to is kept by one provider: another would not know it.
            return Plan(decision.candidates[:1], 1)
        return Plan(decision.candidates, self._policy.attempts)

    def _decide_now(self, call: Call) -> Decision | None:
        """What can be decided without waiting: a call without routes, or one whose pin is at hand."""
        if call.passthrough_provider is not None:
            return Decision(Source.REQUESTED, (self._models.passthrough(call.passthrough_provider),))
        if call.facts.routing_preferences is not None:
            return None
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        if not self._has_routes:
            return resolved.decision
        session = session_key_of(call, resolved.model_name)
        if session is None:
            return None
        binding = self._store.get_now(session)
        return None if binding is None or binding.provisional else self._keep(binding, call, resolved)

    async def _decide(self, call: Call) -> Decision:
        """The session's pin where there is one; else what the router model says, which becomes the pin."""
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        is_routable = call.endpoint.operation is Operation.GENERATE
        routes = self._chooser.routes_of(call) if is_routable else ()
        session = session_key_of(call, resolved.model_name) if self._has_routes or routes else None
        if is_routable and not routes:
            return resolved.decision
        binding = None if session is None else await self._store.get(session)
        if binding is not None and not self._is_open(binding, call):
            if self._is_among(binding, routes):
                return self._keep(binding, call, resolved)
            session = None  # a pin outside the list of this one call is left as it is
        if not is_routable or call.facts.holds_provider_state:
            return resolved.decision
        if session is None:
            return await self._route(call, routes, resolved)
        return await self._route_once(session, call, routes, resolved)

    async def _route_once(
        self, session: SessionKey, call: Call, routes: tuple[Route, ...], resolved: Resolved
    ) -> Decision:
        """Route and pin; first calls of one session that come together ask once, and the others adopt."""
        first = self._first_calls.get(session)
        while first is not None:
            await asyncio.wait([first])
            binding = self._store.get_now(session) or await self._store.get(session)
            if binding is not None and not self._is_open(binding, call):
                return self._keep(binding, call, resolved)
            first = self._first_calls.get(session)
        first = self._first_calls[session] = asyncio.get_running_loop().create_future()
        try:
            return await self._claim(session, await self._route(call, routes, resolved), call, resolved)
        finally:
            # Also where this call failed or its app left: the next one asks in its place.
            del self._first_calls[session]
            first.set_result(None)

    async def _route(self, call: Call, routes: tuple[Route, ...], resolved: Resolved) -> Decision:
        """Ask the router model; whatever it does, there is a decision."""
        began_s = self._monotonic_s()
        choice = await self._chooser.choose(call, routes, began_s)
        router_s = self._monotonic_s() - began_s
        self._observers.router_asked(choice.asked.outcome, router_s)
        if choice.route is not None and choice.ranked is not None:
            name = choice.route.name
            metric_route = name if self._chooser.is_configured(routes) else "other"
            return Decision(Source.ROUTED, choice.ranked.candidates, name, router_s, metric_route)
        source = Source.FALLBACK if choice.asked.is_fallback else resolved.decision.source
        return msgspec.structs.replace(resolved.decision, source=source, router_s=router_s)

    async def _claim(self, session: SessionKey, decision: Decision, call: Call, resolved: Resolved) -> Decision:
        """Pin the decision's model, or adopt the one that another call pinned first."""
        claimed = Binding(
            model_name=decision.candidates[0].model_name,
            route_name=decision.route_name,
            requested_model=resolved.model_name,
            generation=1,
            bound_at_unix_s=self._clock.unix_s(),
            provisional=decision.source is Source.FALLBACK,
        )
        standing = await self._store.claim(session, claimed)
        if standing.provisional and not claimed.provisional:
            standing = await self._store.replace(session, standing, claimed)
        return decision if standing == claimed else self._keep(standing, call, resolved)

    def _is_open(self, binding: Binding, call: Call) -> bool:
        """Whether the router model may be asked again: its answer was missed, and the conversation begins anew."""
        if not binding.provisional or call.endpoint.operation is not Operation.GENERATE:
            return False
        return all(turn.role != "assistant" for turn in prompt_facts(call.dialect, call.body).turns)

    def _is_among(self, binding: Binding, routes: tuple[Route, ...]) -> bool:
        """Whether a pin may hold where a body brought its own list."""
        if not routes or self._chooser.is_configured(routes):
            return True
        return any(binding.model_name == each.model_name for route in routes for each in route.candidates)

    def _keep(self, binding: Binding, call: Call, resolved: Resolved) -> Decision:
        dialect = call.endpoint.dialect
        if tries_home(binding, self._clock.unix_s()):
            homes = self._models.candidates_of(binding.home or "", dialect)
            decision = self._keep(msgspec.structs.replace(binding, home=None), call, resolved)
            rest = tuple(each for each in decision.candidates if each not in homes)
            return msgspec.structs.replace(decision, candidates=(*homes, *rest), returns_home=True)
        key = (binding.model_name, binding.route_name, dialect)
        kept = self._kept.get(key)
        if kept is None:
            usable = self._models.candidates_of(binding.model_name, dialect)
            kept = keep_binding(binding, usable, self._chooser.followers(binding.route_name, dialect))
            if kept is None:
                return resolved.decision
            if len(self._kept) < _KEPT_AT_MOST:
                self._kept[key] = kept
        return kept

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


def _refused(call: Call, decision: Decision | None, error: SidecarError, decided_s: float, now_s: float) -> Outcome:
    is_upstream = error.side is Side.UPSTREAM
    timing = Timing(
        total_s=now_s - call.admitted_s,
        routing_s=decided_s - call.admitted_s,
        router_s=0.0 if decision is None else decision.router_s,
        upstream_s=now_s - decided_s if is_upstream else 0.0,
    )
    result = _RESULT_BY_SIDE[error.side]
    return Outcome(result, error.status, timing, call.facts.wants_stream, error_code=error.code)


def _carried(
    call: Call, decision: Decision, decided_s: float, dispatched: Dispatched, relayed: Relayed, now_s: float
) -> Outcome:
    status, result = dispatched.reply.status, relayed.result
    if result is CallOutcome.OK and status >= 400:
        is_callers = status < 500 and status != 429
        result = CallOutcome.CLIENT_ERROR if is_callers else CallOutcome.UPSTREAM_ERROR
    timing = Timing(
        total_s=now_s - call.admitted_s,
        routing_s=decided_s - call.admitted_s,
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

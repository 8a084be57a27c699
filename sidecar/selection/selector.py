"""Which model a call goes to: its session's pin, or else what the router model says, which becomes
the pin.

Source of the rules: affinity.md, "Lanes" and "When a pin is written, moved, dropped"; routing.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Final, NamedTuple

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.policy import (
    keep_binding,
    may_be_replaced,
    sent_home,
    tries_home,
)
from sidecar.affinity.session import session_of
from sidecar.affinity.store import AffinityStore
from sidecar.affinity.value import as_written
from sidecar.dialects.conversation import prompt_facts
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Candidate, Decision, Route, Source
from sidecar.domain.errors import SidecarError
from sidecar.domain.events import AffinityOperation, RouterAsked
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.routing.classifier import Choice, RouteClassifier
from sidecar.routing.resolved import Resolved
from sidecar.routing.table import ModelTable
from sidecar.runtime.lifecycle import Tasks

_KEPT_AT_MOST: Final = 1024
"""Pinned decisions that are remembered; a wildcard's model names are the clients' to invent."""
_KEPT_FOR_S: Final = 5.0
"""Prices and speeds that rank the models behind a pin change slowly."""
_NOT_ON_LIST: Final = AffinityOperation(PinOperation.BYPASS, PinOutcome.INLINE_LIST)
_OTHER_DIALECT: Final = AffinityOperation(PinOperation.BYPASS, PinOutcome.DIALECT)
_UNKNOWN_MODEL: Final = AffinityOperation(PinOperation.BYPASS, PinOutcome.UNKNOWN_MODEL)


class _Flight(NamedTuple):
    """What came of a session's first call."""

    decision: Decision | None
    standing: Binding | None
    error: SidecarError | None = None


class _Ask(NamedTuple):
    """A call that must be waited for, with what is known of it."""

    call: Call
    resolved: Resolved
    routes: tuple[Route, ...]
    budget: CallBudget


class ModelSelector:
    """Decides. ``is_cooling`` tells which candidates are cooling."""

    def __init__(
        self,
        models: ModelTable,
        chooser: RouteClassifier,
        store: AffinityStore,
        clock: Clock,
        observers: Observers,
        is_cooling: Callable[[Candidate], bool],
    ) -> None:
        self._models = models
        self._chooser = chooser
        self._store = store
        self._clock = clock
        self._monotonic_s: Callable[[], float] = clock.monotonic_s
        self._observers = observers
        self._is_held = is_cooling
        self._has_routes = bool(chooser.routes)
        self._tasks = Tasks()
        self._flights: dict[str, asyncio.Task[_Flight]] = {}
        self._kept: dict[tuple[str, str | None, DialectName], tuple[Decision, float]] = {}

    def decide_nowait(self, call: Call) -> Decision | None:
        """What can be decided without waiting: a call without routes, or one whose pin is at hand.

        Raises: SidecarError, as `decide`.
        """
        if call.passthrough_provider is not None:
            return Decision(
                Source.REQUESTED, (self._models.passthrough(call.passthrough_provider),)
            )
        if call.facts.routing_preferences is not None:
            return None
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        if not self._has_routes:
            return self._models.requested(resolved, call.endpoint.dialect)
        session = session_of(call, resolved.model_name)
        if session is None:
            return None
        binding = self._store.get_nowait(session)
        if binding is None or (binding.provisional and self._chooser.may_ask(call.admitted_s)):
            return None
        return self._keep(binding, call)

    async def decide(self, call: Call) -> Decision:
        """The session's pin where there is one; else what the router model says, which becomes the
        pin.

        Raises: ModelNotFound, DialectNotServed, InvalidRoutingPreferences.
        """
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        is_routable = call.endpoint.operation is Operation.GENERATE
        routes = self._chooser.routes_of(call) if is_routable else ()
        if not (routes if is_routable else self._has_routes):
            return self._models.requested(resolved, call.endpoint.dialect)
        ask = _Ask(call, resolved, routes, self._store.budget())
        decision = await self._decide(ask, session_of(call, resolved.model_name))
        affinity_s = ask.budget.waited_s
        return decision if not affinity_s else dataclasses.replace(decision, affinity_s=affinity_s)

    async def look(self, call: Call) -> tuple[Choice | None, Decision]:
        """What the router model says to a call, pinned or not, and what `decide` would say; no pin
        is made or moved.

        Raises: ModelNotFound, DialectNotServed, InvalidRoutingPreferences.
        """
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        routes = self._chooser.routes_of(call)
        if not routes:
            return None, self._models.requested(resolved, call.endpoint.dialect)
        choice = await self._chooser.choose(call, routes, self._monotonic_s())
        session = session_of(call, resolved.model_name)
        binding = None if session is None else await self._store.get(session, self._store.budget())
        if (
            binding is not None
            and not self._is_open(binding, call)
            and self._is_among(binding, routes)
        ):
            kept = self._keep(binding, call)
            if kept is not None:
                return choice, kept
        return choice, self._decision_of(choice, _Ask(call, resolved, routes, self._store.budget()))

    async def aclose(self) -> None:
        """Give up what is under way."""
        await self._tasks.aclose()

    async def _decide(self, ask: _Ask, session: Session | None) -> Decision:
        binding = None if session is None else await self._store.get(session, ask.budget)
        seen: Binding | None = None
        bypass: AffinityOperation | None = None
        if binding is not None and session is not None:
            if self._is_open(binding, ask.call):
                seen = binding
            elif not self._is_among(binding, ask.routes):
                bypass = _NOT_ON_LIST
            elif (kept := self._keep(binding, ask.call)) is not None:
                return kept
            elif self._models.entries_of(binding.model_name):
                bypass = _OTHER_DIALECT
            elif may_be_replaced(binding, self._clock.unix_s()):
                seen = binding
            else:
                bypass = _UNKNOWN_MODEL
            if bypass is not None:
                # The call is served without its session's pin, which stays as it is.
                self._observers.emit(bypass)
                session = None
        if (
            ask.call.endpoint.operation is not Operation.GENERATE
            or ask.call.facts.holds_provider_state
        ):
            return self._models.requested(ask.resolved, ask.call.endpoint.dialect)
        if session is None:
            return await self._route(ask)
        return await self._route_once(session, ask, seen)

    async def _route_once(self, session: Session, ask: _Ask, seen: Binding | None) -> Decision:
        """Route and pin; first calls of one session that come together ask once, and the others
        adopt.
        """
        flight = self._flights.get(session.lane_key)
        if flight is None:
            # A task of its own: a first caller that goes away does not cancel it for the others.
            flight = self._flights[session.lane_key] = self._tasks.spawn(
                self._fly(session, ask, seen), name="first call"
            )
            flight.add_done_callback(lambda _: self._flights.pop(session.lane_key, None))
            flown = await asyncio.shield(flight)
            if flown.error is not None:
                raise flown.error
            assert flown.decision is not None
            return flown.decision
        began_s = self._monotonic_s()
        flown = await asyncio.shield(flight)
        waited_s = self._monotonic_s() - began_s
        kept = None if flown.standing is None else self._adopt(flown.standing, ask)
        if kept is not None:
            return dataclasses.replace(kept, router_s=waited_s)
        return await self._route(
            ask, waited_s
        )  # what the first one found is of no use to this call

    async def _fly(self, session: Session, ask: _Ask, seen: Binding | None) -> _Flight:
        try:
            decision = await self._route(ask)
        except SidecarError as error:
            return _Flight(None, None, error)
        claimed = self._pin_of(decision, ask, 1 if seen is None else seen.generation + 1)
        if claimed is None:
            return _Flight(decision, None)
        if seen is None:
            standing = await self._store.claim(session, claimed, ask.budget)
            if (
                standing.provisional
                and not claimed.provisional
                and not self._is_open(standing, ask.call)
            ):
                return _Flight(self._adopt(standing, ask) or decision, standing)
            seen = (
                standing
                if standing != claimed and standing.provisional and not claimed.provisional
                else None
            )
        if seen is not None:
            is_kept = claimed.provisional and seen.provisional
            standing = (
                seen if is_kept else await self._store.replace(session, seen, claimed, ask.budget)
            )
        if standing == claimed:
            made = dataclasses.replace(
                decision, pinned_model=claimed.model_name, claimed_generation=claimed.generation
            )
            return _Flight(made, standing)
        return _Flight(self._adopt(standing, ask) or decision, standing)

    def _pin_of(self, decision: Decision, ask: _Ask, generation: int) -> Binding | None:
        return as_written(
            Binding(
                model_name=decision.candidates[0].model_name,
                route_name=decision.route_name,
                requested_model=ask.resolved.model_name,
                generation=generation,
                bound_at_unix_s=self._clock.unix_s(),
                provisional=decision.source is Source.FALLBACK,
            )
        )

    def _adopt(self, standing: Binding, ask: _Ask) -> Decision | None:
        """The decision of a pin that another call has made; None where it is of no use to this
        one.
        """
        return self._keep(standing, ask.call) if self._is_among(standing, ask.routes) else None

    async def _route(self, ask: _Ask, waited_s: float = 0.0) -> Decision:
        """Ask the router model; whatever it does, there is a decision. ``waited_s`` of its deadline
        are spent.
        """
        choice = await self._chooser.choose(ask.call, ask.routes, self._monotonic_s(), waited_s)
        if RouterAsked in self._observers.heard:
            self._observers.emit(RouterAsked(choice.asked.outcome, choice.asked.waited_s))
        return self._decision_of(choice, ask)

    def _decision_of(self, choice: Choice, ask: _Ask) -> Decision:
        router_s = choice.asked.waited_s
        if choice.route is not None and choice.ranked is not None:
            name = choice.route.name
            metric_route = name if self._chooser.is_configured(ask.routes) else "other"
            return Decision(Source.ROUTED, choice.ranked.candidates, name, router_s, metric_route)
        if choice.asked.is_fallback:
            return Decision(Source.FALLBACK, self._fallbacks_of(ask), router_s=router_s)
        requested = self._models.requested(ask.resolved, ask.call.endpoint.dialect)
        return dataclasses.replace(requested, router_s=router_s)

    def _fallbacks_of(self, ask: _Ask) -> tuple[Candidate, ...]:
        """The requested model's candidates; where it does not speak the dialect, those of the
        routes that do: a router model that fails must not fail a call that it would have sent to
        one of them.
        """
        own = ask.resolved.decision.candidates
        if own:
            return own
        dialect = ask.call.endpoint.dialect
        listed = dict.fromkeys(
            each for route in ask.routes for each in route.candidates if dialect in each.dialects
        )
        return tuple(listed) or self._models.requested(ask.resolved, dialect).candidates

    def _is_open(self, binding: Binding, call: Call) -> bool:
        """Whether the router model may be asked again: its answer was missed, and the conversation
        begins anew.
        """
        if not binding.provisional or call.endpoint.operation is not Operation.GENERATE:
            return False
        if not self._chooser.may_ask(call.admitted_s):
            return False  # it would only be missed once more
        return all(turn.role != "assistant" for turn in prompt_facts(call.dialect, call.body).turns)

    def _is_among(self, binding: Binding, routes: tuple[Route, ...]) -> bool:
        """Whether a pin may hold where a body brought its own list."""
        if not routes or self._chooser.is_configured(routes):
            return True
        return any(
            binding.model_name == each.model_name for route in routes for each in route.candidates
        )

    def _keep(self, binding: Binding, call: Call) -> Decision | None:
        """The pin's decision; None where its model is not configured here, or does not speak the
        call's dialect.
        """
        dialect = call.endpoint.dialect
        key = (binding.model_name, binding.route_name, dialect)
        kept = self._kept.get(key)
        decision = None if kept is None or kept[1] < call.admitted_s else kept[0]
        if decision is None:
            usable = self._models.candidates_of(binding.model_name, dialect)
            decision = keep_binding(
                binding, usable, self._followers(binding, dialect, call.admitted_s)
            )
            if decision is None:
                return None
            if len(self._kept) >= _KEPT_AT_MOST:
                self._kept.clear()
            self._kept[key] = decision, call.admitted_s + _KEPT_FOR_S
        if (
            binding.home is not None
            and _may_go_home(call)
            and tries_home(binding, self._clock.unix_s())
        ):
            homes = self._models.candidates_of(binding.home, dialect)
            if not all(self._is_held(home) for home in homes):
                return sent_home(decision, homes)
        return decision

    def _followers(
        self, binding: Binding, dialect: DialectName, now_s: float
    ) -> tuple[Candidate, ...]:
        """What comes after a pinned model: the rest of its route in rank order, else its
        fallbacks.
        """
        if binding.route_name is not None:
            return self._chooser.followers(binding.route_name, dialect, now_s)
        if not self._models.candidates_of(binding.model_name, dialect):
            return ()
        return self._models.resolve(binding.model_name, dialect).decision.candidates


def _may_go_home(call: Call) -> bool:
    """Whether a call can tell if its session's home is well again: a count of tokens has limits of
    its own, and what a call goes on from was answered where the session is now.
    """
    return call.endpoint.operation is Operation.GENERATE and not call.facts.holds_provider_state

"""Decisions made from what is at hand: nothing here waits, and nothing is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from sidecar.affinity.policy import home_first, keep_binding, may_be_replaced, tries_home
from sidecar.affinity.session import KEY_PREFIX, session_of
from sidecar.affinity.value import as_written
from sidecar.dialects.base import TurnsOf
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Candidate, Decision, Route, Source
from sidecar.domain.ids import Session
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.preferences import Routes
from sidecar.routing.rank import Ranked
from sidecar.routing.resolved import Resolved
from sidecar.routing.table import ModelTable
from sidecar.runtime.bounded import BoundedMap
from sidecar.selection.steps import PinState

_PLANS_KEPT: Final = 1024
"""Plans of pins that are remembered; a wildcard's model names are the clients' to invent."""
_PLAN_KEPT_S: Final = 5.0
"""Prices and speeds, which rank the models behind a pin, change slowly."""


@final
@dataclass(init=False, unsafe_hash=True)
class Situation:
    """A call with what is found out about it once, before any waiting."""

    call: Final[Call]
    resolved: Final[Resolved]
    """What the requested model stands for."""
    routes: Final[tuple[Route, ...]]
    """The routes in effect: the body's own list, else the configured ones."""
    session: Final[Session | None]
    """None for a call that stands alone."""
    is_routable: Final[bool]
    """Whether the router model may choose: not for a count of tokens, and not for a call that only
    the provider of the one before it can serve."""

    def __init__(
        self,
        call: Call,
        resolved: Resolved,
        routes: tuple[Route, ...],
        session: Session | None,
        is_routable: bool,
    ) -> None:
        self.call = call
        self.resolved = resolved
        self.routes = routes
        self.session = session
        self.is_routable = is_routable


class Decisions:
    """Makes decisions from facts.

    Args: ``is_cooling`` tells whether a candidate is left alone for the moment; ``may_ask`` whether
        the router model would be asked at a time (monotonic seconds), None: there is none;
        ``turns_of`` reads a call's conversation.
    """

    def __init__(
        self,
        models: ModelTable,
        routes: Routes,
        clock: Clock,
        is_cooling: Callable[[Candidate], bool],
        may_ask: Callable[[float], bool] | None,
        turns_of: TurnsOf,
    ) -> None:
        self._models = models
        self._routes = routes
        self._clock = clock
        self._is_cooling = is_cooling
        self._may_ask = may_ask
        self._turns_of = turns_of
        self._plans: BoundedMap[tuple[str, str | None, DialectName], tuple[Decision, float]] = (
            BoundedMap(_PLANS_KEPT)
        )

    def situation_of(self, call: Call, key_prefix: str = KEY_PREFIX) -> Situation:
        """Resolve a call's model, find its routes, and name its session.

        Args: ``key_prefix`` is what the keys of the store begin with.
        Raises: ModelNotFound, InvalidRoutingPreferences.
        """
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        is_generate = call.endpoint.operation is Operation.GENERATE
        routes = self._routes.in_effect
        if is_generate and call.facts.routing_preferences is not None:
            routes = self._routes.of_call(call)
        return Situation(
            call,
            resolved,
            routes,
            session_of(call, resolved.model_name, key_prefix) if routes else None,
            is_generate and bool(routes) and not call.facts.holds_provider_state,
        )

    def passthrough(self, provider: str) -> Decision:
        """Return the decision of a path that the config gives to one provider entry."""
        candidates = (self._models.passthrough(provider),)
        return Decision(Source.REQUESTED, candidates, requested=candidates)

    def requested(self, situation: Situation) -> Decision:
        """Return the decision for the requested model and its fallbacks.

        Raises: DialectNotServed.
        """
        return self._models.requested(situation.resolved, situation.call.endpoint.dialect)

    def state_of(self, pin: Binding, situation: Situation) -> PinState:
        """Return what a session's pin means to a call."""
        if pin.provisional and self._is_open(situation):
            return PinState.PROVISIONAL
        is_own_list = situation.routes is not self._routes.configured
        if is_own_list and not _is_listed(pin, situation.routes):
            return PinState.OFF_LIST
        if self._plan_of(pin, situation.call) is not None:
            return PinState.USABLE
        if self._models.entries_of(pin.model_name):
            return PinState.OTHER_DIALECT
        if may_be_replaced(pin, self._clock.unix_s()):
            return PinState.OUTDATED
        return PinState.UNKNOWN_MODEL

    def firm(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return the decision of a pin that is usable at first sight: a firm one, for a call that
        brings no list of its own. None for any other pin: `state_of` says what that one means.
        """
        if pin.provisional or situation.routes is not self._routes.configured:
            return None
        return self.pinned(pin, situation)

    def pinned(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return the decision that a pin makes for a call of its session; None where its model
        cannot serve the call.
        """
        call = situation.call
        plan = self._plan_of(pin, call)
        if plan is None:
            return None
        candidates, returns_home = plan.candidates, False
        if pin.home is not None and _may_go_home(call) and tries_home(pin, self._clock.unix_s()):
            homes = self._models.candidates_of(pin.home, call.endpoint.dialect)
            if not all(map(self._is_cooling, homes)):
                candidates, returns_home = home_first(candidates, homes), True
        return Decision(
            Source.PINNED,
            candidates,
            pin.route_name,
            0.0,
            plan.metric_route,
            returns_home,
            situation.session,
            pin,
            requested=situation.resolved.decision.requested,
        )

    def adopted(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return the decision of a pin that another call has just made; None where it is of no use
        to this call.
        """
        is_own_list = situation.routes is not self._routes.configured
        if is_own_list and not _is_listed(pin, situation.routes):
            return None
        return self.pinned(pin, situation)

    def claimed(self, decision: Decision, pin: Binding, session: Session) -> Decision:
        """Return a call's own decision once its pin stands."""
        return dataclasses.replace(decision, session=session, binding=pin, is_claimed=True)

    def may_replace(self, own: Binding, standing: Binding, situation: Situation) -> bool:
        """Return whether a call may put its own pin in the place of another call's."""
        return standing.provisional and not own.provisional and self._is_open(situation)

    def ranking_of(
        self, verdict: RouterVerdict, situation: Situation, now_s: float
    ) -> Ranked | None:
        """Return the candidates of the route that the router model named, in rank order; None where
        it named none.

        Raises: DialectNotServed.
        """
        for route in situation.routes:
            if route.name == verdict.route_name:
                return self._routes.ranked(route, situation.call.endpoint.dialect, now_s)
        return None

    def routed(
        self, verdict: RouterVerdict, ranked: Ranked | None, situation: Situation
    ) -> Decision:
        """Return the decision that follows from what the router model said.

        Raises: DialectNotServed.
        """
        requested = situation.resolved.decision.requested
        if ranked is not None:
            name = verdict.route_name
            # The names of a call's own list are the clients' to invent: no metric labels.
            is_own_list = situation.routes is not self._routes.configured
            metric_route = "other" if is_own_list else name or "other"
            return Decision(
                Source.ROUTED,
                ranked.candidates,
                name,
                verdict.waited_s,
                metric_route,
                requested=requested,
            )
        if verdict.is_fallback:
            candidates = self._fallbacks_of(situation)
            waited_s = verdict.waited_s
            return Decision(Source.FALLBACK, candidates, router_s=waited_s, requested=requested)
        return dataclasses.replace(self.requested(situation), router_s=verdict.waited_s)

    def pin_of(self, decision: Decision, lane: str, generation: int) -> Binding | None:
        """Return the pin that a routed call would make; None where its names cannot be written."""
        return as_written(
            Binding(
                model_name=decision.candidates[0].model_name,
                route_name=decision.route_name,
                requested_model=lane,
                generation=generation,
                bound_at_unix_s=self._clock.unix_s(),
                provisional=decision.source is Source.FALLBACK,
            )
        )

    def _fallbacks_of(self, situation: Situation) -> tuple[Candidate, ...]:
        """Return the requested model's candidates; where it does not speak the dialect, those of
        the routes that do: a router model that fails must not fail a call that it would have sent
        to one of them.
        """
        own = situation.resolved.decision.candidates
        if own:
            return own
        dialect = situation.call.endpoint.dialect
        listed = dict.fromkeys(
            each
            for route in situation.routes
            for each in route.candidates
            if dialect in each.dialects
        )
        return tuple(listed) or self.requested(situation).candidates

    def _is_open(self, situation: Situation) -> bool:
        """Return whether a provisional pin may be replaced: the router model can be asked now, and
        the conversation begins.
        """
        call = situation.call
        if call.endpoint.operation is not Operation.GENERATE:
            return False
        if self._may_ask is None or not self._may_ask(call.admitted_s):
            return False  # the router model's opinion would be missed once more
        return all(turn.role != "assistant" for turn in self._turns_of(call))

    def _plan_of(self, pin: Binding, call: Call) -> Decision | None:
        """Return what all pins to a model make of calls in a dialect; kept for a few seconds."""
        dialect = call.endpoint.dialect
        key = (pin.model_name, pin.route_name, dialect)
        kept = self._plans.get(key)
        if kept is not None and kept[1] >= call.admitted_s:
            return kept[0]
        usable = self._models.candidates_of(pin.model_name, dialect)
        if not usable:
            return None
        if pin.route_name is not None:
            followers = self._routes.followers(pin.route_name, dialect, call.admitted_s)
        else:
            followers = self._models.resolve(pin.model_name, dialect).decision.candidates
        plan = keep_binding(pin, usable, followers)
        self._plans.add(key, (plan, call.admitted_s + _PLAN_KEPT_S))
        return plan


def _is_listed(pin: Binding, routes: tuple[Route, ...]) -> bool:
    """Return whether a body's own list names a pin's model."""
    return any(pin.model_name == each.model_name for route in routes for each in route.candidates)


def _may_go_home(call: Call) -> bool:
    """Return whether a call can tell if its session's home is well again: a count of tokens has
    limits of its own, and a call that refers to a stored response belongs where that was made.
    """
    return call.endpoint.operation is Operation.GENERATE and not call.facts.holds_provider_state

"""What a pin makes of a call of its session: where it is tried, in which order. Nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sidecar.affinity.policy import home_first, is_home, is_pinned, keep_binding, tries_home
from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Candidate, Decision, Source
from sidecar.routing.preferences import Routes
from sidecar.routing.table import ModelTable
from sidecar.runtime.bounded import BoundedMap
from sidecar.selection.situation import Situation

_PLANS_KEPT: Final = 1024
"""Plans of pins that are remembered; a wildcard's model names are the clients' to invent."""
_PLAN_KEPT_S: Final = 5.0
"""Prices and speeds, which rank the models behind a pin, change slowly."""

_PlanKey = tuple[str, str | None, str | None, str, str]
"""Model, entry and route of a pin; what was asked for, where there is no route; the dialect."""


class PinPlans:
    """Makes plans of pins.

    Args: ``is_cooling`` tells whether a candidate is left alone for the moment; ``dialects`` read a
        call's conversation.
    """

    def __init__(
        self,
        models: ModelTable,
        routes: Routes,
        clock: Clock,
        is_cooling: Callable[[Candidate], bool],
        dialects: DialectRegistry,
    ) -> None:
        self._models = models
        self._routes = routes
        self._clock = clock
        self._is_cooling = is_cooling
        self._dialects = dialects
        self._plans: BoundedMap[_PlanKey, tuple[Decision, float]] = BoundedMap(_PLANS_KEPT)

    def is_listed(self, pin: Binding, situation: Situation) -> bool:
        """Return whether a pin is among the candidates to which its call restricts itself. An entry
        that is not configured here is on no list: then the model decides.
        """
        choices = self._choices(situation)
        if choices is None or any(is_pinned(pin, each) for each in choices):
            return True
        if any(is_pinned(pin, each) for each in self._models.entries_of(pin.model_name)):
            return False
        return any(each.model_name == pin.model_name for each in choices)

    def pinned(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return the decision that a pin makes for a call of its session; None where its model
        cannot serve the call.
        """
        plan = self.plan_of(pin, situation)
        if plan is None:
            return None
        candidates, returns_home = plan.candidates, False
        if pin.home is not None:
            homes = self._homes_of(pin, situation)
            candidates, returns_home = home_first(candidates, homes), bool(homes)
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

    def plan_of(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return what all pins like this one make of calls like this one; kept for a few seconds.
        None where no candidate of the pinned model speaks the call's dialect.
        """
        call, has_own_list = situation.call, situation.has_own_list
        dialect, route_name = call.endpoint.dialect, pin.route_name
        lane = "" if route_name is not None else situation.resolved.model_name
        key = (pin.model_name, pin.provider, route_name, lane, dialect)
        kept = None if has_own_list else self._plans.get(key)
        if kept is not None and kept[1] >= call.admitted_s:
            return kept[0]
        usable = self._models.candidates_of(pin.model_name, dialect)
        if not usable:
            return None
        followers = self._followers(pin, situation)
        metric_route = "none"
        if route_name is not None:
            # Names that the config does not have are the clients' to invent: no metric labels.
            is_known = situation.routes and followers and not has_own_list
            metric_route = route_name if is_known else "other"
        plan = keep_binding(pin, usable, followers, metric_route)
        if not has_own_list:
            self._plans.add(key, (plan, call.admitted_s + _PLAN_KEPT_S))
        return plan

    def _choices(self, situation: Situation) -> tuple[Candidate, ...] | None:
        """Return the candidates to which a call restricts its pin: those of its own list, or the
        requested ones where it is not routed. None where any will do.
        """
        if not situation.routes:
            return situation.resolved.decision.candidates
        if not situation.has_own_list:
            return None
        return tuple(each for route in situation.routes for each in route.candidates)

    def _homes_of(self, pin: Binding, situation: Situation) -> tuple[Candidate, ...]:
        """Return the candidates of a session's home if this call is to try them first, else none.

        That is where the next return is due, home does not cool, and the conversation's newest turn
        holds nothing that only the session's present provider can read.
        """
        call = situation.call
        if not _may_go_home(call) or not tries_home(pin, self._clock.unix_s()):
            return ()
        assert pin.home is not None  # else no return would be due
        entries = self._models.candidates_of(pin.home, call.endpoint.dialect)
        choices = self._choices(situation)
        homes = tuple(
            each for each in entries if is_home(pin, each) and (choices is None or each in choices)
        )
        if all(map(self._is_cooling, homes)) or self._dialects.is_newest_turn_signed(call):
            return ()
        return homes

    def _followers(self, pin: Binding, situation: Situation) -> tuple[Candidate, ...]:
        """Return the candidates among which a pinned one was chosen, in the order in which they are
        tried.
        """
        call, dialect = situation.call, situation.call.endpoint.dialect
        if pin.route_name is not None and situation.routes:
            if not situation.has_own_list:
                return self._routes.followers(pin.route_name, dialect, call.admitted_s)
            return tuple(
                each
                for route in situation.routes
                for each in route.candidates
                if pin.route_name == route.name and dialect in each.served
            )
        requested = situation.resolved.decision.candidates
        if any(each.model_name == pin.model_name for each in requested):
            return requested
        return self._models.resolve(pin.model_name, dialect).decision.candidates


def _may_go_home(call: Call) -> bool:
    """Return whether a call can tell if its session's home is well again: a count of tokens has
    limits of its own, and a call that refers to a stored response belongs where that was made.
    """
    return call.endpoint.operation is Operation.GENERATE and not call.facts.holds_provider_state

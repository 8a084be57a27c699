"""Decisions made from what is at hand: nothing here waits, and nothing is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sidecar.affinity.policy import home_first, is_pinned, may_be_replaced
from sidecar.affinity.session import KEY_PREFIX, session_of
from sidecar.affinity.value import as_written
from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Candidate, Decision, Source
from sidecar.domain.ids import Session
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.preferences import Routes
from sidecar.routing.rank import Ranked
from sidecar.routing.table import ModelTable
from sidecar.runtime.steps import at_once
from sidecar.selection.pin_plans import PinPlans
from sidecar.selection.situation import Situation
from sidecar.selection.steps import CallKind, PinState


class Decisions:
    """Makes decisions from facts.

    Args: ``is_cooling`` tells whether a candidate is left alone for the moment; ``may_ask`` whether
        the router model would be asked at a time (monotonic seconds), None: there is none;
        ``dialects`` read a call's conversation.
    """

    def __init__(
        self,
        models: ModelTable,
        routes: Routes,
        clock: Clock,
        is_cooling: Callable[[Candidate], bool],
        may_ask: Callable[[float], bool] | None,
        dialects: DialectRegistry,
    ) -> None:
        self._models = models
        self._routes = routes
        self._clock = clock
        self._is_cooling = is_cooling
        self._may_ask = may_ask
        self._dialects = dialects
        self._pins = PinPlans(models, routes, clock, is_cooling, dialects)

    def situation_of(self, call: Call, key_prefix: str = KEY_PREFIX) -> Situation:
        """Resolve a call's model, find its routes, and name its session.

        Args: ``key_prefix`` is what the keys of the store begin with.
        Raises: ModelNotFound, InvalidRoutingPreferences.
        """
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        is_generate = call.endpoint.operation is Operation.GENERATE
        routes, requested = self._routes.in_effect, call.facts.requested_model
        if self._routes.route_only and not self._routes.are_for(requested, resolved.model_name):
            routes = ()
        if is_generate and call.facts.routing_preferences is not None:
            routes = self._routes.of_call(call)
        has_choice = bool(routes) or len(resolved.decision.requested) > 1
        session = session_of(call, resolved.model_name, key_prefix) if has_choice else None
        kind = CallKind.OTHER
        if is_generate and not call.facts.holds_provider_state:
            kind = CallKind.ROUTED if routes else CallKind.GROUPED
        has_own_list = routes is not self._routes.configured
        return Situation(call, resolved, routes, has_own_list, session, kind)

    def requested(self, situation: Situation) -> Decision:
        """Return the decision for the requested model and its fallbacks.

        Raises: DialectNotServed.
        """
        return self._models.requested(situation.resolved, situation.call.endpoint.dialect)

    def state_of(self, pin: Binding, situation: Situation) -> PinState:
        """Return what a session's pin means to a call."""
        if pin.provisional and self._is_open(situation):
            return PinState.PROVISIONAL
        is_listed = self._pins.is_listed(pin, situation)
        if not is_listed and situation.has_own_list:
            return PinState.OFF_LIST
        if not self._models.entries_of(pin.model_name):
            is_old = may_be_replaced(pin, self._clock.unix_s())
            return PinState.OUTDATED if is_old else PinState.UNKNOWN_MODEL
        if not is_listed:
            return PinState.OFF_LIST
        is_usable = self._pins.plan_of(pin, situation) is not None
        return PinState.USABLE if is_usable else PinState.OTHER_DIALECT

    def firm(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return the decision of a pin that is usable at first sight: a firm one, for a call that
        the configured routes apply to. None for any other pin: `state_of` says what that one means.
        """
        if pin.provisional or situation.has_own_list or not situation.routes:
            return None
        return self._pins.pinned(pin, situation)

    def pinned(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return the decision that a pin makes for a call of its session; None where its model
        cannot serve the call.
        """
        return self._pins.pinned(pin, situation)

    def adopted(self, pin: Binding, situation: Situation) -> Decision | None:
        """Return the decision of a pin that another call has just made; None where it is of no use
        to this call.
        """
        is_listed = self._pins.is_listed(pin, situation)
        return self._pins.pinned(pin, situation) if is_listed else None

    def claimed(self, decision: Decision, pin: Binding, session: Session) -> Decision:
        """Return a call's own decision once its pin stands: the pinned candidate goes first."""
        candidates = decision.candidates
        if pin.provider != candidates[0].provider:
            candidates = home_first(
                candidates, tuple(each for each in candidates if is_pinned(pin, each))
            )
        return dataclasses.replace(
            decision, candidates=candidates, session=session, binding=pin, is_claimed=True
        )

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
            metric_route = "other" if situation.has_own_list else name or "other"
            return Decision(
                Source.ROUTED,
                ranked.candidates,
                name,
                verdict.waited_s,
                metric_route,
                requested=requested,
                routing=RoutingFacts(
                    verdict.outcome,
                    ranked.prefer,
                    ranked.candidates,
                    ranked.numbers,
                    ranked.is_exploring,
                    verdict.confidence,
                ),
            )
        facts = RoutingFacts(verdict.outcome, confidence=verdict.confidence)
        if verdict.is_fallback:
            candidates = self._fallbacks_of(situation)
            return Decision(
                Source.FALLBACK,
                candidates,
                router_s=verdict.waited_s,
                requested=requested,
                routing=facts,
            )
        decision = self.requested(situation)
        return dataclasses.replace(decision, router_s=verdict.waited_s, routing=facts)

    def pin_of(self, decision: Decision, situation: Situation, generation: int) -> Binding | None:
        """Return the pin that a call would make by its decision; None where its names cannot be
        written.

        Of several entries of the first model it names the first that does not cool: a session that
        begins has nothing at an account to come back to. None that would be sent the caller's own
        credential takes another's place: that may be good for one of them alone.

        It is provisional where the router model was needed and not heard, and where there are
        routes that this one call did without: the next conversation is routed.
        """
        chosen, *others = decision.candidates
        if others and others[0].model_name == chosen.model_name:
            entries = [each for each in others if each.model_name == chosen.model_name]
            usable = [chosen, *(each for each in entries if not each.passthrough_auth)]
            chosen = next((each for each in usable if not self._is_cooling(each)), chosen)
        is_unrouted = not situation.routes and bool(self._routes.in_effect)
        return as_written(
            Binding(
                model_name=chosen.model_name,
                route_name=decision.route_name,
                requested_model=situation.resolved.model_name,
                generation=generation,
                bound_at_unix_s=self._clock.unix_s(),
                provisional=decision.source is Source.FALLBACK or is_unrouted,
                provider=chosen.provider,
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
            if dialect in each.served
        )
        return tuple(listed) or self.requested(situation).candidates

    def _is_open(self, situation: Situation) -> bool:
        """Return whether a provisional pin may be replaced: the router model can be asked now, and
        the conversation begins.
        """
        call = situation.call
        if situation.kind is not CallKind.ROUTED:
            return False
        if self._may_ask is None or not self._may_ask(call.admitted_s):
            return False  # the router model's opinion would be missed once more
        turns = at_once(self._dialects.turns_of(call, None))
        return all(turn.role != "assistant" for turn in turns)

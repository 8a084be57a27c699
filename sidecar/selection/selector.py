"""Chooses the model of a call: its session's pin, or else what the router model says, which becomes
the pin.

This is the shell around `selection.steps` and `selection.decisions`: it reads, asks, writes and
waits, as they tell it to.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import Final, NamedTuple

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.store import AffinityStore, StoreUnreachable
from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Decision
from sidecar.domain.errors import SidecarError
from sidecar.domain.events import AffinityOperation, PinRead, RouterAsked
from sidecar.domain.ids import FLAG_SAMPLED, Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.routing.router import RouteClassifier
from sidecar.runtime.single_flight import SingleFlight
from sidecar.selection.decisions import Decisions
from sidecar.selection.fitting import Fitting
from sidecar.selection.look import Look
from sidecar.selection.path_selector import PathSelector, UndecidedPath
from sidecar.selection.situation import Situation
from sidecar.selection.steps import (
    BYPASSES,
    FIRST_STEPS,
    PinState,
    Step,
    pinning_step,
    standing_step,
)

_BYPASSED: Final = {
    state: AffinityOperation(PinOperation.BYPASS, outcome) for state, outcome in BYPASSES.items()
}


class Undecided(NamedTuple):
    """A call that must wait for its decision."""

    situation: Situation
    step: Step
    pin: Binding | None
    """The session's pin, as far as it was at hand."""
    bypass: PinOutcome | None = None
    """Why the call goes past that pin; None where it does not."""
    decided: Decision | None = None
    """What serves it if its first candidate can: that one serves it by translation."""


class _Landing(NamedTuple):
    """What came of a session's first call."""

    decision: Decision
    standing: Binding | None
    """The pin that stands now; None where none could be made."""


class OtherCalls(NamedTuple):
    """Who decides calls of which the table of models does not say enough."""

    paths: PathSelector
    """Those that are passed through."""
    fitting: Fitting
    """Those that may be translated."""


class ModelSelector:
    """Chooses models. Without a ``classifier`` no call is routed."""

    def __init__(
        self,
        decisions: Decisions,
        classifier: RouteClassifier | None,
        store: AffinityStore,
        clock: Clock,
        observers: Observers,
        others: OtherCalls,
    ) -> None:
        self._decisions = decisions
        self.others = others
        self._classifier = classifier
        self._store = store
        self._clock = clock
        self._observers = observers
        self._flights: SingleFlight[tuple[str, str], _Landing] = SingleFlight("first call")
        """First calls by their session's key and lane."""

    def decide_nowait(self, call: Call) -> Decision | Undecided | UndecidedPath:
        """Decide what can be decided without waiting; else return what `decide` needs.

        Raises: ModelNotFound, DialectNotServed, InvalidRoutingPreferences, PathNotFound.
        """
        if call.endpoint.operation is Operation.PASSTHROUGH:
            return self.others.paths.decide_nowait(call)
        situation = self._decisions.situation_of(call, self._store.key_prefix)
        pin: Binding | None = None
        found: Decision | Undecided | None
        if situation.session is None:
            found = None if situation.routes else self._decisions.requested(situation)
            state = PinState.NO_SESSION
        else:
            pin = self._store.get_nowait(situation.session)
            # What nearly all calls of a session meet, without a look into the table: it says the
            # same.
            found = None if pin is None else self._decisions.firm(pin, situation)
            state = PinState.UNREAD
        if found is None:
            if pin is not None:
                state = self._decisions.state_of(pin, situation)
            found = self._begin(situation, state, pin)
        if (
            isinstance(found, Decision)
            and call.endpoint.dialect not in found.candidates[0].dialects
        ):
            return Undecided(situation, Step.SERVE_OWN, pin, decided=found)
        return found

    async def decide(self, undecided: Undecided | UndecidedPath) -> Decision:
        """Decide a call, waiting for the store, the router model, and a look into its body where it
        would be translated.

        Raises: DialectNotServed, and what `Fitting.decision` raises.
        """
        is_path = isinstance(undecided, UndecidedPath)
        call = undecided.call if isinstance(undecided, UndecidedPath) else undecided.situation.call
        decision = None if isinstance(undecided, UndecidedPath) else undecided.decided
        if decision is None:
            budget, trace = self._store.budget(), call.trace
            came: PinOutcome | None
            if trace.flags & FLAG_SAMPLED:
                budget.trace_id = trace.trace_id
            if isinstance(undecided, UndecidedPath):
                decision, came = await self.others.paths.decide(undecided, budget)
            else:
                decision, came = await self._decide(undecided, budget)
            came = budget.trouble or came
            if came is not None:  # else the store was not asked
                waited_s = budget.waited_s
                decision = dataclasses.replace(decision, affinity_s=waited_s, pin_outcome=came)
        if is_path or call.endpoint.dialect in decision.candidates[0].dialects:
            return decision
        return await self.others.fitting.decision(call, decision)

    async def look(self, call: Call) -> Look:
        """Ask the router model about a call, pinned or not, and decide it; no pin is made,
        moved or renewed.

        Raises: ModelNotFound, DialectNotServed, InvalidRoutingPreferences.
        """
        situation = self._decisions.situation_of(call, self._store.key_prefix)
        routes, clock = situation.routes, self._clock
        pin = None
        if situation.session is not None:
            with contextlib.suppress(StoreUnreachable):
                pin = await self._store.pins.of_lane(situation.session)
        pinned = None
        if pin is not None and self._decisions.state_of(pin, situation) is PinState.USABLE:
            pinned = self._decisions.pinned(pin, situation)
        if self._classifier is None or not routes:
            return Look(pinned or self._decisions.requested(situation))
        began_s = clock.monotonic_s()
        prompt = await self._classifier.prompt_of(call, routes)
        prompt_s = clock.monotonic_s() - began_s
        verdict = await self._classifier.classify(call, routes)
        asked_s = clock.monotonic_s()
        ranked = self._decisions.ranking_of(verdict, situation, asked_s)
        rank_s = clock.monotonic_s() - asked_s
        decision = pinned or self._decisions.routed(verdict, ranked, situation)
        return Look(decision, routes, prompt, verdict, ranked, prompt_s, rank_s)

    async def aclose(self) -> None:
        """Give up what is under way."""
        await self._flights.aclose()

    def _begin(
        self, situation: Situation, state: PinState, pin: Binding | None
    ) -> Decision | Undecided:
        """Take the first step of a call, unless that means to wait."""
        step, bypass = FIRST_STEPS[state][situation.kind], None
        if state in _BYPASSED:
            bypass = BYPASSES[state]
            self._observers.emit(_BYPASSED[state])
        if step is Step.SERVE_PINNED and pin is not None:
            kept = self._decisions.pinned(pin, situation)
            assert kept is not None  # it is usable
            return kept
        if step is Step.SERVE_REQUESTED:
            requested = self._decisions.requested(situation)
            if bypass is None:
                return requested
            return dataclasses.replace(requested, pin_outcome=bypass)
        return Undecided(situation, step, pin, bypass)

    async def _decide(
        self, undecided: Undecided, budget: CallBudget
    ) -> tuple[Decision, PinOutcome | None]:
        """Decide, and return beside the decision what came of the session's pin."""
        situation, step, pin, outcome, _ = undecided
        session = situation.session
        if step is Step.READ_PIN and session is not None:
            is_heard = PinRead in self._observers.heard
            began_s = self._clock.monotonic_s() if is_heard else 0.0
            pin = await self._store.read(session, budget)
            if is_heard:
                waited_s = self._clock.monotonic_s() - began_s
                read = PinRead(situation.call, began_s, waited_s, pin is not None)
                self._observers.emit(read)
            outcome = PinOutcome.MISS if pin is None else PinOutcome.HIT
            state = PinState.NONE if pin is None else self._decisions.state_of(pin, situation)
            begun = self._begin(situation, state, pin)
            if not isinstance(begun, Undecided):
                return begun, begun.pin_outcome or outcome
            _, step, pin, bypass, _ = begun
            outcome = bypass or outcome
        if step is Step.ASK or session is None:
            return await self._route(situation), outcome
        seen = pin if step in (Step.ASK_AND_REPLACE, Step.REPLACE_REQUESTED) else None
        return await self._route_once(situation, session, seen, budget), outcome

    async def _route_once(
        self, situation: Situation, session: Session, seen: Binding | None, budget: CallBudget
    ) -> Decision:
        """Decide and pin. First calls of a lane that come together share one question to the router
        model, and all but the first adopt the pin.
        """
        flight = self._flights.get((session.key, session.lane))
        if flight is None:
            # A task of its own: a first caller that goes away does not cancel it for the others.
            work = self._route_and_pin(situation, session, seen, budget)
            flight = self._flights.start((session.key, session.lane), work)
            return (await asyncio.shield(flight)).decision
        began_s = self._clock.monotonic_s()
        try:
            standing = (await asyncio.shield(flight)).standing
        except SidecarError:
            standing = None  # the first call's own fault
        waited_s = self._clock.monotonic_s() - began_s
        kept = None if standing is None else self._decisions.adopted(standing, situation)
        if kept is not None:
            return dataclasses.replace(kept, router_s=waited_s)
        return await self._route(situation, waited_s)

    async def _route_and_pin(
        self, situation: Situation, session: Session, seen: Binding | None, budget: CallBudget
    ) -> _Landing:
        decision = await self._route(situation)
        call, first = situation.call, decision.candidates[0].model_name
        for each in decision.candidates:  # the pin may be made at any entry of the first model
            if each.model_name == first and call.endpoint.dialect not in each.dialects:
                decision = await self.others.fitting.decision(call, decision)
                break
        generation = 1 if seen is None else seen.generation + 1
        own = self._decisions.pin_of(decision, situation, generation)
        step = pinning_step(own, seen)
        if step is Step.SERVE_OWN or own is None:
            return _Landing(decision, None)
        standing = seen
        if step is Step.CLAIM:
            standing = seen = await self._store.claim(session, own, budget)
            may_replace = self._decisions.may_replace(own, standing, situation)
            step = standing_step(own, standing, may_replace=may_replace)
        if step is Step.REPLACE and seen is not None:
            standing = await self._store.replace(session, seen, own, budget)
            step = standing_step(own, standing, may_replace=False)
        if step is Step.SERVE_OWN:
            return _Landing(self._decisions.claimed(decision, own, session), own)
        assert standing is not None  # else there is nothing to adopt
        adopted = self._decisions.adopted(standing, situation)
        if adopted is not None:
            # It waited for the router model all the same.
            decision = dataclasses.replace(adopted, router_s=decision.router_s)
        return _Landing(decision, standing)

    async def _route(self, situation: Situation, waited_s: float = 0.0) -> Decision:
        """Ask the router model, if a route is in effect; whatever it does, there is a decision. The
        call has spent ``waited_s`` of the model's time before.

        Raises: DialectNotServed.
        """
        if not situation.routes:
            return self._decisions.requested(situation)
        assert self._classifier is not None  # else no route would be in effect
        now_s = self._clock.monotonic_s()
        verdict = await self._classifier.classify(situation.call, situation.routes, waited_s)
        ranked = self._decisions.ranking_of(verdict, situation, now_s)
        if RouterAsked in self._observers.heard:
            trace = situation.call.trace
            trace_id = trace.trace_id if trace.flags & FLAG_SAMPLED else ""
            asked = verdict.outcome, verdict.waited_s, verdict.cause, trace_id
            self._observers.emit(RouterAsked(*asked, situation.call, now_s))
        return self._decisions.routed(verdict, ranked, situation)

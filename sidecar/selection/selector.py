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
from sidecar.domain.decision import Binding, Decision, Route
from sidecar.domain.errors import SidecarError
from sidecar.domain.events import AffinityOperation, PinRead, RouterAsked
from sidecar.domain.ids import FLAG_SAMPLED, Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.rank import Ranked
from sidecar.routing.router import RouteClassifier
from sidecar.runtime.single_flight import SingleFlight
from sidecar.selection.decisions import Decisions
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


class _Landing(NamedTuple):
    """What came of a session's first call."""

    decision: Decision
    standing: Binding | None
    """The pin that stands now; None where none could be made."""


class Look(NamedTuple):
    """How a call would be decided, for a person to read."""

    decision: Decision
    routes: tuple[Route, ...] = ()
    """The routes in effect; without any, the router model was not asked."""
    prompt: str = ""
    verdict: RouterVerdict | None = None
    ranked: Ranked | None = None
    """The candidates of the route that the router model named."""
    prompt_s: float = 0.0
    """Seconds that it took to select the conversation's turns and to write the prompt."""
    rank_s: float = 0.0


class ModelSelector:
    """Chooses models. Without a ``classifier`` no call is routed."""

    def __init__(
        self,
        decisions: Decisions,
        classifier: RouteClassifier | None,
        store: AffinityStore,
        clock: Clock,
        observers: Observers,
        paths: PathSelector,
    ) -> None:
        """Args: ``paths`` decides calls that are passed through."""
        self._decisions = decisions
        self._paths = paths
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
            return self._paths.decide_nowait(call)
        situation = self._decisions.situation_of(call, self._store.key_prefix)
        if situation.session is None:
            if not situation.routes:
                return self._decisions.requested(situation)
            return self._begin(situation, PinState.NO_SESSION, None)
        pin = self._store.get_nowait(situation.session)
        if pin is None:
            return self._begin(situation, PinState.UNREAD, None)
        # What nearly all calls of a session meet, without a look into the table: it says the same.
        firm = self._decisions.firm(pin, situation)
        if firm is not None:
            return firm
        return self._begin(situation, self._decisions.state_of(pin, situation), pin)

    async def decide(self, undecided: Undecided | UndecidedPath) -> Decision:
        """Decide a call, waiting for the store and the router model.

        Raises: DialectNotServed.
        """
        budget, pin_outcome = self._store.budget(), None
        call = undecided.call if isinstance(undecided, UndecidedPath) else undecided.situation.call
        if call.trace.flags & FLAG_SAMPLED:
            budget.trace_id = call.trace.trace_id
        if isinstance(undecided, UndecidedPath):
            decision, pin_outcome = await self._paths.decide(undecided, budget)
        else:
            decision, pin_outcome = await self._decide(undecided, budget)
        pin_outcome = budget.trouble or pin_outcome
        if pin_outcome is None:
            return decision  # the store was not asked
        return dataclasses.replace(decision, affinity_s=budget.waited_s, pin_outcome=pin_outcome)

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
        prompt = self._classifier.prompt_of(call, routes)
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
        situation, step, pin, outcome = undecided
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
            _, step, pin, bypass = begun
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

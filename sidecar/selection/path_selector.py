"""Chooses the entry of a call that is passed through: the one that the config names for its path,
the one to which the call's session is pinned, or the one that can be meant without it.

Such a call makes no pin, moves none and drops none.
"""

from __future__ import annotations

from typing import NamedTuple

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.lanes import FIRST_LANE
from sidecar.affinity.session import make_session
from sidecar.affinity.store import AffinityStore
from sidecar.domain.call import Call
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Decision
from sidecar.domain.events import PinRead
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOutcome
from sidecar.routing.owners import PathOwners


class UndecidedPath(NamedTuple):
    """A call that is passed through, whose session's pin must be waited for."""

    call: Call
    session: Session


class PathSelector:
    """Chooses entries. ``owners`` know which can be meant."""

    def __init__(
        self, owners: PathOwners, store: AffinityStore, clock: Clock, observers: Observers
    ) -> None:
        self._owners = owners
        self._store = store
        self._clock = clock
        self._observers = observers

    def decide_nowait(self, call: Call) -> Decision | UndecidedPath:
        """Decide what can be decided without waiting; else return what `decide` needs.

        Raises: PathNotFound where no entry can be meant; ModelNotFound.
        """
        if call.passthrough_provider is not None:
            return self._owners.configured(call.passthrough_provider)
        session = self._session_of(call)
        if session is None:
            return self._owners.requested(call.endpoint, call.facts.requested_model)
        pin = self._store.get_nowait(session)
        return UndecidedPath(call, session) if pin is None else self._decided(call, pin)

    async def decide(
        self, undecided: UndecidedPath, budget: CallBudget
    ) -> tuple[Decision, PinOutcome]:
        """Decide a call, waiting for the store; return beside the decision what came of the
        session's pin.

        Raises: as `decide_nowait`.
        """
        call, session = undecided
        is_heard = PinRead in self._observers.heard
        began_s = self._clock.monotonic_s() if is_heard else 0.0
        pin = await self._store.read(session, budget)
        if is_heard:
            waited_s = self._clock.monotonic_s() - began_s
            self._observers.emit(PinRead(call, began_s, waited_s, pin is not None))
        return self._decided(call, pin), PinOutcome.MISS if pin is None else PinOutcome.HIT

    def _decided(self, call: Call, pin: Binding | None) -> Decision:
        """Return the decision that a session's pin makes, or that is made without it."""
        pinned = None if pin is None else self._owners.pinned(call.endpoint, pin)
        return pinned or self._owners.requested(call.endpoint, call.facts.requested_model)

    def _session_of(self, call: Call) -> Session | None:
        """Name the session whose pin tells where a call goes; None where it has none, or a pin
        could not change that.
        """
        owners, api_path, model = self._owners, call.endpoint.api_path, call.facts.requested_model
        is_of_session = api_path is not None and api_path.is_of_session
        if call.session_id is None or not is_of_session:
            return None
        if model is None and not owners.is_choice(call.endpoint):
            return None
        lane = owners.lane_of(model) or FIRST_LANE
        return make_session(call.session_id, call.tenant, lane, call.agent, self._store.key_prefix)

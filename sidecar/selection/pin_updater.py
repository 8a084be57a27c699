"""What becomes of a session's pin once its call has, or has not, been served.

Source of the rules: affinity.md, "When a pin is written, moved, dropped"; contract.md, "What a
failure means".
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.affinity.policy import moved, not_home
from sidecar.affinity.session import session_of
from sidecar.affinity.store import AffinityStore
from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Candidate, Decision
from sidecar.domain.ids import Session
from sidecar.routing.table import ModelTable
from sidecar.runtime.lifecycle import Tasks
from sidecar.upstream.attempts import FailedAttempt
from sidecar.upstream.failure import PinEffect


class PinUpdater:
    """Moves and drops pins in tasks of its own: no call waits for it, and none that ends cancels
    it.
    """

    def __init__(
        self, models: ModelTable, store: AffinityStore, clock: Clock, tasks: Tasks
    ) -> None:
        self._models = models
        self._store = store
        self._clock = clock
        self._tasks = tasks

    def served(
        self, call: Call, decision: Decision, served_by: Candidate, failed: Sequence[FailedAttempt]
    ) -> None:
        """Another candidate than the first one has answered: the session follows, on all pods. Not
        for a count of tokens: its limits are its own, and some providers do not serve it at all.
        """
        if decision.pinned_model is not None and call.endpoint.operation is Operation.GENERATE:
            work = self._follow(call, decision, served_by.model_name, failed)
            self._tasks.spawn(work, name="follow the session")

    def unserved(self, call: Call, decision: Decision, failed: Sequence[FailedAttempt]) -> None:
        """No candidate has served: the pin is dropped if this call made it and a failure says
        so.
        """
        if decision.claimed_generation and any(
            each.failure.pin is not PinEffect.UNTOUCHED for each in failed
        ):
            self._tasks.spawn(self._release(call, decision), name="release the pin")

    def unanswered(self, call: Call, decision: Decision) -> None:
        """Nobody has answered at all: the pin is dropped if this call made it."""
        if decision.claimed_generation:
            self._tasks.spawn(self._release(call, decision), name="release the pin")

    async def _follow(
        self, call: Call, decision: Decision, served_by: str, failed: Sequence[FailedAttempt]
    ) -> None:
        session, binding = await self._standing(call, decision)
        if session is None or binding is None:
            return
        now_s = self._clock.unix_s()
        if decision.returns_home and served_by == binding.model_name:
            is_gone = _moves(failed, binding.home)
            new = not_home(binding, is_gone=is_gone)
        elif served_by == binding.model_name:
            return  # another entry of the same model
        else:
            new = moved(binding, served_by, now_s, is_for_good=_moves(failed, binding.model_name))
        await self._store.replace(session, binding, new)

    async def _release(self, call: Call, decision: Decision) -> None:
        session, binding = await self._standing(call, decision)
        if (
            session is not None
            and binding is not None
            and binding.generation == decision.claimed_generation
        ):
            await self._store.release(session, binding)

    async def _standing(
        self, call: Call, decision: Decision
    ) -> tuple[Session | None, Binding | None]:
        """The session's pin, if it still is the one that the call was decided by: else others were
        quicker.
        """
        resolved = self._models.resolve(call.facts.requested_model, call.endpoint.dialect)
        session = session_of(call, resolved.model_name)
        binding = None if session is None else await self._store.get(session)
        if binding is None or binding.model_name != decision.pinned_model:
            return session, None
        return session, binding


def _moves(failed: Sequence[FailedAttempt], model_name: str | None) -> bool:
    """Whether a failure says that the model is no place to come back to."""
    return any(
        each.candidate.model_name == model_name and each.failure.pin is PinEffect.MOVES
        for each in failed
    )

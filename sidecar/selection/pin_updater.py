"""What becomes of a session's pin once its call has been served, or has not."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.affinity.policy import moved, not_home
from sidecar.affinity.store import AffinityStore
from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Candidate, Decision
from sidecar.runtime.lifecycle import Tasks
from sidecar.upstream.attempts import FailedAttempt
from sidecar.upstream.failure import PinEffect


class PinUpdater:
    """Moves and drops pins in tasks of its own: no call waits for that, and a cancelled call does
    not stop it.
    """

    def __init__(self, store: AffinityStore, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks

    def served(
        self, call: Call, decision: Decision, served_by: Candidate, failed: Sequence[FailedAttempt]
    ) -> None:
        """Move the pin to the candidate that served the call in the place of the first one, so that
        the session follows on all pods.

        A count of tokens moves nothing: it has limits of its own, and some providers lack it.
        """
        session, seen = decision.session, decision.binding
        if session is None or seen is None or call.endpoint.operation is not Operation.GENERATE:
            return
        standing = self._store.get_nowait(session) or seen
        pin = next_pin(decision, standing, served_by.model_name, failed, self._clock.unix_s())
        if pin is not None:
            work = self._store.replace(session, standing, pin)
            self._tasks.spawn(work, name="follow the session")

    def unserved(self, decision: Decision, failed: Sequence[FailedAttempt]) -> None:
        """Drop the pin of a call that no candidate has served, if the call made it and a failure
        says something about the model.
        """
        if any(each.failure.pin is not PinEffect.UNTOUCHED for each in failed):
            self.unreached(decision)

    def unreached(self, decision: Decision) -> None:
        """Drop the pin of a call that no candidate has responded to, if the call made it."""
        session, seen = decision.session, decision.binding
        if session is None or seen is None or not decision.is_claimed:
            return
        standing = self._store.get_nowait(session) or seen
        if is_same_pin(standing, seen):
            self._tasks.spawn(self._store.release(session, standing), name="release the pin")


def next_pin(
    decision: Decision,
    standing: Binding,
    served_by: str,
    failed: Sequence[FailedAttempt],
    now_unix_s: float,
) -> Binding | None:
    """Return the pin of a session whose call another candidate than the first one has served; None
    where the pin stays as it is.

    Args: ``standing`` is the pin that stands now; ``served_by`` the model that served the call.
    """
    seen = decision.binding
    if seen is None or standing.model_name != seen.model_name:
        return None  # another call has moved the pin meanwhile
    if served_by != standing.model_name:
        effects = _effects(failed, standing.model_name)
        if effects == {PinEffect.UNTOUCHED}:
            return None
        is_for_good = not effects.isdisjoint((PinEffect.MOVES, PinEffect.FOLLOWS))
        return moved(standing, served_by, now_unix_s, is_for_good=is_for_good)
    if decision.returns_home:
        return not_home(standing, is_gone=PinEffect.MOVES in _effects(failed, standing.home))
    return None  # another entry of the same model


def is_same_pin(standing: Binding, made: Binding) -> bool:
    """Return whether the pin that stands is the one that a call made."""
    return (standing.model_name, standing.generation) == (made.model_name, made.generation)


def _effects(failed: Sequence[FailedAttempt], model_name: str | None) -> set[PinEffect]:
    """Return what the failures of a model's entries say about a pin to it."""
    return {each.failure.pin for each in failed if each.candidate.model_name == model_name}

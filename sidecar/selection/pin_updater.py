"""What becomes of a session's pin once its call has been served, or has not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from sidecar.affinity.policy import is_home, is_pinned, may_be_replaced, moved, return_failed
from sidecar.affinity.store import AffinityStore
from sidecar.domain.call import Call, Operation
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding, Candidate, Decision
from sidecar.domain.errors import AppTimeout, UpstreamError
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.lifecycle import Tasks
from sidecar.upstream.attempts import Dispatched, FailedAttempt
from sidecar.upstream.failure import PinEffect, classify_body_error


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
        pin = next_pin(decision, standing, served_by, failed, self._clock.unix_s())
        if pin is not None:
            work = self._store.replace(session, standing, pin)
            self._tasks.spawn(work, name="follow the session")

    def unserved(self, decision: Decision, failed: Sequence[FailedAttempt]) -> None:
        """Drop the pin of a call that no candidate has served, if the call made it and a failure
        says something about the model.

        A return home that went on from there counts as failed.
        """
        seen = decision.binding
        if seen is not None and decision.returns_home:
            if any(is_home(seen, each.candidate) and each.failure.may_try_next for each in failed):
                self._space_returns(decision)
        elif any(each.failure.pin is not PinEffect.UNTOUCHED for each in failed):
            self._release(decision)

    def unreached(self, decision: Decision, error: UpstreamError) -> None:
        """Drop the pin that a call has made to which no candidate has responded, unless the app
        would not wait. A return home that came to nothing counts as failed.
        """
        if decision.returns_home:
            self._space_returns(decision)
        elif not isinstance(error, AppTimeout):
            self._release(decision)

    def broke_off(
        self,
        call: Call,
        decision: Decision,
        dispatched: Dispatched,
        error_event: bytes,
        is_cooling: Callable[[Candidate], bool],
    ) -> None:
        """Send a session elsewhere whose stream ended with its provider's error event, where that
        says something about the provider: the next call may fare better.
        """
        session, seen = decision.session, decision.binding
        if session is None or seen is None or call.endpoint.operation is not Operation.GENERATE:
            return
        if call.facts.holds_provider_state:
            return  # only there is what the next call refers to
        broken = dispatched.candidate
        failure = classify_body_error(error_event, passthrough_auth=broken.passthrough_auth)
        failed = (*dispatched.failed, FailedAttempt(broken, failure))
        standing = self._store.get_nowait(session) or seen
        pin = pin_elsewhere(decision, standing, failed, is_cooling, self._clock.unix_s())
        if pin is not None:
            work = self._store.replace(session, standing, pin)
            self._tasks.spawn(work, name="follow the session")

    def _release(self, decision: Decision) -> None:
        session, seen = decision.session, decision.binding
        if session is None or seen is None or not decision.is_claimed:
            return
        standing = self._store.get_nowait(session) or seen
        if is_same_pin(standing, seen):
            self._tasks.spawn(self._store.release(session, standing), name="release the pin")

    def _space_returns(self, decision: Decision) -> None:
        session, seen = decision.session, decision.binding
        assert session is not None and seen is not None  # noqa: PT018 - a pin was away from home
        standing = self._store.get_nowait(session) or seen
        if is_same_pin(standing, seen):
            pin = return_failed(standing, self._clock.unix_s(), is_gone=False)
            work = self._store.replace(session, standing, pin)
            self._tasks.spawn(work, name="space the returns")


def next_pin(
    decision: Decision,
    standing: Binding,
    served_by: Candidate,
    failed: Sequence[FailedAttempt],
    now_unix_s: float,
) -> Binding | None:
    """Return the pin of a session whose call another candidate than the first one has served; None
    where the pin stays as it is.

    Args: ``standing`` is the pin that stands now.
    """
    seen = decision.binding
    if seen is None or (seen.model_name, seen.provider) != (standing.model_name, standing.provider):
        return None  # another call has moved the pin meanwhile
    pin = standing
    if decision.returns_home:
        if is_home(standing, served_by):
            return moved(standing, None, served_by, now_unix_s, is_for_good=False)
        pin = _returned(seen, standing, failed, now_unix_s)
    pinned = next((each for each in decision.candidates if is_pinned(seen, each)), None)
    if pinned is None and may_be_replaced(standing, now_unix_s):  # no rollout lasts so long
        models = [each for each in decision.candidates if each.model_name == seen.model_name]
        pinned = models[0] if models else None
    effects = {each.failure.pin for each in failed if each.candidate == pinned}
    # Where the pinned entry is unknown here, nothing was learned of it, and where the call is what
    # failed, nothing of the candidate.
    if pinned is not None and served_by != pinned and effects != {PinEffect.UNTOUCHED}:
        is_for_good = not effects.isdisjoint((PinEffect.MOVES, PinEffect.FOLLOWS))
        pin = moved(pin, pinned.provider, served_by, now_unix_s, is_for_good=is_for_good)
        if served_by in decision.requested and _was_swapped(pinned, failed):
            return dataclasses.replace(pin, route_name=None)  # no model of the route took the call
    return None if pin is standing else pin


def pin_elsewhere(
    decision: Decision,
    standing: Binding,
    failed: Sequence[FailedAttempt],
    is_cooling: Callable[[Candidate], bool],
    now_unix_s: float,
) -> Binding | None:
    """Return the pin of a session whose stream broke off: at the next candidate that may serve it,
    or where it was before a return home; None where it stays as it is.

    Args: ``failed`` are the call's attempts, of which the last one brought the stream.
    """
    broken, seen = failed[-1].candidate, decision.binding
    effect = failed[-1].failure.pin
    if seen is None or effect is PinEffect.UNTOUCHED or not is_pinned(standing, broken):
        return None
    if decision.returns_home and is_home(seen, broken):
        pin = return_failed(seen, now_unix_s, is_gone=effect is PinEffect.MOVES)
        return dataclasses.replace(pin, generation=standing.generation + 1)
    tried = [each.candidate for each in failed]
    for each in decision.candidates:
        if each not in tried and not each.passthrough_auth and not is_cooling(each):
            is_for_good = effect is not PinEffect.AWAY
            return moved(standing, broken.provider, each, now_unix_s, is_for_good=is_for_good)
    return None


def is_same_pin(standing: Binding, made: Binding) -> bool:
    """Return whether the pin that stands is the one that a call made."""
    return (standing.model_name, standing.provider, standing.generation) == (
        made.model_name,
        made.provider,
        made.generation,
    )


def _returned(
    seen: Binding, standing: Binding, failed: Sequence[FailedAttempt], now_unix_s: float
) -> Binding:
    """Return the pin of a session that home has not served: the very same one where home was not
    tried, or another call has counted that already.
    """
    effects = {each.failure.pin for each in failed if is_home(standing, each.candidate)}
    if not effects or standing.failed_returns != seen.failed_returns:
        return standing
    return return_failed(standing, now_unix_s, is_gone=PinEffect.MOVES in effects)


def _was_swapped(pinned: Candidate, failed: Sequence[FailedAttempt]) -> bool:
    """Return whether the pinned candidate refused a call that was meant for another model."""
    return any(
        each.candidate == pinned and each.failure.failure_class is FailureClass.SWAPPED
        for each in failed
    )

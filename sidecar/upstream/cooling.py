"""Which candidates are better left alone for a while. Pure: time and jitter are passed in.

Kept by entry and model: an entry has one credential. Nothing here refuses a call; a plan is only
reordered.

Source of the rules: contract.md, "What a failure means" and "Cooling".
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from sidecar.domain.decision import Candidate, Plan
from sidecar.upstream.failure import Failure, Hold

EJECTED_S: Final = 300.0
"""How long a key, an account or a model that was refused goes last, unless the config is reloaded
before.
"""

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0
_FORGIVEN_S: Final = 60.0
"""A candidate that has not failed for so long after its time starts again with the shortest."""
_KEPT_AT_MOST: Final = 1024
"""Candidates; a wildcard's model names are the clients' to invent."""


class _Held:
    """A candidate that failed. On the monotonic clock."""

    __slots__ = ("due_s", "failed_s", "is_ejected", "metric_model", "streak")

    def __init__(self, now_s: float, metric_model: str) -> None:
        self.metric_model = metric_model
        """As metrics name the model: a wildcard's are the clients' to invent."""
        self.failed_s = now_s
        self.due_s = now_s
        self.streak = 0
        """Failures one after another, at most one for each time that it was let alone."""
        self.is_ejected = False


class Cooling:
    """What failures have told, for the life of a config."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        """Args: ``jitter`` is uniform in [0, 1)."""
        self._held: dict[tuple[str, str], _Held] = {}
        self._jitter = jitter

    def observe(self, candidate: Candidate, failure: Failure, now_s: float) -> None:
        """An attempt at ``candidate`` failed. Failures that leave candidates alone change
        nothing.
        """
        if failure.hold is Hold.NONE:
            return
        key = _key_of(candidate)
        held = self._held.pop(key, None)
        if held is None or now_s >= held.due_s + _FORGIVEN_S:
            held = _Held(now_s, candidate.metric_model)
        # Calls that were under way together fail together: they count once.
        if now_s >= held.due_s:
            held.streak += 1
            held.is_ejected = False
        held.failed_s = now_s
        held.is_ejected = held.is_ejected or failure.hold is Hold.EJECT
        held.due_s = max(held.due_s, now_s + self._wait_s(failure, held.streak))
        if len(self._held) >= _KEPT_AT_MOST:
            del self._held[next(iter(self._held))]
        self._held[key] = held

    def served(self, candidate: Candidate, sent_s: float) -> None:
        """A call that was sent at ``sent_s`` was served: a candidate that failed before that has
        recovered.
        """
        if not self._held:
            return
        key = _key_of(candidate)
        held = self._held.get(key)
        if held is not None and sent_s >= held.failed_s:
            del self._held[key]

    @property
    def holds_any(self) -> bool:
        """Whether any candidate has failed lately: where none has, `order` changes nothing."""
        return bool(self._held)

    def order(self, plan: Plan, now_s: float) -> Plan:
        """The plan with its cooling and ejected candidates last, the one due soonest first among
        them.

        Where all are held, that one alone is tried: its answer is the app's.
        """
        if not self._held:
            return plan
        ready: list[Candidate] = []
        waiting: list[tuple[float, int, Candidate]] = []
        for at, candidate in enumerate(plan.candidates):
            due_s = self.due_s(candidate, now_s)
            if due_s is None:
                ready.append(candidate)
            else:
                waiting.append((due_s, at, candidate))
        if not waiting:
            return plan
        waiting.sort(key=lambda held: held[:2])
        candidates = (*ready, *(candidate for _, _, candidate in waiting))
        return Plan(candidates, plan.max_attempts if ready else 1)

    def due_s(self, candidate: Candidate, now_s: float) -> float | None:
        """When a held candidate's time is over, on the monotonic clock; None where it is not
        held.
        """
        held = self._held.get(_key_of(candidate))
        return None if held is None or now_s >= held.due_s else held.due_s

    def reset_ejections(self, provider: str) -> None:
        """What an entry was ejected for has been mended."""
        for key in [
            key for key, held in self._held.items() if key[0] == provider and held.is_ejected
        ]:
            del self._held[key]

    def ejected(self, now_s: float) -> list[tuple[str, str]]:
        """(entry, model as metrics name it) of what is ejected now, each once: the ``ejected``
        gauge.
        """
        # Metrics are rendered in another thread, while calls go on to fail: the copy is one step of
        # the interpreter.
        ejected = (
            (key[0], held)
            for key, held in list(self._held.items())
            if held.is_ejected and now_s < held.due_s
        )
        return list(dict.fromkeys((provider, held.metric_model) for provider, held in ejected))

    def _wait_s(self, failure: Failure, streak: int) -> float:
        if failure.hold is Hold.EJECT:
            return max(EJECTED_S, failure.retry_after_s or 0.0)
        if failure.retry_after_s is not None:
            return failure.retry_after_s
        # The exponent is bounded so that no streak can overflow it.
        return min(_LONGEST_S, _FIRST_S * 2.0 ** min(streak - 1, 10) * (1.0 + self._jitter()))


def _key_of(candidate: Candidate) -> tuple[str, str]:
    return candidate.provider, candidate.upstream_model

"""Which candidates are better left alone for a while. Pure: time and jitter are passed in.

State is kept by provider entry and model, since an entry has one credential. No call is ever
refused for it; the candidates of a plan are only reordered.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from sidecar.domain.decision import Candidate, Plan
from sidecar.runtime.bounded import BoundedMap
from sidecar.upstream.failure import Failure, Penalty

EJECTED_S: Final = 300.0
"""How long an entry whose key, account or model was refused goes last, unless the config is
reloaded before.
"""

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0
_FORGIVEN_S: Final = 60.0
"""A candidate that does not fail for so long after a cooldown starts anew with the shortest one."""
_KEPT_AT_MOST: Final = 1024
"""Candidates; a wildcard's model names are the callers' to invent."""


class Cooldown:
    """A candidate that failed. Times are on the monotonic clock."""

    __slots__ = ("due_s", "failed_s", "is_ejected", "metric_model", "streak")

    def __init__(self, now_s: float, metric_model: str) -> None:
        self.metric_model = metric_model
        """As metrics name the model: a wildcard's own names are the callers' to invent."""
        self.failed_s = now_s
        self.due_s = now_s
        """From then on the candidate has its usual place in plans again."""
        self.streak = 0
        """Failures one after another. Those that come before `due_s` count as one."""
        self.is_ejected = False


class Cooling:
    """The cooldowns of all candidates that failed lately."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        """Args: ``jitter`` is uniform in [0, 1)."""
        self.cooldowns: BoundedMap[tuple[str, str], Cooldown] = BoundedMap(_KEPT_AT_MOST)
        """By provider entry and model. Where it is empty, `order` changes nothing and
        `observe_served` has nothing to learn: a call that finds it empty calls neither.
        """
        self._jitter = jitter

    def observe_failure(self, candidate: Candidate, failure: Failure, now_s: float) -> None:
        """An attempt at ``candidate`` failed. Without a penalty nothing changes."""
        if failure.penalty is Penalty.NONE:
            return
        key = candidate.provider, candidate.upstream_model
        cooldown = self.cooldowns.get(key)
        if cooldown is None or now_s >= cooldown.due_s + _FORGIVEN_S:
            cooldown = Cooldown(now_s, candidate.metric_model)
        # Calls that were under way together fail together: they count once.
        if now_s >= cooldown.due_s:
            cooldown.streak += 1
            cooldown.is_ejected = False
        cooldown.failed_s = now_s
        cooldown.is_ejected = cooldown.is_ejected or failure.penalty is Penalty.EJECT
        cooldown.due_s = max(cooldown.due_s, now_s + self._wait_s(failure, cooldown.streak))
        self.cooldowns.add(key, cooldown)

    def observe_served(self, candidate: Candidate, sent_s: float) -> None:
        """A call sent at ``sent_s`` was served: a candidate that failed before has recovered."""
        key = candidate.provider, candidate.upstream_model
        cooldown = self.cooldowns.get(key)
        if cooldown is not None and sent_s >= cooldown.failed_s:
            del self.cooldowns[key]

    def order(self, plan: Plan, now_s: float) -> Plan:
        """Return the plan with its cooling and ejected candidates last, the one due soonest first
        among them.

        Where all of them cool, only that one is tried: the app gets its reply, whatever it is.
        """
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
        waiting.sort(key=lambda entry: entry[:2])
        candidates = (*ready, *(candidate for _, _, candidate in waiting))
        return Plan(candidates, plan.max_attempts if ready else 1, plan.requested)

    def due_s(self, candidate: Candidate, now_s: float) -> float | None:
        """Return when the candidate's cooldown ends, on the monotonic clock; None where it does
        not cool now.
        """
        cooldown = self.cooldowns.get((candidate.provider, candidate.upstream_model))
        return None if cooldown is None or now_s >= cooldown.due_s else cooldown.due_s

    def reset_ejections(self, provider: str) -> None:
        """End the ejections of an entry: what it was ejected for has been mended."""
        for key, cooldown in list(self.cooldowns.items()):
            if key[0] == provider and cooldown.is_ejected:
                del self.cooldowns[key]

    def ejected(self, now_s: float) -> list[tuple[str, str]]:
        """Return what is ejected now, as (entry, model as metrics name it), each once."""
        # Metrics are rendered in another thread, while calls go on to fail: the copy is one step of
        # the interpreter.
        ejected = (
            (key[0], cooldown.metric_model)
            for key, cooldown in list(self.cooldowns.items())
            if cooldown.is_ejected and now_s < cooldown.due_s
        )
        return list(dict.fromkeys(ejected))

    def _wait_s(self, failure: Failure, streak: int) -> float:
        if failure.penalty is Penalty.EJECT:
            return max(EJECTED_S, failure.retry_after_s or 0.0)
        if failure.retry_after_s is not None:
            return failure.retry_after_s
        # The exponent is bounded so that no streak can overflow it.
        return min(_LONGEST_S, _FIRST_S * 2.0 ** min(streak - 1, 10) * (1.0 + self._jitter()))

"""Which candidates are better left alone for a while. Pure: time and jitter are passed in.

State is kept by provider entry and model, since an entry has one credential. No call is ever
refused for it; the candidates of a plan are only reordered.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Final

from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.ports import CandidateSnapshot
from sidecar.domain.vocabulary import CandidateCondition, FailureClass
from sidecar.runtime.bounded import BoundedMap
from sidecar.upstream.evidence import Activity, FailedCall
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
_TRIED_WHERE_ALL_COOL: Final = 2
"""One alone lost 99 of 300 calls where two providers failed by halves; one try at each loses 75."""


class Cooldown:
    """A candidate that failed. Times are on the monotonic clock."""

    __slots__ = ("due_s", "failed_s", "is_ejected", "metric_model", "reason", "streak")

    def __init__(self, now_s: float, metric_model: str, reason: FailureClass) -> None:
        self.metric_model = metric_model
        """As metrics name the model: a wildcard's own names are the callers' to invent."""
        self.failed_s = now_s
        self.due_s = now_s
        """From then on the candidate has its usual place in plans again."""
        self.streak = 0
        """Failures one after another. Those that come before `due_s` count as one."""
        self.is_ejected = False
        self.reason = reason
        """Of the last failure; of the last ejection while it is ejected."""


class Cooling:
    """The cooldowns of all candidates that failed lately."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        """Args: ``jitter`` is uniform in [0, 1)."""
        self.cooldowns: BoundedMap[tuple[str, str], Cooldown] = BoundedMap(_KEPT_AT_MOST)
        """By provider entry and model. Where it is empty, `order` changes nothing: a call that
        finds it empty does not ask.
        """
        self.suspects: BoundedMap[tuple[str, str], FailedCall] = BoundedMap(_KEPT_AT_MOST)
        """The last failure of each candidate that has served at most one call since, where one
        failure is no evidence. Where both maps are empty, `observe_served` has nothing to learn.
        """
        self.activity: Final = Activity()
        self._mended_s: BoundedMap[str, float] = BoundedMap(_KEPT_AT_MOST)
        """Entry -> when its key was last replaced, or the config reloaded."""
        self._jitter = jitter

    def observe_failure(
        self, candidate: Candidate, failure: Failure, now_s: float, call: FailedCall | None = None
    ) -> bool:
        """An attempt at ``candidate`` failed.

        Args: ``call`` is whose attempt it was; where the penalty asks for evidence, there is none
            without it.
        Returns: whether the candidate is penalized.
        """
        if failure.penalty is Penalty.NONE:
            return False
        key = candidate.provider, candidate.upstream_model
        if failure.penalty is Penalty.COOL_ON_EVIDENCE and not self._is_confirmed(key, call):
            return False
        cooldown = self.cooldowns.get(key)
        if cooldown is None or now_s >= cooldown.due_s + _FORGIVEN_S:
            cooldown = Cooldown(now_s, candidate.metric_model, failure.failure_class)
        # Calls that were under way together fail together: they count once.
        if now_s >= cooldown.due_s:
            cooldown.streak += 1
            cooldown.is_ejected = False
        cooldown.failed_s = now_s
        if failure.penalty is Penalty.EJECT or not cooldown.is_ejected:
            cooldown.reason = failure.failure_class
        cooldown.is_ejected = cooldown.is_ejected or failure.penalty is Penalty.EJECT
        cooldown.due_s = max(cooldown.due_s, now_s + self._wait_s(failure, cooldown.streak))
        self.cooldowns.add(key, cooldown)
        return True

    def observe_served(self, candidate: Candidate, sent_s: float) -> None:
        """The response to a call sent at ``sent_s`` has begun: a candidate that failed before has
        recovered, and is suspected no more, unless this very response ends with an error event.
        """
        key = candidate.provider, candidate.upstream_model
        suspect = self.suspects.get(key)
        if suspect is not None:
            if suspect.forgiven_by_s is None:
                suspect.forgiven_by_s = sent_s
            elif suspect.forgiven_by_s != sent_s:
                del self.suspects[key]
        cooldown = self.cooldowns.get(key)
        if cooldown is not None and sent_s >= cooldown.failed_s:
            del self.cooldowns[key]

    def order(self, plan: Plan, now_s: float) -> Plan:
        """Return the plan with its cooling and ejected candidates last, the one due soonest first
        among them.

        Where all of them cool, two are tried, so that no call is refused for it: the one due
        soonest, and the plan's own first one, which alone may be able to read the conversation. One
        that refuses this call for what is in it is not counted: it is no busier for it.
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
        if ready:
            return Plan(candidates, plan.max_attempts, plan.requested, asked=plan.asked)
        first, soonest = plan.candidates[0], candidates[0]
        if first is not soonest:
            rest = (each for each in candidates if each is not soonest and each is not first)
            candidates = (soonest, first, *rest)
        attempts = min(plan.max_attempts, _TRIED_WHERE_ALL_COOL)
        spared = plan.max_attempts - attempts
        return Plan(candidates, attempts, plan.requested, spared, plan.asked)

    def due_s(self, candidate: Candidate, now_s: float) -> float | None:
        """Return when the candidate's cooldown ends, on the monotonic clock; None where it does
        not cool now.
        """
        cooldown = self.cooldowns.get((candidate.provider, candidate.upstream_model))
        return None if cooldown is None or now_s >= cooldown.due_s else cooldown.due_s

    def reset_ejections(self, provider: str, now_s: float) -> None:
        """End the ejections of an entry: what it was ejected for has been mended."""
        self._mended_s.add(provider, now_s)
        for key, cooldown in list(self.cooldowns.items()):
            if key[0] == provider and cooldown.is_ejected:
                # Kept, as over: that the candidate serves again is a fact to be reported.
                cooldown.is_ejected, cooldown.streak = False, 0
                cooldown.due_s = cooldown.failed_s

    def is_outdated(self, provider: str, sent_s: float) -> bool:
        """Return whether an entry was mended after a call was sent to it at ``sent_s``: how that
        call was refused says nothing about what the entry uses now.
        """
        return sent_s < self._mended_s.get(provider, 0.0)

    def ejected(self, now_s: float) -> list[tuple[str, str]]:
        """Return what is ejected now, as (entry, model as metrics name it), each once."""
        ejected = (
            (key[0], cooldown.metric_model)
            for key, cooldown in list(self.cooldowns.items())
            if cooldown.is_ejected and now_s < cooldown.due_s
        )
        return list(dict.fromkeys(ejected))

    def snapshots(
        self, configured: Iterable[tuple[str, str]], now_s: float
    ) -> list[CandidateSnapshot]:
        """Return how each candidate stands.

        Args: ``configured`` are the entry and the model of each, as the config names them. A
            wildcard entry stands as the worst of its models does.
        """
        waiting: dict[tuple[str, str], Cooldown] = {}
        for (entry, _), cooldown in list(self.cooldowns.items()):
            if now_s < cooldown.due_s:
                place = entry, cooldown.metric_model
                worst = waiting.get(place)
                if worst is None or (cooldown.is_ejected, cooldown.due_s) > (
                    worst.is_ejected,
                    worst.due_s,
                ):
                    waiting[place] = cooldown
        return [_snapshot(place, waiting.get(place), now_s) for place in configured]

    def _is_confirmed(self, key: tuple[str, str], call: FailedCall | None) -> bool:
        """Return whether a failure, with the one before it, is evidence against a candidate. It is
        kept, so that another call's may confirm it.
        """
        if call is None:
            return False
        earlier = self.suspects.get(key)
        self.suspects.add(key, call)
        return earlier is not None and call.confirms(earlier)

    def _wait_s(self, failure: Failure, streak: int) -> float:
        if failure.penalty is Penalty.EJECT:
            return max(EJECTED_S, failure.retry_after_s or 0.0)
        if failure.retry_after_s is not None:
            return failure.retry_after_s
        # The exponent is bounded so that no streak can overflow it.
        return min(_LONGEST_S, _FIRST_S * 2.0 ** min(streak - 1, 10) * (1.0 + self._jitter()))


def _snapshot(place: tuple[str, str], cooldown: Cooldown | None, now_s: float) -> CandidateSnapshot:
    account, model = place
    if cooldown is None:
        return CandidateSnapshot(account, model)
    is_ejected = cooldown.is_ejected
    condition = CandidateCondition.EJECTED if is_ejected else CandidateCondition.COOLING
    left_s = cooldown.due_s - now_s
    return CandidateSnapshot(account, model, condition, cooldown.reason, left_s)

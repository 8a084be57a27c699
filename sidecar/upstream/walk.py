"""Which candidate comes next, once the first one of a plan has not served. Pure but for `Walk.fit`,
which waits for what it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, final

from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.attempts import FailedAttempt
from sidecar.upstream.failure import Penalty

FitCandidates = Callable[[Call, tuple[Candidate, ...]], Awaitable[tuple[Candidate, ...]]]
"""Returns those of some candidates that can serve a call in full, in the order in which they are to
be tried; none where none can. A call that one of them serves by translation was read then.
"""


@final
class Walk:
    """The candidates of one call that are left.

    A model that the app did not ask for may refuse what the requested one would serve. Once one has
    done so, the last attempt is kept for the requested model, also where the plan lacks it.
    """

    def __init__(
        self,
        plan: Plan,
        intended: Candidate,
        is_cooling: Callable[[Candidate], bool],
        dialect: DialectName | None = None,
    ) -> None:
        """Args: ``plan`` is as it was ordered: its first candidate has been tried. ``intended`` is
        the one that the call was decided for: alone of those that are sent the caller's credential
        it may be tried, since no other provider may see that. ``dialect`` is the call's;
            None: nothing is translated.
        """
        self._plan = plan
        self._intended: Final = intended
        self._is_cooling: Final = is_cooling
        self._left: list[Candidate] = []
        self.may_translate = False
        """Whether a candidate that is left does not speak the call's dialect."""
        for each in plan.candidates[1:]:
            if each is intended or not each.passthrough_auth:
                self._left.append(each)
                if dialect is not None and dialect not in each.dialects:
                    self.may_translate = True
        self.is_last = not self._left or plan.max_attempts < 2
        """Whether no other candidate would follow the one that is tried: the plan's first one, or
        the one that `next` has returned.
        """

    async def fit(self, call: Call, fit: FitCandidates) -> Walk:
        """Leave out the candidates that cannot serve a call in full, and return itself."""
        plan, left = self._plan, tuple(self._left)
        self._left = list(await fit(call, left))
        requested = await fit(call, plan.requested)
        rest = plan.max_attempts, requested, plan.spare_attempts, plan.asked
        self._plan = Plan(plan.candidates, *rest)
        return self

    def next(self, failed: Sequence[FailedAttempt]) -> Candidate | None:
        """Return the next candidate, which is the last one where that is tried once more; None
        where the walk ends.

        Args: ``failed`` are the call's attempts so far, at least one.
        """
        if failed[-1].failure.tries_again:
            return failed[-1].candidate
        left, spared, repeated = self._left, 0, 0
        for each in failed:
            if each.failure.tries_again:
                repeated += 1
            else:
                spared += each.failure.penalty is Penalty.NONE
        spared = min(spared, self._plan.spare_attempts)
        attempts_left = self._plan.max_attempts + spared + repeated - len(failed)
        if attempts_left < 1 or not failed[-1].failure.may_try_next:
            return None
        self.is_last = attempts_left == 1 or len(left) < 2
        if attempts_left == 1 or not left:
            for each in failed:
                if each.failure.failure_class is FailureClass.SWAPPED:
                    kept = self._kept(failed)
                    if kept is not None:
                        return kept
                    break
        return left.pop(0) if left else None

    def _kept(self, failed: Sequence[FailedAttempt]) -> Candidate | None:
        """Return the candidate of the requested model that the last attempt is kept for; None where
        one has been tried, or none may be.
        """
        requested = self._plan.requested
        if any(each.candidate in requested for each in failed):
            return None
        usable = [each for each in requested if each == self._intended or not each.passthrough_auth]
        return min(usable, key=self._is_cooling, default=None)


async def fit_all(_call: Call, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Return the candidates as they are: `FitCandidates` where nothing is translated."""
    return candidates


def in_own_name(plan: Plan, intended: Candidate) -> Plan:
    """Return the plan without the candidates that would be sent the caller's credential, but for
    the one that the call was intended for: no other provider may see that credential.
    """
    for each in plan.candidates:
        if each.passthrough_auth and each is not intended:
            break
    else:
        return plan
    kept = tuple(each for each in plan.candidates if each is intended or not each.passthrough_auth)
    return Plan(kept, plan.max_attempts, plan.requested, asked=plan.asked)

"""How soon each candidate's streams begin: decaying averages of this sidecar's own calls. Pure;
time is passed in.
"""

from __future__ import annotations

import math
from typing import Final

from sidecar.domain.decision import Candidate
from sidecar.runtime.bounded import BoundedMap

FAILED_S: Final = 5.0
"""What a failed or shed attempt counts as, so that a refusal in a millisecond never looks fast."""

_HALF_LIFE_S: Final = 60.0
_FORGOTTEN_WEIGHT: Final = 1 / 32
"""Below this weight an average is forgotten, and the candidate is unmeasured again: one that was
slow an hour ago must get its chance. Five samples last 7 minutes, a million 25.
"""
_KEPT_AT_MOST: Final = 1024
"""Candidates; a wildcard's model names are the callers' to invent."""


class _Average:
    """A weighted sum. Weights are relative to ``updated_s``."""

    __slots__ = ("samples", "seconds", "updated_s", "weight")

    def __init__(self, now_s: float) -> None:
        self.samples = 0
        self.seconds = 0.0
        self.weight = 0.0
        self.updated_s = now_s

    def faded(self, now_s: float) -> float:
        """Return what is left of the weight."""
        return self.weight * math.pow(0.5, max(0.0, now_s - self.updated_s) / _HALF_LIFE_S)


class FirstByteAverages:
    """Expected seconds to first byte, by candidate. A sample's weight halves with every 60 s of its
    age.
    """

    def __init__(self) -> None:
        self._averages: BoundedMap[tuple[str, str], _Average] = BoundedMap(_KEPT_AT_MOST)

    def observe(self, candidate: Candidate, first_byte_s: float, now_s: float) -> None:
        """A streamed call's first byte came after ``first_byte_s``, or an attempt failed, which
        counts as `FAILED_S`. A number that is no duration is ignored.
        """
        if not 0.0 <= first_byte_s < math.inf:
            return
        key = candidate.provider, candidate.upstream_model
        average = self._averages.get(key)
        faded = 0.0 if average is None else average.faded(now_s)
        if average is None or faded < _FORGOTTEN_WEIGHT:
            average, faded = _Average(now_s), 0.0
        average.seconds = (average.seconds * faded + first_byte_s) / (faded + 1.0)
        average.weight = faded + 1.0
        average.samples += 1
        average.updated_s = max(average.updated_s, now_s)
        self._averages.add(key, average)

    def of_entry(self, provider: str, now_s: float) -> tuple[float, int]:
        """Return the average over all models of an entry, and from how many samples it is; (NaN, 0)
        where nothing is known.
        """
        known = [
            average
            for (entry, _), average in self._averages.items()
            if entry == provider and average.faded(now_s) >= _FORGOTTEN_WEIGHT
        ]
        samples = sum(average.samples for average in known)
        if not samples:
            return math.nan, 0
        return sum(average.seconds * average.samples for average in known) / samples, samples

    def expected(self, candidate: Candidate, now_s: float) -> tuple[float, int]:
        """Return the expected seconds to first byte, and from how many samples; (NaN, 0) where
        nothing is known.
        """
        average = self._averages.get((candidate.provider, candidate.upstream_model))
        if average is None or average.faded(now_s) < _FORGOTTEN_WEIGHT:
            return math.nan, 0
        return average.seconds, average.samples

"""The order in which a route's candidates are tried, by price or by speed. Pure.

Models are ranked, not entries: the entries of a model stay together in the order of the config, and
the model's number is that of its first entry which has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from sidecar.domain.call import DialectName
from sidecar.domain.decision import Candidate, Price

Expected = Callable[[Candidate], tuple[float, int]]
"""What this sidecar expects of a candidate: seconds to first byte, and from how many samples."""

_MEASURED_SAMPLES: Final = 5
_GAIN: Final = 0.1
"""How much faster a model must be to go before one that is written before it: noise reorders
nothing.
"""
_EXPLORED_SHARE: Final = 1 / 20
"""Of calls, which go to unmeasured models: otherwise a fast one would never be found out."""

_Entries = tuple[Candidate, ...]


def unknown(_candidate: Candidate) -> tuple[float, int]:
    """Return that nothing is known of a candidate, as an `Expected` without measurements."""
    return math.nan, 0


class RankInputs(msgspec.Struct, frozen=True):
    """What candidates are ranked by, as known right now."""

    prices: Mapping[str, Price] = {}
    """From a cost source, by model name; a candidate's own price goes before it."""
    latencies_s: Mapping[str, float] = {}
    """From a latency source, by model name; where it knows none of the candidates, ``expected``
    counts.
    """
    expected: Expected = unknown


class Ranked(msgspec.Struct, frozen=True):
    """Candidates in the order in which they should be tried, and why."""

    candidates: tuple[Candidate, ...]
    numbers: tuple[float | None, ...]
    """Beside each candidate what its model was ranked by: blended USD per million tokens, or
    seconds; None: unknown.
    """
    is_exploring: bool = False
    """Whether the first one goes first only to be measured."""
    prefer: str = "none"
    """By what they were ordered: ``cheapest``, ``fastest`` or ``none``."""


def rank(
    candidates: Sequence[Candidate], prefer: str, numbers: RankInputs, roll: float = 1.0
) -> Ranked:
    """Return a route's candidates ordered by its policy. Ties keep the written order; a model
    without a number goes last.

    Args: ``prefer`` is ``cheapest``, ``fastest`` or ``none``; ``roll`` is uniform in [0, 1): below
        a twentieth it gives ``fastest`` an unmeasured model to explore; 1.0 never does.
    """
    models: dict[str, _Entries] = {}
    for candidate in candidates:
        models[candidate.model_name] = (*models.get(candidate.model_name, ()), candidate)
    groups = list(models.values())
    if prefer == "cheapest":
        known = [
            _first_known(blended_usd_per_mtok(entry, numbers.prices) for entry in group)
            for group in groups
        ]
        return _ranked(prefer, groups, known, _ascending(known))
    if prefer == "fastest":
        return _by_speed(prefer, groups, numbers, roll)
    return _ranked("none", groups, [None] * len(groups), range(len(groups)))


def native_first(candidates: Sequence[Candidate], dialect: DialectName) -> tuple[Candidate, ...]:
    """Return candidates with those first that speak a dialect; `rank` keeps that order among
    equals. The operator's own order is a rank of its own, and is to be left alone.
    """
    speaking = [each for each in candidates if dialect in each.dialects]
    return (*speaking, *(each for each in candidates if dialect not in each.dialects))


def blended_usd_per_mtok(candidate: Candidate, prices: Mapping[str, Price]) -> float | None:
    """Return input plus output price in USD per million tokens: the candidate's own, else the cost
    source's; None unless one of them knows both. A missing price is unknown, never free.
    """
    for price in (candidate.price, prices.get(candidate.model_name)):
        if (
            price is not None
            and price.usd_per_mtok_in is not None
            and price.usd_per_mtok_out is not None
        ):
            blended = price.usd_per_mtok_in + price.usd_per_mtok_out
            if 0.0 <= blended < math.inf:
                return blended
    return None


def _by_speed(prefer: str, groups: list[_Entries], numbers: RankInputs, roll: float) -> Ranked:
    reported = [_usable(numbers.latencies_s.get(group[0].model_name)) for group in groups]
    if any(seconds is not None for seconds in reported):
        return _ranked(prefer, groups, reported, _by_gain(reported))
    measured = [
        _first_known(_measured(numbers.expected(entry)) for entry in group) for group in groups
    ]
    order = _by_gain(measured)
    unmeasured = [at for at in order[1:] if measured[at] is None]
    if not unmeasured or roll >= _EXPLORED_SHARE:
        return _ranked(prefer, groups, measured, order)
    explored = unmeasured[int(roll / _EXPLORED_SHARE * len(unmeasured))]
    others = (at for at in order if at != explored)
    return _ranked(prefer, groups, measured, [explored, *others], is_exploring=True)


def _ascending(known: list[float | None]) -> list[int]:
    """Return positions, smallest number first, unknown numbers last. Equals keep their order."""
    return sorted(
        range(len(known)), key=lambda at: math.inf if (number := known[at]) is None else number
    )


def _by_gain(known: list[float | None]) -> list[int]:
    """Return positions, smallest number first, unknown numbers last. A candidate overtakes one that
    is written before it only where its number is 10 % smaller.
    """
    left = [(number, at) for at, number in enumerate(known) if number is not None]
    order: list[int] = []
    while left:
        best = min(left)
        chosen = best if best[0] <= left[0][0] * (1.0 - _GAIN) else left[0]
        left.remove(chosen)
        order.append(chosen[1])
    return [*order, *(at for at, number in enumerate(known) if number is None)]


def _ranked(
    prefer: str,
    groups: list[_Entries],
    known: list[float | None],
    order: Sequence[int],
    *,
    is_exploring: bool = False,
) -> Ranked:
    return Ranked(
        candidates=tuple(entry for at in order for entry in groups[at]),
        numbers=tuple(known[at] for at in order for _ in groups[at]),
        is_exploring=is_exploring,
        prefer=prefer,
    )


def _measured(expected: tuple[float, int]) -> float | None:
    seconds, samples = expected
    return _usable(seconds) if samples >= _MEASURED_SAMPLES else None


def _usable(seconds: float | None) -> float | None:
    """Return a duration, or None: a source that divides by no traffic says NaN."""
    return seconds if seconds is not None and 0.0 <= seconds < math.inf else None


def _first_known(numbers: Iterable[float | None]) -> float | None:
    return next((number for number in numbers if number is not None), None)

"""The order in which a route's candidates are tried, by price or by speed. Pure.

Models are ranked, not entries: the entries of a group stay together in the order of the config, and
the group's number is that of its first entry which has one.

Source of the rules: routing.md, "Ranking".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from sidecar.domain.decision import Candidate, Price

Expected = Callable[[Candidate], tuple[float, int]]
"""Own expectation of a candidate: seconds to first byte, and from how many samples."""

_MEASURED_SAMPLES: Final = 5
_GAIN: Final = 0.1
"""How much faster a model must be to be tried before one that is written before it: noise reorders
nothing.
"""
_EXPLORED_SHARE: Final = 1 / 20
"""Of calls, for models that are not measured: nobody would ever learn that they are fast."""

_Entries = tuple[Candidate, ...]


def unknown(_candidate: Candidate) -> tuple[float, int]:
    """Expects nothing of any candidate."""
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
    """Whether the first one stands there only to be measured."""


def rank(
    candidates: Sequence[Candidate], prefer: str, numbers: RankInputs, roll: float = 1.0
) -> Ranked:
    """Order a route's candidates by its policy. Ties and missing numbers keep the written order,
    missing ones last.

    Args: ``prefer`` is ``cheapest``, ``fastest`` or ``none``; ``roll`` is uniform in [0, 1): below
        a twentieth it gives ``fastest`` an unmeasured model to explore; 1.0 never does.
    """
    models: dict[str, _Entries] = {}
    for candidate in candidates:
        models[candidate.model_name] = (*models.get(candidate.model_name, ()), candidate)
    groups = list(models.values())
    if prefer == "cheapest":
        known = [
            _first(blended_usd_per_mtok(entry, numbers.prices) for entry in group)
            for group in groups
        ]
        return _ranked(groups, known, _ascending(known))
    if prefer == "fastest":
        return _by_speed(groups, numbers, roll)
    return _ranked(groups, [None] * len(groups), range(len(groups)))


def blended_usd_per_mtok(candidate: Candidate, prices: Mapping[str, Price]) -> float | None:
    """Input plus output price in USD per million tokens: the candidate's own, else the cost
    source's.

    Returns: None unless one of them knows both; a missing price is unknown, never free.
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


def _by_speed(groups: list[_Entries], numbers: RankInputs, roll: float) -> Ranked:
    told = [_usable(numbers.latencies_s.get(group[0].model_name)) for group in groups]
    if any(seconds is not None for seconds in told):
        return _ranked(groups, told, _by_gain(told))
    measured = [_first(_measured(numbers.expected(entry)) for entry in group) for group in groups]
    order = _by_gain(measured)
    unmeasured = [at for at in order[1:] if measured[at] is None]
    if not unmeasured or roll >= _EXPLORED_SHARE:
        return _ranked(groups, measured, order)
    explored = unmeasured[int(roll / _EXPLORED_SHARE * len(unmeasured))]
    return _ranked(
        groups, measured, [explored, *(at for at in order if at != explored)], is_exploring=True
    )


def _ascending(known: list[float | None]) -> list[int]:
    """Positions by number; sorting is stable, so that equals keep their order."""
    return sorted(
        range(len(known)), key=lambda at: math.inf if (number := known[at]) is None else number
    )


def _by_gain(known: list[float | None]) -> list[int]:
    """Positions by number, where one goes before another that is written before it only for a gain
    of 10 %.
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
    )


def _measured(expected: tuple[float, int]) -> float | None:
    seconds, samples = expected
    return _usable(seconds) if samples >= _MEASURED_SAMPLES else None


def _usable(seconds: float | None) -> float | None:
    """A duration, or None: a source that divides by no traffic says NaN."""
    return seconds if seconds is not None and 0.0 <= seconds < math.inf else None


def _first(numbers: Iterable[float | None]) -> float | None:
    return next((number for number in numbers if number is not None), None)

"""The order of a route's candidates."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.decision import Candidate, Price
from sidecar.routing.rank import RankInputs, blended_usd_per_mtok, rank


def entry(model: str, provider: str | None = None, price: Price | None = None) -> Candidate:
    return Candidate(provider or model, model, model, model, frozenset(), price=price)


A, B, C, D = (entry(name) for name in "abcd")


def names(candidates: tuple[Candidate, ...]) -> str:
    return "".join(candidate.provider for candidate in candidates)


def by_price(**blended: float) -> RankInputs:
    """A cost source that knows these models; the input is a quarter of the blended price."""
    return RankInputs(prices={name: Price(usd / 4, usd * 3 / 4) for name, usd in blended.items()})


def by_samples(**expected: tuple[float, int]) -> RankInputs:
    """Own averages of these models."""
    return RankInputs(expected=lambda candidate: expected.get(candidate.model_name, (math.nan, 0)))


@pytest.mark.parametrize("prefer", ["none", "", "whatever"])
def test_without_a_preference_the_written_order_stays(prefer):
    """RankInputs or not."""
    ranked = rank((C, A, B), prefer, by_price(a=1.0, b=2.0, c=3.0), roll=0.0)

    assert ("cab", (None, None, None), False) == (
        names(ranked.candidates),
        ranked.numbers,
        ranked.is_exploring,
    )


@pytest.mark.parametrize(
    ("numbers", "order", "shown"),
    [
        (by_price(a=3.0, b=1.0, c=2.0), "bca", (1.0, 2.0, 3.0)),
        (by_price(a=1.0, b=1.0, c=1.0), "abc", (1.0, 1.0, 1.0)),
        (by_price(c=9.0), "cab", (9.0, None, None)),
        (by_price(), "abc", (None, None, None)),
        (by_price(a=math.nan, b=math.inf, c=5.0), "cab", (5.0, None, None)),
        (by_price(a=-1.0, b=0.0, c=5.0), "bca", (0.0, 5.0, None)),
        (by_price(a=1.0, b=0.99), "bac", (0.99, 1.0, None)),
    ],
)
def test_cheapest_is_ascending_by_blended_price(numbers, order, shown):
    """Ties keep the written order; what is missing or no price comes last and is never free."""
    ranked = rank((A, B, C), "cheapest", numbers)

    assert order == names(ranked.candidates)
    assert pytest.approx(shown) == ranked.numbers


@pytest.mark.parametrize(
    ("own", "sources", "expected"),
    [
        (Price(1.0, 2.0), Price(5.0, 5.0), 3.0),
        (None, Price(5.0, 5.0), 10.0),
        (Price(1.0, None), Price(5.0, 5.0), 10.0),
        (Price(1.0, None), None, None),
        (None, Price(None, 5.0), None),
        (Price(0.0, 0.0), Price(5.0, 5.0), 0.0),
        (None, None, None),
    ],
)
def test_a_price_is_the_candidates_own_else_the_sources(own, sources, expected):
    """Both halves must be known; a stated zero is a price."""
    assert expected == blended_usd_per_mtok(
        entry("a", price=own), {} if sources is None else {"a": sources}
    )


@pytest.mark.parametrize(
    ("latencies_s", "order"),
    [
        ({"a": 3.0, "b": 1.0, "c": 2.0}, "bca"),
        ({"a": 1.0, "b": 0.91, "c": 0.95}, "abc"),
        ({"a": 1.0, "b": 0.9, "c": 0.95}, "bac"),
        # Each is compared to the first one left, so that many small steps add up.
        ({"a": 1.0, "b": 0.95, "c": 0.88}, "cab"),
        ({"a": math.nan, "b": 2.0}, "bac"),
        ({"c": 9.0}, "cab"),
        ({"a": 1.0, "b": 0.0}, "bac"),
        ({"a": 0.0, "b": 0.0}, "abc"),
    ],
)
def test_fastest_changes_the_order_for_a_gain_of_a_tenth(latencies_s, order):
    """Ties and small differences keep the written order; NaN and missing come last."""
    ranked = rank((A, B, C), "fastest", RankInputs(latencies_s=latencies_s), roll=0.0)

    assert (order, False) == (names(ranked.candidates), ranked.is_exploring)


def test_a_latency_source_counts_before_own_averages():
    """The two do not measure the same, so they are never mixed; a source that knows nothing counts
    for nothing.
    """
    own = by_samples(a=(0.1, 9), b=(0.2, 9), c=(0.3, 9)).expected

    assert "cab" == names(
        rank((A, B, C), "fastest", RankInputs(latencies_s={"c": 9.0}, expected=own)).candidates
    )
    nothing = RankInputs(latencies_s={"a": math.nan, "x": 1.0}, expected=own)
    assert (0.1, 0.2, 0.3) == rank((A, B, C), "fastest", nothing).numbers


@pytest.mark.parametrize(
    ("samples", "order"),
    [
        ({"a": (2.0, 5), "b": (1.0, 5)}, "bac"),
        ({"a": (2.0, 5), "b": (1.0, 4)}, "abc"),
        ({"c": (2.0, 5)}, "cab"),
        ({"a": (1.0, 5), "b": (0.95, 5), "c": (0.5, 5)}, "cab"),
        ({}, "abc"),
    ],
)
def test_fastest_counts_what_is_measured(samples, order):
    """Five samples make a measurement."""
    assert order == names(rank((A, B, C), "fastest", by_samples(**samples), roll=0.05).candidates)


def test_a_refusal_in_a_millisecond_is_not_fast():
    """The averages count it as five seconds; here that ranks behind an honest second."""
    assert "ba" == names(rank((A, B), "fastest", by_samples(a=(5.0, 100), b=(1.0, 5))).candidates)


@pytest.mark.parametrize(
    ("roll", "order"), [(0.0, "bacd"), (0.0166, "bacd"), (0.0167, "cabd"), (0.034, "dabc"), (0.0499, "dabc"), (0.05, "abcd"), (0.9, "abcd")]
)  # fmt: skip
def test_one_call_in_twenty_explores(roll, order):
    """Unmeasured models share it evenly; the rest stays in rank order."""
    ranked = rank((A, B, C, D), "fastest", by_samples(a=(1.0, 5)), roll=roll)

    assert (order, roll < 0.05) == (names(ranked.candidates), ranked.is_exploring)


def test_what_stands_first_anyway_is_not_explored():
    """With nothing measured the first written one gets the other nineteen."""
    assert "ba" == names(rank((A, B), "fastest", by_samples(), roll=0.049).candidates)
    assert "ba" == names(rank((A, B), "fastest", RankInputs(), roll=0.0).candidates)
    assert "a" == names(rank((A,), "fastest", by_samples(), roll=0.0).candidates)


def test_entries_of_one_model_stay_together():
    """In their own order, ranked by the first number that one of them has."""
    east, west = entry("a", "1"), entry("a", "2", Price(0.5, 0.5))

    ranked = rank((east, B, west), "cheapest", by_price(b=0.9))
    assert "b12" == names(ranked.candidates)
    assert pytest.approx((0.9, 1.0, 1.0)) == ranked.numbers
    assert "12b" == names(rank((east, B, west), "cheapest", by_price(b=2.0)).candidates)


PRICES = st.dictionaries(
    st.sampled_from("abcd"), st.builds(Price, st.none() | st.floats(), st.none() | st.floats())
)


@given(
    st.lists(st.sampled_from([A, B, C, D]), unique=True),
    st.sampled_from(["cheapest", "fastest", "none"]),
    PRICES,
    st.dictionaries(st.sampled_from("abcd"), st.floats()),
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.floats(), st.integers(0, 10))),
    st.floats(0.0, 1.0),
)
def test_ranking_only_reorders(candidates, prefer, prices, latencies_s, samples, roll):
    """Every candidate once, known numbers before unknown ones unless exploring, and the same order
    each time.
    """
    numbers = RankInputs(prices, latencies_s, by_samples(**samples).expected)

    ranked = rank(candidates, prefer, numbers, roll)

    assert sorted(names(tuple(candidates))) == sorted(names(ranked.candidates))
    assert ranked == rank(candidates, prefer, numbers, roll)
    unknown = [number is None for number in ranked.numbers]
    assert ranked.is_exploring or unknown == sorted(unknown)

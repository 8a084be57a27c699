"""What a sidecar expects of a candidate's first byte, from its own calls."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.decision import Candidate
from sidecar.upstream.latency import FAILED_S, FirstByteAverages

A = Candidate("a", "openai/a", "a", "openai/a", frozenset())
B = Candidate("b", "openai/a", "a", "openai/a", frozenset())


def averages(*samples: tuple[float, float]) -> FirstByteAverages:
    """Averages of candidate A after (first byte, at) samples."""
    made = FirstByteAverages()
    for first_byte_s, now_s in samples:
        made.observe(A, first_byte_s, now_s)
    return made


@pytest.mark.parametrize(
    ("samples", "now_s", "expected"),
    [
        ([(1.0, 0.0)], 0.0, (1.0, 1)),
        ([(1.0, 0.0), (3.0, 0.0)], 0.0, (2.0, 2)),
        # After 60 s the old sample weighs half: (0.5 * 1 + 4) / 1.5.
        ([(1.0, 0.0), (4.0, 60.0)], 60.0, (3.0, 2)),
        ([(1.0, 0.0), (4.0, 60.0)], 150.0, (3.0, 2)),
        # Calls end in another order than they report: age is never below zero.
        ([(1.0, 10.0), (3.0, 5.0)], 0.0, (2.0, 2)),
    ],
)
def test_weight_halves_every_minute(samples, now_s, expected):
    """An average of first bytes, in which age counts against a sample."""
    assert pytest.approx(expected) == averages(*samples).expected(A, now_s)


def test_an_idle_hour_forgets():
    """What was slow an hour ago is unmeasured, and its next sample counts as the first."""
    made = averages(*[(5.0, 0.0)] * 100_000)

    seconds, samples = made.expected(A, 3600.0)
    assert (True, 0) == (math.isnan(seconds), samples)
    made.observe(A, 0.2, 3600.0)
    assert (0.2, 1) == made.expected(A, 3600.0)


def test_five_samples_last_seven_minutes():
    """Long enough for a quiet app, short enough for a provider that recovered."""
    made = averages(*[(1.0, 0.0)] * 5)

    assert [5, 0] == [made.expected(A, now_s)[1] for now_s in (439.0, 440.0)]


def test_a_failure_counts_as_five_seconds():
    """A hundred refusals in a millisecond look slow."""
    made = averages((0.5, 0.0))
    for _ in range(100):
        made.observe(A, FAILED_S, 0.0)

    assert pytest.approx(((0.5 + 500.0) / 101, 101)) == made.expected(A, 0.0)


@pytest.mark.parametrize("first_byte_s", [math.nan, math.inf, -1.0])
def test_what_is_no_duration_is_ignored(first_byte_s):
    """One bad number must not spoil all that follow."""
    assert (1.0, 1) == averages((1.0, 0.0), (first_byte_s, 0.0)).expected(A, 0.0)


def test_candidates_are_kept_apart():
    """Two entries of one model are two candidates."""
    made = averages((1.0, 0.0))
    made.observe(B, 2.0, 0.0)

    assert [(1.0, 1), (2.0, 1)] == [made.expected(A, 0.0), made.expected(B, 0.0)]


def test_invented_models_do_not_grow_the_memory():
    """The one longest without a sample is given up for a new one."""
    made = averages((1.0, 0.0))
    made.observe(B, 2.0, 0.0)
    made.observe(A, 1.0, 0.0)
    for index in range(1023):
        made.observe(
            Candidate("w", f"openai/{index}", str(index), "openai/*", frozenset()), 1.0, 0.0
        )

    assert [2, 0] == [made.expected(candidate, 0.0)[1] for candidate in (A, B)]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1000)), min_size=1))
def test_an_average_stays_among_its_samples(samples):
    """Whatever the gaps between them."""
    made = averages(*samples)

    seconds, count = made.expected(A, max(at for _, at in samples))
    durations = [first_byte_s for first_byte_s, _ in samples]
    assert count == 0 or min(durations) - 1e-6 <= seconds <= max(durations) + 1e-6


def test_an_entrys_average_is_over_all_of_its_models():
    """A wildcard entry has many; what is forgotten counts no more."""
    made = averages((1.0, 0.0), (1.0, 0.0), (1.0, 0.0))
    made.observe(Candidate("a", "openai/x", "x", "openai/*", frozenset()), 5.0, 0.0)
    nothing, samples = made.of_entry("b", 0.0)

    assert (2.0, 4) == made.of_entry("a", 0.0)
    assert (True, 0) == (math.isnan(nothing), samples)
    assert 0 == made.of_entry("a", 7200.0)[1]

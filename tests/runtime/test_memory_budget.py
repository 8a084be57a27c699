"""A budget of bytes: what shares keep, what they have in common, and what they may have at most."""

from __future__ import annotations

import pytest

from sidecar.runtime.memory_budget import (
    LEAST_BYTES,
    MIB,
    USUAL_BYTES,
    HeldBytes,
    MemoryBudget,
    default_limit_bytes,
)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, USUAL_BYTES),
        (1024 * MIB, 1024 * MIB * 60 // 100),
        (240 * MIB, 144 * MIB),
        (192 * MIB, 96 * MIB),
        (128 * MIB, 32 * MIB),
        (64 * MIB, LEAST_BYTES),
        (1, LEAST_BYTES),
    ],
)
def test_a_budget_leaves_a_process_what_it_needs_for_itself(limit, expected):
    """Two fifths of its limit, 96 MiB where that is more; never less than what some calls need."""
    assert expected == default_limit_bytes(limit)


def test_what_a_share_keeps_is_taken_by_no_other():
    """Nor can it be starved of that."""
    budget = MemoryBudget(100)
    small, large = budget.share("small", keeps=0.2), budget.share("large", keeps=0.0)

    assert (80, True, False) == (budget.common_bytes, large.take_nowait(80), large.take_nowait(1))
    assert [True, False] == [small.take_nowait(20), small.take_nowait(1)]
    assert 100 == budget.used_bytes


def test_what_is_common_goes_to_who_comes_first_and_comes_back():
    """Beyond what a share keeps; given back, it is common again."""
    budget = MemoryBudget(100)
    first, second = budget.share("first", keeps=0.2), budget.share("second", keeps=0.2)
    assert first.take_nowait(70)
    assert (50, False, True) == (
        budget.common_used_bytes,
        second.take_nowait(31),
        second.take_nowait(30),
    )
    first.give_back(40)

    assert (20, 60) == (budget.common_used_bytes, budget.used_bytes)
    assert [False, True] == [second.take_nowait(41), second.take_nowait(40)]
    first.give_back(30)
    second.give_back(70)
    assert (0, 0) == (budget.common_used_bytes, budget.used_bytes)


def test_a_share_has_no_more_than_it_may_have_at_most():
    """However much is free."""
    share = MemoryBudget(100).share("cache", keeps=0.1, at_most=0.3)

    assert [True, False] == [share.take_nowait(30), share.take_nowait(1)]


def test_caches_count_as_full_where_something_must_fit_beside_them():
    """They fill what they may have, sooner or later."""
    budget = MemoryBudget(100)
    cache = budget.share("cache", keeps=0.25, at_most=0.25, is_cache=True)
    other = budget.share("other", keeps=0.0)
    cache.take_nowait(5)
    other.take_nowait(7)

    assert (25, 32, 12) == (budget.cache_bytes, budget.booked_bytes(), budget.used_bytes)


def test_what_must_be_taken_is_counted_though_it_be_too_much():
    """Others have to wait until it was given back."""
    budget = MemoryBudget(100)
    first, second = budget.share("first", keeps=0.5), budget.share("second", keeps=0.0)
    first.take(40)
    first.take(70)
    first.take(10)

    assert (120, 70, False) == (budget.used_bytes, budget.common_used_bytes, second.take_nowait(1))
    first.give_back(120)
    assert second.take_nowait(50)


def test_another_limit_is_divided_by_the_same_parts():
    """What is used stays, and what is too much of it is given back before more is taken."""
    budget = MemoryBudget(100)
    small, large = budget.share("small", keeps=0.2), budget.share("large", keeps=0.0)
    small.take_nowait(20)
    large.take_nowait(80)
    budget.resize(50)

    assert (10, 40, 90) == (small.kept_bytes, budget.common_bytes, budget.common_used_bytes)
    large.give_back(60)
    assert [True, False] == [small.take_nowait(10), small.take_nowait(1)]
    budget.resize(1000)
    assert large.take_nowait(700)


def test_what_was_held_is_given_back_with_its_holder():
    """Once, whether or not the holder has given it back before."""
    share = MemoryBudget(100).share("all", keeps=1.0)
    first, second = HeldBytes(share, 10), HeldBytes(share, 0)
    assert (True, True) == (first.grow_nowait(40), second.grow_nowait(50))
    used = [share.used_bytes]
    second.give_back()
    used.append(share.used_bytes)
    del first, second

    assert [80, 30, 0] == [*used, share.used_bytes]

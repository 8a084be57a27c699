"""Away and home: where a session belongs after another model has served it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.affinity.policy import (
    HOME_UNTIL_S,
    home_first,
    may_be_replaced,
    moved,
    not_home,
    tries_home,
)
from sidecar.domain.decision import Binding, Candidate

HOME, AWAY, THIRD = "openai/home", "openai/away", "openai/third"
PIN = Binding(HOME, "code", HOME, generation=1, bound_at_unix_s=100.0)
OUT = Binding(
    AWAY, "code", HOME, generation=2, bound_at_unix_s=100.0, home=HOME, away_since_unix_s=1000.0
)


def test_a_session_that_was_served_elsewhere_remembers_its_home():
    """Who it was and since when; the time of binding stays."""
    assert OUT == moved(PIN, AWAY, 1000.0, is_for_good=False)


def test_a_session_that_is_served_at_home_again_is_home():
    """As if nothing had been."""
    back = moved(OUT, HOME, 1010.0, is_for_good=False)

    assert Binding(HOME, "code", HOME, generation=3, bound_at_unix_s=100.0) == back


def test_a_session_that_moves_on_while_away_keeps_its_home():
    """And the time since which it is away."""
    on = moved(OUT, THIRD, 1100.0, is_for_good=False)

    assert (THIRD, HOME, 1000.0) == (on.model_name, on.home, on.away_since_unix_s)


def test_a_move_for_good_has_no_home():
    """The model is gone: there is nothing to come back to."""
    gone = moved(PIN, AWAY, 1000.0, is_for_good=True)

    assert (AWAY, None, None) == (gone.model_name, gone.home, gone.away_since_unix_s)


def test_after_five_minutes_the_session_belongs_where_it_is():
    """The new provider's cache is the warmer; a later failure makes that its home."""
    late_s = 1000.0 + HOME_UNTIL_S
    assert not tries_home(OUT, late_s)
    on = moved(OUT, THIRD, late_s, is_for_good=False)

    assert (THIRD, AWAY, late_s) == (on.model_name, on.home, on.away_since_unix_s)


@pytest.mark.parametrize(
    ("away_s", "failed_returns", "expected"),
    [(0, 0, False), (4.9, 0, False), (5, 0, True), (9, 1, False), (10, 1, True), (19, 2, False), (20, 2, True),
     (299, 0, True), (300, 0, False)],
)  # fmt: skip
def test_home_is_tried_after_seconds_doubled_by_each_failed_return(
    away_s, failed_returns, expected
):
    """And not for ever."""
    pin = Binding(AWAY, home=HOME, away_since_unix_s=1000.0, failed_returns=failed_returns)

    assert expected == tries_home(pin, 1000.0 + away_s)


def test_three_failed_returns_settle_it():
    """Then the session belongs where it is."""
    pin = OUT
    homes = []
    for _ in range(3):
        pin = not_home(pin, is_gone=False)
        homes.append(pin.home)

    assert [HOME, HOME, None] == homes
    assert (AWAY, 5, 0, None) == (
        pin.model_name,
        pin.generation,
        pin.failed_returns,
        pin.away_since_unix_s,
    )


def test_a_home_that_is_gone_settles_it_at_once():
    """There is nothing to come back to."""
    assert not_home(OUT, is_gone=True).home is None


def test_a_pin_that_is_at_home_tries_nothing():
    """Nor does one that does not say since when it is away."""
    assert not tries_home(PIN, 1e9)
    assert not tries_home(Binding(AWAY, home=HOME), 1e9)


def test_home_goes_first_and_stands_once():
    """The rest keeps its order."""
    home, away, third = (
        Candidate("p", name, name, name, frozenset()) for name in (HOME, AWAY, THIRD)
    )

    assert (home, away, third) == home_first((away, home, third), (home,))


def test_a_pin_to_an_unknown_model_is_left_alone_for_a_rollout():
    """Other pods may know its model; ten minutes later nobody does."""
    assert [False, False, True] == [may_be_replaced(PIN, now_s) for now_s in (100.0, 700.0, 700.5)]


_models = st.sampled_from([HOME, AWAY, THIRD])


@given(st.lists(st.tuples(_models, st.floats(0, 400), st.booleans(), st.booleans()), max_size=20))
def test_whatever_happens_a_pin_makes_sense(steps):
    """Its home is never itself, and it is away exactly where it has one; generations count up."""
    pin, now_s = PIN, 1000.0
    for model, later_s, is_for_good, returns in steps:
        now_s += later_s
        before = pin.generation
        if returns and pin.home is not None:
            pin = not_home(pin, is_gone=is_for_good)
        elif model != pin.model_name:
            pin = moved(pin, model, now_s, is_for_good=is_for_good)
            assert model == pin.model_name
        else:
            continue
        assert before + 1 == pin.generation
        assert pin.home != pin.model_name
        assert (pin.home is None) == (pin.away_since_unix_s is None)
        assert 0 <= pin.failed_returns < 3


def test_a_time_that_is_still_to_come_binds_nobody_for_ever():
    """A clock that is ahead by seconds is ordinary; one from a far future, or somebody's
    milliseconds, counts as old.
    """
    ahead, absurd = 1000.0 + 30, 1000.0 * 1e3

    assert [False, True] == [
        may_be_replaced(dataclasses.replace(PIN, bound_at_unix_s=bound_s), 1000.0)
        for bound_s in (ahead, absurd)
    ]
    away = [dataclasses.replace(OUT, away_since_unix_s=since_s) for since_s in (ahead, absurd)]
    assert [HOME, AWAY] == [moved(each, THIRD, 1000.0, is_for_good=False).home for each in away]

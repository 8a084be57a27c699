"""Away and home: where a session belongs after another candidate has served it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.affinity.policy import (
    HOME_UNTIL_S,
    home_first,
    is_home,
    is_pinned,
    may_be_replaced,
    moved,
    return_failed,
    tries_home,
)
from sidecar.domain.decision import Binding, Candidate


def candidate(model: str, provider: str) -> Candidate:
    return Candidate(provider, model, model, model, frozenset())


HOME, AWAY, THIRD = (
    candidate("openai/gpt", "eu"),
    candidate("openai/gpt", "us"),
    candidate("anthropic/claude", "third"),
)
PIN = Binding(
    "openai/gpt", "code", "openai/gpt", generation=1, bound_at_unix_s=100.0, provider="eu"
)
OUT = dataclasses.replace(
    PIN,
    provider="us",
    generation=2,
    bound_at_unix_s=1000.0,
    home="openai/gpt",
    home_provider="eu",
    away_since_unix_s=1000.0,
)


def move(pin: Binding, served_by: Candidate, now_s: float, *, is_for_good: bool = False) -> Binding:
    return moved(pin, pin.provider, served_by, now_s, is_for_good=is_for_good)


def place_of(pin: Binding) -> tuple[str, str | None]:
    return pin.model_name, pin.provider


def home_of(pin: Binding) -> tuple[str | None, str | None]:
    return pin.home, pin.home_provider


def test_a_session_that_was_served_at_another_entry_remembers_its_home():
    """Which entry of which model it was, and since when."""
    assert OUT == move(PIN, AWAY, 1000.0)


def test_a_session_that_was_served_by_another_model_remembers_its_home():
    """A model and its entry, too."""
    out = move(PIN, THIRD, 1000.0)

    assert ("anthropic/claude", "third") == place_of(out)
    assert ("openai/gpt", "eu") == home_of(out)


def test_a_pin_that_names_no_entry_remembers_the_entry_that_was_tried():
    """A pin of plano's: the first move writes the entries."""
    out = moved(dataclasses.replace(PIN, provider=None), "eu", AWAY, 1000.0, is_for_good=False)

    assert OUT == out


def test_a_session_that_is_served_at_home_again_is_home():
    """As if nothing had been."""
    back = move(OUT, HOME, 1010.0)

    assert dataclasses.replace(PIN, generation=3, bound_at_unix_s=1010.0) == back


@pytest.mark.parametrize("is_for_good", [False, True])
def test_a_session_that_moves_on_while_away_keeps_its_home(is_for_good):
    """And the time since which it is away, whatever the place was that it leaves now."""
    out = dataclasses.replace(OUT, failed_returns=2)
    on = move(out, THIRD, 1100.0, is_for_good=is_for_good)

    assert (("openai/gpt", "eu"), 1000.0, 2) == (
        home_of(on),
        on.away_since_unix_s,
        on.failed_returns,
    )


def test_a_move_for_good_has_no_home():
    """The model is gone, or left by a timeout: there is nothing to come back to."""
    gone = move(PIN, AWAY, 1000.0, is_for_good=True)

    assert (("openai/gpt", "us"), (None, None), None) == (
        place_of(gone),
        home_of(gone),
        gone.away_since_unix_s,
    )


def test_after_five_minutes_the_session_belongs_where_it_is():
    """The new provider's cache is the warmer; a later failure makes that its home."""
    late_s = 1000.0 + HOME_UNTIL_S
    assert not tries_home(OUT, late_s)
    on = move(dataclasses.replace(OUT, failed_returns=2), HOME, late_s)

    assert (("openai/gpt", "eu"), ("openai/gpt", "us"), late_s, 0) == (
        place_of(on),
        home_of(on),
        on.away_since_unix_s,
        on.failed_returns,
    )


@pytest.mark.parametrize(
    ("after_s", "failed_returns", "expected"),
    [(0, 0, False), (4.9, 0, False), (5, 0, True), (9, 1, False), (10, 1, True), (19, 2, False), (20, 2, True),
     (39, 3, False), (40, 3, True), (159, 5, False), (160, 5, True), (299, 6, False), (299, 10**9, False)],
)  # fmt: skip
def test_home_is_tried_after_seconds_doubled_by_each_failed_return(
    after_s, failed_returns, expected
):
    """Counted from the last try, which wrote the binding; any count can stand in a value."""
    pin = dataclasses.replace(OUT, failed_returns=failed_returns)

    assert expected == tries_home(pin, 1000.0 + after_s)


def test_the_next_return_is_due_after_the_last_try_and_not_after_the_session_left():
    """A session that sleeps for a minute does not make up for the tries that it has missed."""
    tried = return_failed(OUT, 1060.0, is_gone=False)

    assert [False, True] == [tries_home(tried, now_s) for now_s in (1069.0, 1070.0)]


def test_failed_returns_only_space_the_tries():
    """However many there were, home is tried again, until the session has been away too long."""
    pin = OUT
    for _ in range(5):
        pin = return_failed(pin, 1010.0, is_gone=False)

    assert (("openai/gpt", "eu"), 5, 7, 1000.0) == (
        home_of(pin),
        pin.failed_returns,
        pin.generation,
        pin.away_since_unix_s,
    )
    assert place_of(OUT) == place_of(pin)
    assert tries_home(pin, 1010.0 + 160)


def test_a_home_that_is_gone_settles_it_at_once():
    """There is nothing to come back to."""
    pin = return_failed(dataclasses.replace(OUT, failed_returns=1), 1010.0, is_gone=True)

    assert ((None, None), None, 0) == (home_of(pin), pin.away_since_unix_s, pin.failed_returns)


def test_a_pin_that_is_at_home_tries_nothing():
    """Nor does one that does not say since when it is away."""
    assert not tries_home(PIN, 1e9)
    assert not tries_home(Binding("m", home="h"), 1e9)


def test_home_goes_first_and_stands_once():
    """The rest keeps its order."""
    assert (HOME, AWAY, THIRD) == home_first((AWAY, HOME, THIRD), (HOME,))


def test_a_pin_to_an_unknown_model_is_left_alone_for_a_rollout():
    """Other pods may know its model; ten minutes later nobody does."""
    assert [False, False, True] == [may_be_replaced(PIN, now_s) for now_s in (100.0, 700.0, 700.5)]


_candidates = st.sampled_from([HOME, AWAY, THIRD])


@given(
    st.lists(st.tuples(_candidates, st.floats(0, 400), st.booleans(), st.booleans()), max_size=20)
)
def test_whatever_happens_a_pin_makes_sense(steps):
    """Its home is never itself, and it is away exactly where it has one; generations count up."""
    pin, now_s = PIN, 1000.0
    for served_by, later_s, is_for_good, returns in steps:
        now_s += later_s
        before = pin.generation
        if returns and pin.home is not None:
            pin = return_failed(pin, now_s, is_gone=is_for_good)
        elif not is_pinned(pin, served_by):
            pin = move(pin, served_by, now_s, is_for_good=is_for_good)
            assert is_pinned(pin, served_by)
        else:
            continue
        assert before + 1 == pin.generation
        assert not any(is_home(pin, each) and is_pinned(pin, each) for each in (HOME, AWAY, THIRD))
        assert {pin.home is None} == {pin.away_since_unix_s is None, pin.home_provider is None}
        assert pin.home is not None or pin.failed_returns == 0


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
    assert ["eu", "us"] == [move(each, THIRD, 1000.0).home_provider for each in away]
    assert tries_home(dataclasses.replace(OUT, bound_at_unix_s=absurd), 1001.0)

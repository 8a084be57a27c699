"""Which idle connection serves next, and how long the others are kept. No socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.idle import IdleConnections


class _Connection:
    def __init__(self, idle: IdleConnections | None = None, *, is_usable: bool = True) -> None:
        self.is_usable = is_usable
        self.is_aborted = False
        self.has_arrived = False
        self.looks = 0
        self._idle = idle

    def is_quiet(self) -> bool:
        self.looks += 1
        return not self.has_arrived

    def abort(self) -> None:
        self.is_aborted = True
        if self._idle is not None:
            self._idle.discard(cast("UpstreamConnection", self))


class _Timer:
    def __init__(self, due_s: float, sweep: Callable[[], None]) -> None:
        self.due_s, self.sweep, self.is_cancelled = due_s, sweep, False

    def cancel(self) -> None:
        self.is_cancelled = True


class _Loop:
    """A clock turned by hand, and the timers set on it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[_Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, call: Callable[..., None], *arguments: Any) -> _Timer:
        self.timers.append(_Timer(at_s, lambda: call(*arguments)))
        return self.timers[-1]

    def call_later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> _Timer:
        return self.call_at(self.now_s + delay_s, call, *arguments)

    def turn_to(self, now_s: float) -> None:
        self.now_s = now_s
        due = [each for each in self.timers if each.due_s <= now_s and not each.is_cancelled]
        self.timers = [each for each in self.timers if each not in due]
        for timer in due:
            timer.sweep()


class House:
    """Idle connections on a clock turned by hand."""

    def __init__(self, *, keepalive_s: float = 10.0, max_idle: int = 3) -> None:
        self.loop = _Loop()
        self.idle = IdleConnections(keepalive_s, max_idle)

    def keep(
        self, at_s: float, hint_s: int | None = None, *, is_usable: bool = True
    ) -> _Connection:
        self.loop.now_s = at_s
        made = _Connection(self.idle, is_usable=is_usable)
        loop = cast("asyncio.AbstractEventLoop", self.loop)
        self.idle.keep(cast("UpstreamConnection", made), hint_s, loop, at_s)
        return made

    def take(self, at_s: float, *, looks: bool = False) -> object:
        return self.idle.take(at_s, looks=looks)


def test_the_connection_that_was_idle_last_serves_next():
    """The others grow old and go."""
    house = House()
    first, second = house.keep(0), house.keep(1)

    assert [second, first, None] == [house.take(2) for _ in range(3)]


@pytest.mark.parametrize(("at_s", "is_served"), [(9.9, True), (10.0, False)])
def test_a_connection_that_was_idle_too_long_is_closed(at_s, is_served):
    """Its upstream may be closing it at this moment."""
    house = House()
    kept = house.keep(0)

    assert (kept if is_served else None) is house.take(at_s)
    assert is_served != kept.is_aborted


def test_a_connection_that_broke_while_idle_is_passed_over():
    """The one before it may be well."""
    house = House()
    first, broken = house.keep(0), house.keep(1, is_usable=False)

    assert first is house.take(2)
    assert broken.is_aborted


@pytest.mark.parametrize(("at_s", "is_served"), [(0.9, True), (1.0, False)])
def test_a_connection_that_was_idle_for_a_second_is_looked_at(at_s, is_served):
    """Whatever has arrived on it, it is not used again. Before, the look is spared."""
    house = House()
    kept = house.keep(0)
    kept.has_arrived = True

    assert (kept if is_served else None) is house.take(at_s)
    assert (not is_served, 0 if is_served else 1) == (kept.is_aborted, kept.looks)


def test_each_connection_is_looked_at_for_what_cannot_be_sent_again():
    """However short it was idle."""
    house = House()
    quiet, ended = house.keep(0), house.keep(0)
    ended.has_arrived = True

    assert quiet is house.take(0.1, looks=True)
    assert (1, 1, True) == (quiet.looks, ended.looks, ended.is_aborted)


def test_a_quiet_connection_serves_after_the_look():
    """One look each time."""
    house = House()
    kept = house.keep(0)

    assert kept is house.take(1)
    assert (False, 1) == (kept.is_aborted, kept.looks)


def test_more_than_enough_are_closed_at_once():
    """A burst leaves no crowd behind."""
    house = House(max_idle=2)
    kept = [house.keep(at_s) for at_s in range(3)]

    assert [False, False, True] == [each.is_aborted for each in kept]
    assert 2 == len(house.idle)


def test_one_timer_closes_each_when_its_time_is_over():
    """And is set again for the next one due."""
    house = House()
    kept = [house.keep(0), house.keep(4)]
    seen = []
    for at_s in (9.9, 10, 13.9, 14):
        house.loop.turn_to(at_s)
        seen.append([each.is_aborted for each in kept])

    assert [[False, False], [True, False], [True, False], [True, True]] == seen
    assert ([], 0) == (house.loop.timers, len(house.idle))


@pytest.mark.parametrize(
    ("hint_s", "closed_s"), [(None, 10.0), (5, 4.0), (60, 10.0), (1, 0.0), (0, 0.0)]
)
def test_the_upstreams_own_time_counts_where_it_is_shorter(hint_s, closed_s):
    """Less a second, so that we close first."""
    house = House()
    kept = house.keep(0, hint_s)
    if closed_s:
        house.loop.turn_to(closed_s - 0.1)
        assert not kept.is_aborted
    house.loop.turn_to(closed_s)

    assert kept.is_aborted


def test_one_hint_shortens_the_time_of_its_own_connection_alone():
    """One response of a hostile hop, or of a server that is shutting down, is no rule for the
    others: neither for those that wait nor for those that come.
    """
    house = House()
    before, hinted, after = house.keep(0), house.keep(1, 3), house.keep(2)
    seen = []
    for at_s in (2.9, 3, 9.9, 10, 12):
        house.loop.turn_to(at_s)
        seen.append([each.is_aborted for each in (before, hinted, after)])
    at_once = house.keep(20, 1)

    assert [
        [False, False, False],
        [False, True, False],
        [False, True, False],
        [True, True, False],
        [True, True, True],
    ] == seen
    assert at_once.is_aborted
    assert house.keep(20) is house.take(29)


def test_the_time_that_a_hint_leaves_is_over_also_where_the_timer_has_not_gone_off():
    """The connection that was idle last serves next: one that was hinted is passed over by then."""
    house = House()
    first, hinted = house.keep(0), house.keep(1, 3)
    house.loop.now_s = 3

    assert first is house.take(3)
    assert hinted.is_aborted


def test_a_discarded_connection_is_forgotten():
    """One that is not idle is no matter."""
    house = House()
    kept, other = house.keep(0), _Connection()
    for each in (other, kept, kept):
        house.idle.discard(cast("UpstreamConnection", each))

    assert None is house.take(1)


def test_once_stopped_no_timer_is_left():
    """Their owner closes the connections itself; stopping twice is stopping."""
    house = House()
    house.keep(0)
    house.idle.stop()
    house.idle.stop()

    assert [True] == [timer.is_cancelled for timer in house.loop.timers]

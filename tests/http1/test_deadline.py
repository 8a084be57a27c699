"""The lazy timer and the timeouts of an exchange, on a loop whose clock is turned by hand."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from sidecar.domain.errors import (
    FirstByteTimeout,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamTimeout,
)
from sidecar.http1.deadline import Deadline, ExchangeDeadline
from sidecar.http1.origin import ExchangeTimeouts
from tests.support.hand_turned_loop import HandTurnedLoop

INF = float("inf")


@pytest.fixture
def loop() -> HandTurnedLoop:
    return HandTurnedLoop()


@pytest.fixture
def late() -> list[type[UpstreamTimeout]]:
    return []


@pytest.fixture
def deadline(loop: HandTurnedLoop, late: list[type[UpstreamTimeout]]) -> Deadline:
    return Deadline(cast("asyncio.AbstractEventLoop", loop), late.append)


def test_calls_back_when_it_has_passed(loop, late, deadline):
    """With the class it was set with, not before, and once."""
    deadline.move_to(5, FirstByteTimeout)
    loop.turn_to(4.9)
    assert late == []
    loop.turn_to(100)
    assert [FirstByteTimeout] == late


def test_a_deadline_found_late_moves_once_by_as_much(loop, late, deadline):
    """The loop stood still: what came meanwhile is read before anything is cut."""
    deadline.move_to(5, StreamIdleTimeout)
    loop.stand_still_to(7)
    loop.turn_to(8.9)
    assert late == []
    loop.stand_still_to(20)
    assert [StreamIdleTimeout] == late


def test_a_deadline_that_is_moved_on_after_a_stall_may_be_found_late_again(loop, late, deadline):
    """A piece came: the next one has its whole time, and as much patience."""
    deadline.move_to(5, StreamIdleTimeout)
    loop.stand_still_to(7)
    deadline.move_to(12, StreamIdleTimeout)
    loop.stand_still_to(14)
    assert late == []
    loop.turn_to(16)
    assert [StreamIdleTimeout] == late


def test_moving_on_touches_no_timer(loop, late, deadline):
    """A thousand exchanges within one timeout set a single timer; it follows the last deadline by
    itself.
    """
    for turn in range(1000):
        loop.now_s = turn / 1000
        deadline.move_to(loop.now_s + 5, ResponseTimeout)
    assert loop.armed == 1
    loop.turn_to(5.998)
    assert (late, loop.armed) == ([], 2)
    loop.turn_to(6)
    assert [ResponseTimeout] == late


def test_moving_back_sets_the_timer_anew(loop, late, deadline):
    """An earlier deadline is kept to the point, and the old timer does not speak up later."""
    deadline.move_to(50, ResponseTimeout)
    deadline.move_to(5, StreamIdleTimeout)
    loop.turn_to(5)
    assert [StreamIdleTimeout] == late
    loop.turn_to(100)
    assert [StreamIdleTimeout] == late


@pytest.mark.parametrize("ends", ["lift", "never", "stop"])
def test_nothing_is_due_any_more(loop, late, deadline, ends):
    """Lifted, moved to infinity or stopped, it stays silent and sets no timer again."""
    deadline.move_to(5, ResponseTimeout)
    if ends == "lift":
        deadline.clear()
    elif ends == "never":
        deadline.move_to(INF, ResponseTimeout)
    else:
        deadline.stop()
    loop.turn_to(100)
    assert (late, loop.armed) == ([], 1)
    assert not [handle for handle in loop.handles if not handle.is_cancelled]


def test_stopped_is_stopped(loop, late, deadline):
    """A deadline set after `stop` does not arm anything."""
    deadline.stop()
    deadline.move_to(5, ResponseTimeout)
    loop.turn_to(100)
    assert (late, loop.armed) == ([], 0)


def test_lifted_timer_serves_the_next_exchange(loop, late, deadline):
    """The timer that a lifted deadline left behind is used again."""
    deadline.move_to(5, FirstByteTimeout)
    deadline.clear()
    loop.turn_to(4)
    deadline.move_to(9, FirstByteTimeout)
    assert loop.armed == 1
    loop.turn_to(9)
    assert [FirstByteTimeout] == late


@pytest.mark.parametrize(
    ("timeouts", "steps", "expected"),
    [
        ((1, 3, 8, 2), (), [(3, FirstByteTimeout)]),
        ((1, 9, 8, 2), (), [(8, ResponseTimeout)]),
        ((1, None, 8, 2), (), [(8, ResponseTimeout)]),
        ((1, None, None, None), (), []),
        ((1, 3, 8, 2), ("expect_end",), [(8, ResponseTimeout)]),
        ((1, 3, 8, 2), ("expect_piece",), [(2, StreamIdleTimeout)]),
        ((1, 3, None, 2), ("expect_piece",), [(2, StreamIdleTimeout)]),
        ((1, 3, 8, 9), ("expect_piece",), [(8, ResponseTimeout)]),
        ((1, 3, 8, None), ("expect_piece",), [(3, FirstByteTimeout)]),
        ((1, None, 8, None), ("expect_piece",), [(8, ResponseTimeout)]),
        ((1, 3, 8, 2), ("expect_piece", "expect_end"), [(8, ResponseTimeout)]),
        ((1, 3, None, 2), ("expect_piece", "expect_end"), []),
    ],
)
def test_an_exchange_has_one_deadline_after_another(loop, late, timeouts, steps, expected):
    """For its head, for each piece of its body, and none of them beyond that of the response."""
    ends: list[tuple[float, type[UpstreamTimeout]]] = []
    exchange = ExchangeDeadline(
        cast("asyncio.AbstractEventLoop", loop), lambda kind: ends.append((loop.now_s, kind))
    )
    exchange.begin(ExchangeTimeouts(*timeouts), 0.0)
    for step in steps:
        getattr(exchange, step)()
    loop.turn_to(100)

    assert expected == ends

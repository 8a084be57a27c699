"""The lazy timer and the timeouts of an exchange, on a loop whose clock is turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from sidecar.domain.errors import (
    FirstByteTimeout,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamTimeout,
)
from sidecar.http1.deadline import Deadline, ExchangeDeadline
from sidecar.http1.origin import ExchangeTimeouts

INF = float("inf")


class Handle:
    def __init__(self, at_s: float, call: Callable[[], Any]) -> None:
        self.at_s, self.call, self.is_cancelled = at_s, call, False

    def cancel(self) -> None:
        self.is_cancelled = True


class HandTurnedLoop:
    """Only what a timer needs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.handles: list[Handle] = []
        self.armed = 0

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, call: Callable[[], Any]) -> Handle:
        self.armed += 1
        self.handles.append(Handle(at_s, call))
        return self.handles[-1]

    def turn_to(self, now_s: float) -> None:
        while due := [
            handle for handle in self.handles if handle.at_s <= now_s and not handle.is_cancelled
        ]:
            handle = min(due, key=lambda each: each.at_s)
            self.handles.remove(handle)
            self.now_s = max(self.now_s, handle.at_s)
            handle.call()
        self.now_s = now_s


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

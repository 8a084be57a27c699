"""Timers that go off late: once more for as long, and then for good."""

from __future__ import annotations

import asyncio
import time

import pytest

from sidecar.runtime.timers import MORE_AT_MOST_S, Interrupt, Timeout, Timer, more_s, rest_s, wait
from tests.support.hand_turned_loop import HandTurnedLoop

DELAY_S = 0.01
STALL_S = 0.05


@pytest.fixture
def loop(monkeypatch) -> HandTurnedLoop:
    turned = HandTurnedLoop()
    monkeypatch.setattr("asyncio.get_running_loop", lambda: turned)
    return turned


@pytest.mark.parametrize(
    ("late_s", "at_most_s", "expected"),
    [
        (0.0, 10.0, 0.0),
        (-0.001, 10.0, 0.0),
        (0.005, 10.0, 0.0),
        (0.02, 10.0, 0.02),
        (3.0, 10.0, 3.0),
        (3.0, 0.02, 0.02),
        (3600.0, 10.0, MORE_AT_MOST_S),
    ],
)
def test_a_wait_goes_on_for_as_long_as_its_timer_was_late(late_s, at_most_s, expected):
    """Within bounds: a wait of 20 ms does not become one of seconds."""
    assert expected == more_s(late_s, at_most_s)


@pytest.mark.parametrize(
    ("left_s", "spent_s", "expected"), [(10.0, 4.0, 6.0), (10.0, 10.0, 5.0), (10.0, 3600.0, 5.0)]
)
def test_a_stall_does_not_use_up_a_budget(left_s, spent_s, expected):
    """What was waited for has come all the same: something is left for what follows."""
    assert expected == rest_s(left_s, spent_s)


def test_a_punctual_timer_calls_back_once(loop):
    """At its time, and not before."""
    calls: list[float] = []
    Timer(5, lambda: calls.append(loop.now_s))
    loop.turn_to(4.9)
    assert not calls
    loop.turn_to(100)
    assert [5] == calls


def test_a_timer_that_goes_off_late_is_set_once_more(loop):
    """As long again as it was late; late a second time, it calls back all the same."""
    calls: list[float] = []
    Timer(5, lambda: calls.append(loop.now_s))
    loop.stand_still_to(7)
    assert not calls
    loop.stand_still_to(20)
    assert [20] == calls


@pytest.mark.parametrize("is_late", [False, True])
def test_a_cancelled_timer_is_silent(loop, is_late):
    """Also one that was set once more."""
    calls: list[None] = []
    timer = Timer(5, lambda: calls.append(None))
    if is_late:
        loop.stand_still_to(7)
    timer.cancel()
    timer.cancel()
    loop.turn_to(100)
    assert not calls


async def test_a_timeout_ends_what_takes_too_long():
    """As asyncio's does."""
    with pytest.raises(TimeoutError):
        async with Timeout(DELAY_S):
            await asyncio.Event().wait()


async def test_a_timeout_lets_pass_what_is_in_time_and_what_fails():
    """Nothing is cancelled behind it."""
    async with Timeout(60.0):
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="own"):
        async with Timeout(60.0):
            raise ValueError("own")
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_cancellation_from_elsewhere_is_no_timeout():
    """The task ends as it was told to."""

    async def work() -> None:
        async with Timeout(60.0):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_came_while_the_loop_stood_still_is_in_time():
    """`asyncio.timeout` cancels here: its timer is due before the future's task goes on."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[str] = loop.create_future()

    def stand_still() -> None:
        time.sleep(STALL_S)  # sleep: this is what stands still
        loop.call_soon(lambda: loop.call_soon(came.set_result, "it"))

    async with Timeout(DELAY_S):
        loop.call_soon(stand_still)
        assert "it" == await came


async def test_a_timeout_begins_anew_while_something_goes_on():
    """It asks each time that it is due."""
    asked: list[None] = []

    def goes_on() -> bool:
        asked.append(None)
        return len(asked) < 3

    with pytest.raises(TimeoutError):
        async with Timeout(DELAY_S / 10, goes_on):
            await asyncio.Event().wait()
    assert 3 == len(asked)


async def test_a_wait_tells_whether_the_future_is_done():
    """It leaves the future alone."""
    loop = asyncio.get_running_loop()
    never: asyncio.Future[None] = loop.create_future()
    soon: asyncio.Future[None] = loop.create_future()
    loop.call_soon(soon.set_result, None)

    assert (True, False) == (await wait(soon, 60.0), await wait(never, DELAY_S))
    assert not never.done()


async def test_a_wait_goes_on_where_the_loop_stood_still():
    """What was on its way comes in time."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()

    def stand_still() -> None:
        time.sleep(STALL_S)  # sleep: this is what stands still
        loop.call_later(STALL_S / 10, came.set_result, None)

    loop.call_soon(stand_still)
    assert await wait(came, STALL_S / 2)


async def test_a_wait_is_interrupted_once_the_future_is_done():
    """As by a timeout."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    interrupt = Interrupt(future)
    loop.call_soon(future.set_result, None)
    with pytest.raises(TimeoutError):
        async with interrupt:
            await loop.create_future()

    assert interrupt.expired()


async def test_an_interrupt_that_has_ended_interrupts_nothing():
    """The future may be done in the very turn in which the wait ends."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    interrupt = Interrupt(future)
    async with interrupt:
        future.set_result(None)
    interrupt.end()
    await asyncio.sleep(0)

    assert not interrupt.expired()


async def _waits_for_ever(timeout: Timeout) -> None:
    async with timeout:
        timeout._is_set_again = True
        timeout._on_timeout()
        await asyncio.Event().wait()


async def test_a_timeout_that_was_set_once_more_ends_the_next_time():
    """A loop that always is late must not wait for ever."""
    with pytest.raises(TimeoutError):
        await _waits_for_ever(Timeout(60.0))

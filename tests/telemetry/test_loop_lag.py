"""The loop's lag is how much too long a sleep was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.telemetry.loop_lag import PROBE_S, probe_loop_lag
from tests.support.values import FakeClock


async def test_each_sleep_is_observed_by_what_it_was_too_long():
    """Never less than nothing."""
    clock, lags = FakeClock(), list[float]()
    late_s = iter((0.0, 0.25, -0.001))

    async def sleep(seconds: float) -> None:
        try:
            clock.advance(seconds + next(late_s))
        except StopIteration:
            raise asyncio.CancelledError from None

    with pytest.raises(asyncio.CancelledError):
        await probe_loop_lag(lags.append, clock.monotonic_s, sleep)

    assert [pytest.approx(each) for each in (0.0, 0.25, 0.0)] == lags


async def test_a_held_up_loop_is_seen():
    """By the real clock: what holds the loop for longer than the sleep is lag."""
    loop, seen = asyncio.get_running_loop(), asyncio.Queue[float]()
    real_sleep: Any = asyncio.sleep
    task = loop.create_task(
        probe_loop_lag(seen.put_nowait, loop.time, lambda _: real_sleep(PROBE_S / 100))
    )
    lag = await seen.get()
    task.cancel()

    assert lag >= 0.0

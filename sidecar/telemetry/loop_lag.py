"""How late the event loop is: what holds it up holds up every call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PROBE_S: Final = 1.0


async def probe_loop_lag(
    observe: Callable[[float], None],
    monotonic_s: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Sleep again and again for a second, and observe by how many seconds each sleep was too long.

    Runs in a task of its own until it is cancelled.
    """
    while True:
        due_s = monotonic_s() + PROBE_S
        await sleep(PROBE_S)
        observe(max(0.0, monotonic_s() - due_s))

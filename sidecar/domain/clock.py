"""Time as a value that is passed in, so that rules about time can be tested without waiting."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where a room reads the time. Rules take ``now_s`` as an argument; only I/O modules hold a
    clock.
    """

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; for durations and deadlines."""
        ...

    def unix_s(self) -> float:
        """Seconds since 1970-01-01 UTC; only for what other processes read."""
        ...


class SystemClock:
    """The machine's own clocks. ``monotonic_s`` is the clock that asyncio's stdlib loop uses for
    its timers.
    """

    monotonic_s = staticmethod(time.monotonic)
    unix_s = staticmethod(time.time)

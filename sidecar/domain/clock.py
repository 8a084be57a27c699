"""Where rooms read the time. It is passed in, so that tests of rules about time need not wait."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Only modules that do I/O hold one; rules take ``now_s`` as an argument."""

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back; for durations and deadlines."""
        ...

    def unix_s(self) -> float:
        """Return seconds since 1970-01-01 UTC; only for values that other processes read."""
        ...


class SystemClock:
    """Reads the machine's clocks. ``monotonic_s`` is the clock of asyncio's own timers."""

    monotonic_s = staticmethod(time.monotonic)
    unix_s = staticmethod(time.time)

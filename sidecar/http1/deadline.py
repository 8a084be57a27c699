"""One timer for all the timeouts of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

from sidecar.domain.errors import (
    FirstByteTimeout,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamTimeout,
)

Late = type[UpstreamTimeout]

LATE_MESSAGES: Final[dict[Late, str]] = {
    FirstByteTimeout: "no answer within the first-byte timeout",
    ResponseTimeout: "the answer was not complete within the response timeout",
    StreamIdleTimeout: "the answer fell silent for the idle timeout",
}


class Deadline:
    """A point in time that moves with every exchange, over a timer that is left alone where it can
    be.

    Deadlines nearly always move into the future, so the timer is not touched then: it goes off
    early, finds the deadline ahead and is set again. An exchange so costs two stores and a
    comparison instead of a heap operation.
    """

    __slots__ = ("_loop", "_on_late", "_at_s", "_late", "_timer", "_timer_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[Late], None]) -> None:
        self._loop = loop
        self._on_late = on_late
        self._at_s = inf
        self._late: Late = UpstreamTimeout
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = inf

    def move_to(self, at_s: float, late: Late) -> None:
        """Call back with ``late`` at ``at_s`` of the loop's clock, unless moved again; infinity is
        never.
        """
        self._at_s = at_s
        self._late = late
        if at_s < self._timer_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(at_s, self._look)
            self._timer_s = at_s

    def clear(self) -> None:
        """Nothing is due any more. The timer stays for the next exchange."""
        self._at_s = inf

    def stop(self) -> None:
        """For good."""
        self._at_s = inf
        self._timer_s = -inf
        self._on_late = _ignore  # No cycle through the owner is left.
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self._timer_s = inf
        if self._loop.time() < self._at_s:
            self.move_to(self._at_s, self._late)
        else:
            self._on_late(self._late)


def _ignore(late: Late) -> None:
    """Nobody is there any more."""

"""The timeouts of an exchange, over one timer."""

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
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.runtime.timers import more_s

Late = type[UpstreamTimeout]

LATE_MESSAGES: Final[dict[Late, str]] = {
    FirstByteTimeout: "no response within the first-byte timeout",
    ResponseTimeout: "the response was not complete within the response timeout",
    StreamIdleTimeout: "the response fell silent for the idle timeout",
}


class Deadline:
    """A point in time that moves with every exchange, over a timer that is left alone where it can
    be.

    Deadlines nearly always move into the future, so the timer is not touched then: it goes off
    early, finds the deadline ahead and is set again. An exchange so costs two stores and a
    comparison instead of a heap operation.

    One that is found late moves once by as much: see `runtime.timers`.
    """

    __slots__ = ("_loop", "_on_late", "_at_s", "_late", "_moved_to_s", "_timer", "_timer_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[Late], None]) -> None:
        self._loop = loop
        self._on_late = on_late
        self._at_s = inf
        self._late: Late = UpstreamTimeout
        self._moved_to_s = inf
        """Where the deadline stands that was moved since it was found late."""
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
        """Nothing will be due again."""
        self._at_s = inf
        self._timer_s = -inf
        self._on_late = _ignore
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self._timer_s = inf
        now_s, at_s = self._loop.time(), self._at_s
        if now_s < at_s:
            self.move_to(at_s, self._late)
            return
        more = 0.0 if at_s == self._moved_to_s else more_s(now_s - at_s)
        if more:
            self._moved_to_s = now_s + more
            self.move_to(self._moved_to_s, self._late)
        else:
            self._on_late(self._late)


class ExchangeDeadline(Deadline):
    """The deadline of an exchange: of its response's head, then of each piece of the body, and
    never beyond that of the whole response.
    """

    __slots__ = ("_idle_s", "_response_by_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[Late], None]) -> None:
        super().__init__(loop, on_late)
        self._idle_s: float | None = None
        self._response_by_s = inf

    def begin(self, timeouts: ExchangeTimeouts, sent_s: float) -> None:
        """Bound the head of the response to a request that was sent at ``sent_s``."""
        self._idle_s = timeouts.idle_s
        first_byte_s, response_s = timeouts.first_byte_s, timeouts.response_s
        self._response_by_s = inf if response_s is None else sent_s + response_s
        if first_byte_s is not None and sent_s + first_byte_s < self._response_by_s:
            self.move_to(sent_s + first_byte_s, FirstByteTimeout)
        else:
            self.move_to(self._response_by_s, ResponseTimeout)

    def expect_piece(self) -> None:
        """Bound the next piece of the body, which the reader begins to wait for now."""
        if self._idle_s is not None:
            idle_by_s = self._loop.time() + self._idle_s
            if idle_by_s < self._response_by_s:
                self.move_to(idle_by_s, StreamIdleTimeout)
            else:
                self.move_to(self._response_by_s, ResponseTimeout)

    def expect_end(self) -> None:
        """Bound nothing but the whole response."""
        self.move_to(self._response_by_s, ResponseTimeout)


def _ignore(late: Late) -> None:
    """Replaces the callback after `Deadline.stop`, so that no reference cycle keeps the connection
    alive.
    """

"""Timers that tell another side's silence from a loop that stood still.

A process that was suspended, or whose loop a busy machine held up, finds its timers due before it
has read what arrived meanwhile: to the kernel's poll that was interrupted nothing was there. So a
timer that goes off late is set once more, for as long as it was late: I/O is polled at least once,
and a side that was suspended together with this process can go on, before anything is cut.

What ends with another clock than this process's, as a drain's grace does, has no such timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

LATE_S: Final = 0.005
"""A timer that goes off later than this was held up by this process."""
MORE_AT_MOST_S: Final = 5.0
"""Enough for what takes several exchanges: a name, TLS, a request that was half sent."""


def more_s(late_s: float, at_most_s: float = MORE_AT_MOST_S) -> float:
    """Return how many seconds longer to wait where a timer went off ``late_s`` after its time: 0
    where it was punctual, and never more than ``at_most_s``.
    """
    return min(late_s, at_most_s, MORE_AT_MOST_S) if late_s > LATE_S else 0.0


def rest_s(left_s: float, spent_s: float) -> float:
    """Return what is left of a budget of seconds: where a wait within it took all of that and more,
    this process stood still, and half of it is left for what follows.
    """
    return left_s - spent_s if spent_s < left_s else left_s / 2


class Timer:
    """Calls back once, after a delay in which the loop ran."""

    __slots__ = ("_callback", "_delay_s", "_due_s", "_handle", "_is_set_again", "_loop")

    def __init__(self, delay_s: float, callback: Callable[[], object]) -> None:
        """Set it. There must be a running loop."""
        self._loop = asyncio.get_running_loop()
        self._callback = callback
        self._delay_s = delay_s
        self._due_s = self._loop.time() + delay_s
        self._is_set_again = False
        self._handle = self._loop.call_at(self._due_s, self._look)

    def cancel(self) -> None:
        """Never call back. Idempotent."""
        self._handle.cancel()

    def _look(self) -> None:
        more = 0.0
        if not self._is_set_again:
            more = more_s(self._loop.time() - self._due_s, self._delay_s)
        if more:
            self._is_set_again = True
            self._handle = self._loop.call_later(more, self._look)
        else:
            self._callback()


class TimeoutAt(asyncio.Timeout):  # type: ignore[misc] # final to mypy alone
    """As `asyncio.timeout_at`: ``async with TimeoutAt(loop.time() + 2.0):`` raises TimeoutError
    where the body takes longer, not counting how long the loop stood still at its end.
    """

    _delay_s: float = MORE_AT_MOST_S
    _goes_on: Callable[[], bool] | None = None
    _is_set_again = False

    def _on_timeout(self) -> None:
        """Called by asyncio when the time is over: what is relied on of its private names."""
        now_s, due_s = asyncio.get_running_loop().time(), self.when()
        more = 0.0
        if due_s is not None and not self._is_set_again:
            more = more_s(now_s - due_s, self._delay_s)
        if more:
            self._is_set_again = True
            self.reschedule(now_s + more)
        elif self._goes_on is not None and self._goes_on():
            self._is_set_again = False
            self.reschedule(now_s + self._delay_s)
        else:
            super()._on_timeout()  # type: ignore[misc] # private to typeshed


class Timeout(TimeoutAt):  # type: ignore[misc] # as above
    """The same for a duration.

    Args: ``goes_on`` is asked when the time is over; where it returns true, the time begins anew.
    """

    def __init__(self, delay_s: float, goes_on: Callable[[], bool] | None = None) -> None:
        super().__init__(asyncio.get_running_loop().time() + delay_s)
        self._delay_s = delay_s
        self._goes_on = goes_on


class Interrupt(asyncio.Timeout):  # type: ignore[misc] # final to mypy alone
    """``async with Interrupt(future):`` cancels the body, and raises TimeoutError, once the future
    is done; `expired` says then that it was this.
    """

    def __init__(self, future: asyncio.Future[Any]) -> None:
        super().__init__(None)
        self._future = future
        self._is_over = False
        future.add_done_callback(self._interrupt)

    def end(self) -> None:
        """Interrupt nothing any more."""
        self._is_over = True
        self._future.remove_done_callback(self._interrupt)

    def _interrupt(self, future: asyncio.Future[Any]) -> None:  # noqa: ARG002 - a callback's signature
        if not self._is_over:
            self.reschedule(0.0)


async def wait(future: asyncio.Future[Any], timeout_s: float) -> bool:
    """Wait until a future is done, at most ``timeout_s``, not counting how long the loop stood
    still at its end. Return whether it is done. Cancelling this leaves the future alone.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + timeout_s
    await asyncio.wait((future,), timeout=timeout_s)
    more = 0.0 if future.done() else more_s(loop.time() - due_s, timeout_s)
    if more:
        await asyncio.wait((future,), timeout=more)
    return future.done()

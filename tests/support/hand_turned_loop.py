"""An event loop of which only the clock and the timers work, and a test turns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


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

    def call_later(self, delay_s: float, call: Callable[[], Any]) -> Handle:
        return self.call_at(self.now_s + delay_s, call)

    def turn_to(self, now_s: float) -> None:
        """Let time pass; each timer goes off at its point in time."""
        while due := [
            handle for handle in self.handles if handle.at_s <= now_s and not handle.is_cancelled
        ]:
            handle = min(due, key=lambda each: each.at_s)
            self.handles.remove(handle)
            self.now_s = max(self.now_s, handle.at_s)
            handle.call()
        self.now_s = now_s

    def stand_still_to(self, now_s: float) -> None:
        """Let time pass unnoticed: the timers that are due by then go off late."""
        self.now_s = now_s
        self.turn_to(now_s)

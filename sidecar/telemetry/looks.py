"""Looks again and again at what is not over yet, as long as there is anything to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

LOOK_S: Final = 1.0
"""Time between two looks."""

CallLater = Callable[[float, Callable[[], None]], object]
"""As the event loop has it."""


def call_later(delay_s: float, callback: Callable[[], None]) -> object:
    """Call ``callback`` in so many seconds, in the running event loop."""
    return asyncio.get_running_loop().call_later(delay_s, callback)


class Looks:
    """Calls ``look`` every `LOOK_S` seconds from `begin` on, until it says that nothing is left.

    Args: ``look`` returns whether there is more to look at; ``later`` is the event loop's.
    """

    def __init__(self, look: Callable[[], bool], later: CallLater | None = None) -> None:
        self._look = look
        self._later = later or call_later
        self._is_looking = False

    def begin(self) -> None:
        """Look from now on. Idempotent."""
        if not self._is_looking:
            self._is_looking = True
            self._later(LOOK_S, self._tick)

    def _tick(self) -> None:
        self._is_looking = self._look()
        if self._is_looking:
            self._later(LOOK_S, self._tick)

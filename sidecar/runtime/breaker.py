"""When a store that fails is not asked any more. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

IN_A_ROW: Final = 5
OF_LAST: Final = 20
SHARE: Final = 0.5
WINDOW_S: Final = 0.015
"""What fails within so short a time failed for one reason: a server that forks, or runs one slow
command, is late for all who ask meanwhile, and to leave it alone for a second would cost more than
it did."""


class Breaker:
    """Trips after five failures in a row, or where half of the last twenty operations failed.

    Operations that end within one window count as one, which failed where half of them did.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._row = 0
        self._last: deque[bool] = deque(maxlen=OF_LAST - 1)
        """Whether each window failed; the one that has not ended is not among them."""
        self._began_s = 0.0
        self._asked = self._failed = 0

    @property
    def is_tripped(self) -> bool:
        """Whether the store should be left alone."""
        is_failing = self._has_failed
        if is_failing and self._row + 1 >= IN_A_ROW:
            return True
        return len(self._last) == OF_LAST - 1 and sum(self._last) + is_failing >= OF_LAST * SHARE

    def served(self) -> None:
        """An operation was answered, whatever the answer."""
        self._note(is_failure=False)

    def failed(self) -> None:
        """An operation was not answered, or not in time."""
        self._note(is_failure=True)

    def reset(self) -> None:
        """The store was tried anew, and answers."""
        self._row = self._asked = self._failed = 0
        self._last.clear()

    @property
    def _has_failed(self) -> bool:
        return self._failed > 0 and self._failed >= self._asked * SHARE

    def _note(self, *, is_failure: bool) -> None:
        now_s = self._monotonic_s()
        if self._asked and now_s - self._began_s >= WINDOW_S:
            self._row = self._row + 1 if self._has_failed else 0
            self._last.append(self._has_failed)
            self._asked = self._failed = 0
        if not self._asked:
            self._began_s = now_s
        self._asked += 1
        self._failed += is_failure

"""When a store that fails is not asked any more. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

IN_A_ROW: Final = 5
OF_LAST: Final = 20
SHARE: Final = 0.5


class Breaker:
    """Trips after five failures in a row, or where half of the last twenty operations failed."""

    def __init__(self) -> None:
        self._row = 0
        self._last: deque[bool] = deque(maxlen=OF_LAST)
        self._failures = 0

    @property
    def is_tripped(self) -> bool:
        """Whether the store should be left alone."""
        return self._row >= IN_A_ROW or (len(self._last) == OF_LAST and self._failures >= OF_LAST * SHARE)

    def served(self) -> None:
        """An operation was answered, whatever the answer."""
        self._row = 0
        if self._failures:
            self._note(is_failure=False)

    def failed(self) -> None:
        """An operation was not answered, or not in time."""
        self._row += 1
        self._note(is_failure=True)

    def reset(self) -> None:
        """The store was tried anew, and answers."""
        self._row = self._failures = 0
        self._last.clear()

    def _note(self, *, is_failure: bool) -> None:
        if len(self._last) == OF_LAST:
            self._failures -= self._last[0]
        self._last.append(is_failure)
        self._failures += is_failure

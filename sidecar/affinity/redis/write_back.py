"""Pins that were made while Redis was gone, or took no writes, on their way back into it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sidecar.affinity.near_cache import Entry, NearCache

EVERY_S: Final = 0.5
"""Between two looks, with jitter; a Redis that is back is whole again within seconds."""
_AT_ONCE: Final = 50
"""Calls wait while so many are written and their answers read: some milliseconds, not a whole
budget.
"""

Restore = Callable[[Sequence[tuple[str, Entry]]], Awaitable[bool]]
"""Writes some entries; False where the rest had better wait. What Redis answered has replaced the
entries by then.
"""


class WriteBack:
    """Looks again and again, so that no edge can be missed."""

    def __init__(self, near: NearCache, restore: Restore) -> None:
        self._near = near
        self._restore = restore

    async def keep_on(self, may_write: Callable[[], bool]) -> None:
        """For the life of the store."""
        while True:
            await asyncio.sleep(EVERY_S * (0.5 + random.random()))
            if may_write() and self._near.dirty_entries:
                await self._write()

    async def _write(self) -> None:
        left = self._near.dirty()
        # One goes ahead: a server that takes no writes says so once, not for every pin.
        sizes = [1] + [_AT_ONCE] * (len(left) // _AT_ONCE + 1)
        for size in sizes:
            batch, left = left[:size], left[size:]
            batch = [(key, entry) for key, entry in batch if self._near.holds(key, entry)]
            if batch and not await self._restore(batch):
                return

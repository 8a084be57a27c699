"""The memory that request bodies take, all calls together: ``limits.buffered_bytes``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from sidecar.domain.errors import Overloaded
from sidecar.runtime.timers import Timeout

WAIT_AT_MOST_S: Final = 5.0
"""How long a body waits for memory, while its socket is not read, before its call is refused."""


class BodyMemory:
    """Memory for request bodies: taken before a body is read, given back once its call has ended.
    First come, first served.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        """Where it is lowered, what is held already stays; where it is raised, bodies that wait go
        on with the next bytes that are given back.
        """
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.buffered_bytes = 0

    def take_nowait(self, size: int) -> bool:
        """Take ``size`` bytes if they are free and no other body waits; return whether they were
        taken.
        """
        if self._waiting or self.buffered_bytes + size > self.limit_bytes:
            return False
        self.buffered_bytes += size
        return True

    async def take(self, size: int) -> None:
        """Take ``size`` bytes, waiting for them.

        Raises: Overloaded after `WAIT_AT_MOST_S`, and at once for a size that never fits.
        """
        if self.take_nowait(size):
            return
        if size > self.limit_bytes:
            raise self._overloaded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with Timeout(WAIT_AT_MOST_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(size)  # granted in the very turn in which the wait was given up
            else:
                self._waiting.remove((size, turn))
                self._grant()
            if isinstance(error, TimeoutError):
                raise self._overloaded() from error
            raise

    def give_back(self, size: int) -> None:
        """Give ``size`` bytes back, and let the bodies go on that fit now."""
        self.buffered_bytes -= size
        if self._waiting:
            self._grant()

    def _grant(self) -> None:
        while self._waiting and self.buffered_bytes + self._waiting[0][0] <= self.limit_bytes:
            size, turn = self._waiting.popleft()
            self.buffered_bytes += size
            turn.set_result(None)

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"limits.buffered_bytes ({self.limit_bytes}) are held by other calls' bodies",
            retry_after_s=1,
        )

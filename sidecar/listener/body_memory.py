"""How many bytes of request bodies the process holds, all calls together:
`limits.buffered_bytes`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from sidecar.domain.errors import Overloaded

WAIT_AT_MOST_S: Final = 5.0
"""How long a body waits for room, its socket not being read, before its call is refused."""


class BodyMemory:
    """Room for bodies. Taken before a body is read, given back once its call has ended. First come,
    first served.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.held_bytes = 0

    def take_nowait(self, size: int) -> bool:
        """Take room for ``size`` bytes if it is there and nobody waits for it; return whether it
        was.
        """
        if self._waiting or self.held_bytes + size > self._limit_bytes:
            return False
        self.held_bytes += size
        return True

    async def take(self, size: int) -> None:
        """Take room for ``size`` bytes, waiting for it.

        Raises: Overloaded after `WAIT_AT_MOST_S`; at once for what will never fit.
        """
        if self.take_nowait(size):
            return
        if size > self._limit_bytes:
            raise self._overloaded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(WAIT_AT_MOST_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(size)  # it was granted in the moment in which it was given up
            else:
                self._waiting.remove((size, turn))
                self._grant()
            if isinstance(error, TimeoutError):
                raise self._overloaded() from error
            raise

    def give_back(self, size: int) -> None:
        """The bytes are not held any more."""
        self.held_bytes -= size
        if self._waiting:
            self._grant()

    def _grant(self) -> None:
        while self._waiting and self.held_bytes + self._waiting[0][0] <= self._limit_bytes:
            size, turn = self._waiting.popleft()
            self.held_bytes += size
            turn.set_result(None)

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"limits.buffered_bytes ({self._limit_bytes}) are held by other calls' bodies",
            retry_after_s=1,
        )

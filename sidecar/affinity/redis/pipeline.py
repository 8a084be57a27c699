"""What is sent to Redis together, until all of it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

Command = Sequence[bytes | str | int]
Take = Callable[[list[Any]], Any]
"""From the replies of one exchange, errors among them, to what its caller gets. Called in the order
of the wire: before any invalidation that came behind the replies is heard. Raises: ResponseError.
"""
LASTING_MS: Final = -1
GONE_MS: Final = -2
"""What PTTL says of a key without expiry, and of one that is not there (any more)."""


class LinkDown(Exception):
    """There is no answer: nobody is connected, or the connection broke before it came."""


class Pipeline:
    """Commands that were sent together, until all their replies are here."""

    __slots__ = ("_left", "_overtaken", "_replies", "_take", "reply")

    def __init__(self, size: int, take: Take, reply: asyncio.Future[Any]) -> None:
        self.reply = reply
        self._left = size
        self._overtaken: list[Callable[[], None]] = []
        self._replies: list[Any] = []
        self._take = take

    def add(self, reply: object) -> bool:
        """One more reply; whether it was the last. Whoever waits may be gone: what it says is taken
        all the same.
        """
        self._replies.append(reply)
        self._left -= 1
        if self._left:
            return False
        try:
            taken = self._take(self._replies)
        except ResponseError as error:
            self.fail(error)
        else:
            if not self.reply.done():
                self.reply.set_result(taken)
        for forget in self._overtaken:
            forget()
        return True

    def overtake(self, forget: Callable[[], None]) -> None:
        """An invalidation that came between the replies: it is about what some of them say already,
        and is heard once more behind the last of them.
        """
        if self._replies:
            self._overtaken.append(forget)

    def fail(self, error: Exception) -> None:
        """There will be no more replies."""
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # whoever went away does not ask

"""Commands that are sent to Redis together, until all of them have their replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from sidecar.affinity.value import MAX_BYTES

Command = Sequence[bytes | str | int]
Decode = Callable[[list[Any]], Any]
"""Makes of a pipeline's replies, errors among them, what its caller gets. Called in the order of
the wire: before an invalidation that came behind the replies is handled. Raises: ResponseError.
"""
LASTING_MS: Final = -1
GONE_MS: Final = -2
"""What PTTL says of a key without expiry, and of a key that is not there."""


def reads_of(*keys: str) -> list[Command]:
    """Return the commands that read, of each key, its value and its time to live."""
    commands: list[Command] = []
    for key in keys:
        commands += (("GETRANGE", key, 0, MAX_BYTES - 1), ("PTTL", key))
    return commands


class LinkDown(Exception):
    """There is no reply: no connection, or one that broke before the reply came."""


class Pipeline:
    """Commands that were sent together, and their replies so far."""

    __slots__ = ("_left", "_overtaken", "_replies", "_decode", "reply")

    def __init__(self, size: int, decode: Decode, reply: asyncio.Future[Any]) -> None:
        self.reply = reply
        self._left = size
        self._overtaken: list[Callable[[], None]] = []
        self._replies: list[Any] = []
        self._decode = decode

    def add(self, reply: object) -> bool:
        """Take one more reply; return whether it was the last.

        The last one is decoded even if no caller waits any more: what it says of keys is kept.
        """
        self._replies.append(reply)
        self._left -= 1
        if self._left:
            return False
        try:
            decoded = self._decode(self._replies)
        except ResponseError as error:
            self.fail(error)
        else:
            if not self.reply.done():
                self.reply.set_result(decoded)
        for invalidate in self._overtaken:
            invalidate()
        return True

    def overtake(self, invalidate: Callable[[], None]) -> None:
        """An invalidation arrived between the replies of this pipeline. Replay it after the last
        reply, so that a value read before it is not cached.
        """
        if self._replies:
            self._overtaken.append(invalidate)

    def fail(self, error: Exception) -> None:
        """End without further replies: the caller gets ``error``."""
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # marks it as seen: the caller may have gone away

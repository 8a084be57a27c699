"""An error answer whose beginning was read to learn what it means, and which the app may still get,
byte for byte.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import UpstreamError
from sidecar.domain.ports import Reply
from sidecar.upstream.failure import READ_AT_MOST

READ_AT_MOST_S: Final = 2.0
"""An error whose body takes longer is judged by its status: another candidate is waiting to be
asked.
"""


class BufferedReply:
    """Implements `domain.ports.Reply`: what was read of the body, then the rest."""

    __slots__ = (
        "_failure",
        "_is_ended",
        "_pieces",
        "_reply",
        "content_length",
        "headers",
        "reason",
        "status",
    )

    def __init__(self, reply: Reply) -> None:
        self.status: int = reply.status
        self.reason: bytes = reply.reason
        self.headers: RawHeaders = reply.headers
        self.content_length: int | None = reply.content_length
        self._reply = reply
        self._pieces: list[bytes] = []
        self._is_ended = False
        self._failure: UpstreamError | None = None

    @property
    def beginning(self) -> bytes:
        """What was read of the body: all of a usual error."""
        return b"".join(self._pieces)

    def hold_nowait(self) -> None:
        """Take the body if all of it is here already."""
        whole = self._reply.read_nowait()
        if whole is not None:
            self._pieces = [whole]
            self._is_ended = True

    async def hold(self) -> None:
        """Read the body's beginning: `READ_AT_MOST` bytes, for at most `READ_AT_MOST_S`."""
        size = 0
        try:
            async with asyncio.timeout(READ_AT_MOST_S):
                while not self._is_ended and size < READ_AT_MOST:
                    piece = await self._reply.read()
                    self._is_ended = not piece
                    self._pieces.append(piece)
                    size += len(piece)
        except TimeoutError:
            self._failure = UpstreamError(
                "the error's body did not arrive"
            )  # a cancelled read drops the connection
        except UpstreamError as error:
            self._failure = error

    def read_nowait(self) -> bytes | None:
        """See `Reply.read_nowait`."""
        return self.beginning if self._is_ended else None

    async def read(self) -> bytes:
        """See `Reply.read`."""
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            if data := b"".join(pieces):
                return data
        if self._is_ended:
            return b""
        if self._failure is not None:
            raise self._failure
        return await self._reply.read()

    def abort(self) -> None:
        """See `Reply.abort`."""
        self._pieces = []
        self._reply.abort()

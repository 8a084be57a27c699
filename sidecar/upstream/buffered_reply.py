"""An error reply whose beginning was read to learn what it means. The app may still get it, byte
for byte.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import UpstreamError
from sidecar.domain.ports import Reply

READ_AT_MOST: Final = 64 * 1024
"""Bytes of an error's body that are worth reading to classify it; providers' own errors are below
4 KiB.
"""
READ_AT_MOST_S: Final = 2.0
"""An error whose body takes longer is judged by its status: another candidate waits to be tried."""


class BufferedReply:
    """Implements `domain.ports.Reply`: reading it gives what was buffered, then the rest."""

    __slots__ = (
        "_failure",
        "_reply",
        "beginning",
        "content_length",
        "error",
        "headers",
        "is_whole",
        "reason",
        "sends",
        "status",
    )

    def __init__(self, reply: Reply) -> None:
        """Takes over ``reply``, and its body where all of it has arrived."""
        self.status: int = reply.status
        self.reason: bytes = reply.reason
        self.headers: RawHeaders = reply.headers
        self.content_length: int | None = reply.content_length
        self.sends = reply.sends
        self.error: bytes | None = None
        """What the provider says of its failure inside a response of status 200: the body, or the
        data of an event.
        """
        self._reply = reply
        self._failure: UpstreamError | None = None
        body = reply.read_nowait()
        self.is_whole = body is not None
        """Whether `beginning` goes to the body's end."""
        self.beginning = body or b""
        """What is buffered and not yet read; of a usual error all of its body."""

    async def fill(self) -> None:
        """Read the body's beginning: `READ_AT_MOST` bytes, for at most `READ_AT_MOST_S`."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(READ_AT_MOST_S):
                while not self.is_whole and size < READ_AT_MOST:
                    piece = await self._reply.read()
                    self.is_whole = not piece
                    pieces.append(piece)
                    size += len(piece)
        except TimeoutError:
            # The read that was cancelled has dropped the connection.
            self._failure = UpstreamError("the error's body did not arrive")
        except UpstreamError as error:
            self._failure = error
        self.beginning += b"".join(pieces)

    def read_nowait(self) -> bytes | None:
        """Return the whole body if all of it is here, else None."""
        return self.beginning if self.is_whole else None

    async def read(self) -> bytes:
        """Return the next bytes of the body, those that were buffered first; ``b""`` at its end.

        Raises: UpstreamError subclasses, where the buffering had to stop or the provider fails.
        """
        if self.beginning:
            data, self.beginning = self.beginning, b""
            return data
        if self.is_whole:
            return b""
        if self._failure is not None:
            raise self._failure
        return await self._reply.read()

    def abort(self) -> None:
        """Drop what is buffered, and the connection at once. Never raises."""
        self.beginning = b""
        self._reply.abort()

"""An error reply whose beginning was read to learn what it means. The app may still get it, byte
for byte.
"""

from __future__ import annotations

import contextlib
import zlib
from typing import Final

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import UpstreamError
from sidecar.domain.ports import ArrivingReply, Reply
from sidecar.runtime.memory_budget import HeldBytes, MemoryShare
from sidecar.wire.response_headers import coding_of

READ_AT_MOST: Final = 64 * 1024
"""Bytes of an error's body that are worth reading to classify it; providers' own errors are below
4 KiB.
"""
READ_AT_MOST_S: Final = 2.0
"""An error whose body takes longer is judged by what has come of it: another candidate, or the app,
waits.
"""

FREE_BYTES: Final = 4 * 1024
"""Of each response that is held, so many bytes are not counted: nearly all of a provider's own
errors are shorter.
"""

_ZLIB: Final = (b"gzip", b"x-gzip", b"deflate")
_ANY_WRAPPER: Final = 47
"""zlib: a gzip or a zlib header, whichever comes; the largest window."""


async def read_whole(reply: Reply, bytes_at_most: int) -> bytes:
    """Return the body of a reply as it comes; nothing of one that is longer.

    Raises: UpstreamError subclasses.
    """
    pieces: list[bytes] = []
    size = 0
    while piece := await reply.read():
        size += len(piece)
        if size > bytes_at_most:
            reply.abort()
            return b""
        pieces.append(piece)
    return b"".join(pieces)


class BufferedReply:
    """Implements `domain.ports.Reply`: reading it gives what was buffered, then the rest."""

    __slots__ = (
        "_failure",
        "_held",
        "_reply",
        "_share",
        "beginning",
        "content_length",
        "error",
        "headers",
        "is_whole",
        "sends",
        "status",
    )

    def __init__(self, reply: ArrivingReply, share: MemoryShare | None = None) -> None:
        """Takes over ``reply``, and its body where all of it has arrived.

        Args: ``share`` is what memory is taken of for what is read; None: without a limit.
        """
        self.status: int = reply.status
        self.headers: RawHeaders = reply.headers
        self.content_length: int | None = reply.content_length
        self.sends = reply.sends
        self.error: bytes | None = None
        """What the provider says of its failure inside a response of status 200: the body, or the
        data of an event.
        """
        self._reply = reply
        self._failure: UpstreamError | None = None
        self._share = share
        self._held: HeldBytes | None = None
        """Made for what is longer than `FREE_BYTES`."""
        body = reply.read_nowait()
        self.is_whole = body is not None
        """Whether `beginning` goes to the body's end."""
        self.beginning = body or b""
        """What is buffered and not yet read; of a usual error all of its body."""
        if len(self.beginning) > FREE_BYTES:
            self._grow_nowait(len(self.beginning))

    async def fill(self) -> None:
        """Read the body's beginning: `READ_AT_MOST` bytes, for at most `READ_AT_MOST_S`, and while
        there is memory for it. What has not come by then is read when the app reads it.
        """
        reply, pieces, size = self._reply, [], 0
        by_s = reply.in_s(READ_AT_MOST_S)
        try:
            while not self.is_whole and size < READ_AT_MOST and await reply.wait_for_more(0, by_s):
                piece = await reply.read()
                self.is_whole = not piece
                pieces.append(piece)
                size += len(piece)
                if size > FREE_BYTES and not self._grow_nowait(size):
                    break
        except UpstreamError as error:
            self._failure = error
        self.beginning += b"".join(pieces)

    @property
    def readable(self) -> bytes:
        """What is buffered, to be looked at: decompressed as far as it can be, at most
        `READ_AT_MOST` bytes. The app gets it as it came.
        """
        if coding_of(self.headers) in _ZLIB:
            with contextlib.suppress(zlib.error):
                inflate = zlib.decompressobj(_ANY_WRAPPER)
                return inflate.decompress(self.beginning, READ_AT_MOST)
        return self.beginning

    def read_nowait(self) -> bytes | None:
        """Return the whole body if all of it is here, else None."""
        if not self.is_whole:
            return None
        if self._held is not None:
            self._held.give_back()
        return self.beginning

    async def read(self) -> bytes:
        """Return the next bytes of the body, those that were buffered first; ``b""`` at its end.

        Raises: UpstreamError subclasses where the provider fails.
        """
        if self.beginning:
            data, self.beginning = self.beginning, b""
            if self._held is not None:
                self._held.give_back()
            return data
        if self.is_whole:
            return b""
        if self._failure is not None:
            raise self._failure
        return await self._reply.read()

    def abort(self) -> None:
        """Drop what is buffered, and the connection at once. Never raises."""
        self.beginning = b""
        if self._held is not None:
            self._held.give_back()
        self._reply.abort()

    def _grow_nowait(self, size: int) -> bool:
        """Hold ``size`` bytes in all, if there is memory for it; return whether there is."""
        if self._share is None:
            return True
        if self._held is None:
            self._held = HeldBytes(self._share, FREE_BYTES)
        return self._held.grow_nowait(size)

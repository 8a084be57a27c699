"""A provider's answer while it arrives: the head, then the body as it is read."""

from __future__ import annotations

import asyncio
from typing import Final

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import UpstreamCut, UpstreamError, UpstreamReset
from sidecar.http1.ports import Source

HELD_BYTES: Final = 64 * 1024
"""Body bytes that may wait for the reader before the provider is paused: asyncio's own stream
limit.
"""
HELD_WHOLE_BYTES: Final = 256 * 1024
"""A body announced to be at most this long is held whole: asyncio reads as much at once anyway."""
_OK: Final = 200


class UpstreamResponse:
    """One answer, from the sending of the request to the last byte of its body. Implements
    `domain.ports.Reply`.

    The connection fills it in and lets go of it once the message is complete; ``source`` is None
    from then on.
    """

    __slots__ = ("status", "reason", "headers", "content_length", "is_complete", "held_bytes",
                 "source", "failure", "_loop", "_pieces", "_waiter", "__weakref__")  # fmt: skip

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        """0 until the head is complete."""
        self.reason = b""
        self.headers: RawHeaders = ()
        self.content_length: int | None = None
        self.is_complete = False
        self.held_bytes = 0
        self.source: Source | None = source
        self.failure: tuple[type[UpstreamError], str, BaseException | None] | None = None
        self._loop = loop
        self._pieces: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    def read_nowait(self) -> bytes | None:
        """The whole body if all of it has arrived, else None."""
        return self._take() if self.is_complete else None

    async def begin(self) -> None:
        """Wait for the body's first bytes under the timeout that ran for the head: some servers
        send that before they think. A 200 whose body ends without any is as little of an answer as
        one whose connection ends there.

        Raises: UpstreamReset where nothing came, UpstreamMalformed, FirstByteTimeout,
            ResponseTimeout.
        """
        while not self._pieces and not self.is_complete:
            if self.source is None:
                try:
                    self.raise_failure()
                except UpstreamCut as error:
                    raise UpstreamReset(error.message) from error
            await self.wait()
        if self.source is not None:
            self.source.expect_body()
        if not self._pieces and self.status == _OK:
            raise UpstreamReset("the stream ended before its first byte")

    async def read(self) -> bytes:
        """The next bytes of the body, all that have arrived; ``b""`` at its end.

        Raises: UpstreamCut, UpstreamMalformed, ResponseTimeout, StreamIdleTimeout; what arrived
        before is read first. A cancelled `read` drops the connection.
        """
        while not self._pieces:
            if self.is_complete:
                return b""
            source = self.source
            if source is None:
                self.raise_failure()
            else:
                source.expect_body()
                await self.wait()
        return self._take()

    def abort(self) -> None:
        """Drop the connection at once. Idempotent; nothing happens to the connection of a complete
        reply.
        """
        self._pieces = []
        source = self.source
        if source is not None:
            self.source = None
            source.abort()

    def feed(self, piece: bytes) -> None:
        """Body bytes have arrived."""
        self._pieces.append(piece)
        self.held_bytes += len(piece)

    def fail(self, kind: type[UpstreamError], message: str, cause: BaseException | None) -> None:
        """Nothing more will come. The error is made when it is raised, so that no traceback keeps
        this reply alive.
        """
        self.failure = (kind, message, cause)
        self.source = None
        self.wake()

    def raise_failure(self) -> None:
        """Raise what the connection reported, or, once it was raised or the reply aborted,
        UpstreamCut.
        """
        kind, message, cause = self.failure or (UpstreamCut, "the answer was given up", None)
        self.failure = None
        raise kind(message) from cause

    async def wait(self) -> None:
        """Until `wake`. A cancellation drops the connection."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Let whoever waits look again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the provider."""
        return self._waiter is not None and not self._waiter.done()

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self.held_bytes = 0
        if self.source is not None:
            self.source.drained()
        return data

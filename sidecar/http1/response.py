"""A response while it arrives: its head, then its body as it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from sidecar.domain.errors import UpstreamCut, UpstreamError, UpstreamReset
from sidecar.runtime.memory_budget import HeldBytes, MemoryShare
from sidecar.runtime.timers import Interrupt, more_s

BUFFERED_BYTES: Final = 64 * 1024
"""Body bytes that may wait for the reader before the upstream is paused: asyncio's own stream
limit.
"""
PIECES_AT_MOST: Final = 256
"""In which these are kept: in pieces of two bytes, as objects, they would take twenty times as
much memory.
"""
SHORT_BODY_BYTES: Final = 256 * 1024
"""A body announced to be at most this long never pauses the upstream: asyncio reads as much at once
anyway.
"""
FREE_HEAD_BYTES: Final = 12 * 1024
"""Of each head, so much memory is not counted: those of large services have 40 fields and 3 KiB."""
_OK: Final = 200


class ResponseSource(Protocol):
    """The connection, as far as its response needs it."""

    def abort(self) -> None:
        """Drop the connection at once: the rest of the response is not wanted."""
        ...

    @property
    def head_memory(self) -> MemoryShare | None:
        """What long heads may take; None: as they like."""
        ...

    def expect_body(self) -> None:
        """The reader is about to wait for the body: the idle timeout runs from now."""
        ...

    def drained(self) -> None:
        """The reader has taken all that was buffered."""
        ...


class ResponseHead:
    """What the parser reads from the head of a response. The defaults hold until it is complete."""

    status: int = 0
    """0 until the head is complete."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """As they came, in order."""
    content_length: int | None = None
    """As announced; None where the body is chunked or ends with the connection."""
    keep_alive_s: int | None = None
    """How long the upstream says that it keeps an idle connection."""
    head_bytes: int = 0
    """Size of the header fields on the wire."""
    held_head: HeldBytes | None = None
    """What a long head has taken of the memory for heads."""
    sends: int = 1
    """How often the request was sent until this response came. Set by the pool."""

    def hold(self, share: MemoryShare | None, size: int) -> bool:
        """Count a head that takes so much memory, for as long as the response is at hand; return
        whether there is some for it.
        """
        if share is None:
            return True
        if self.held_head is None:
            self.held_head = HeldBytes(share, FREE_HEAD_BYTES)
        return self.held_head.grow_nowait(size)

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body has no other end than the connection's."""
        return self.content_length is None and not any(
            len(name) == 17 and name.lower() == b"transfer-encoding" for name, _ in self.headers
        )


class UpstreamResponse(ResponseHead):
    """One response, from the sending of its request to the last byte of its body. Implements
    `domain.ports.Reply`.

    The connection fills it in and lets go of it once the message is complete; ``source`` is None
    from then on.
    """

    def __init__(self, source: ResponseSource, loop: asyncio.AbstractEventLoop) -> None:
        self.is_complete = False
        self.buffered_bytes = 0
        self.source: ResponseSource | None = source
        self._failure: tuple[type[UpstreamError], str, BaseException | None] | None = None
        self._loop = loop
        self.pieces: list[bytes] = []
        """What has arrived of the body and was not read yet. To be looked at; `read` takes it."""
        self._waiter: asyncio.Future[None] | None = None

    def read_nowait(self) -> bytes | None:
        """Return the whole body if all of it has arrived, else None."""
        if not self.is_complete:
            return None
        pieces, self.pieces = self.pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def begin(self) -> None:
        """Wait for the first bytes of the body under the timeout that ran for the head: some
        servers send the head before they begin to work. A 200 whose body ends without any byte is
        as little of a response as one whose connection ends there.

        Raises: UpstreamReset where nothing came, UpstreamMalformed, FirstByteTimeout,
            ResponseTimeout.
        """
        while not self.pieces and not self.is_complete:
            if self.source is None:
                try:
                    self.raise_failure()
                except UpstreamCut as error:
                    raise self._error(UpstreamReset, error.message) from error
            await self.wait()
        if self.source is not None:
            self.source.expect_body()
        if not self.pieces and self.status == _OK:
            raise self._error(UpstreamReset, "the stream ended before its first byte")

    def peek(self) -> bytes:
        """Return what has arrived of the body and was not read yet; it can still be read."""
        pieces = self.pieces
        if len(pieces) > 1:
            pieces[:] = [b"".join(pieces)]
        return pieces[0] if pieces else b""

    async def wait_for_more(self, seen_bytes: int, by_s: float) -> bool:
        """Wait until more than ``seen_bytes`` can be read, or the body has ended, but no longer
        than until ``by_s`` on the loop's clock.

        Returns: whether there is more, or the end. Raises: as `read`. A cancellation drops the
        connection.
        """
        until_s, has_waited = by_s, False
        while self.buffered_bytes <= seen_bytes and not self.is_complete:
            if self.source is None:
                self.raise_failure()
                continue
            now_s = self._loop.time()
            if now_s >= until_s:
                is_first = has_waited and until_s == by_s
                more = more_s(now_s - until_s) if is_first else 0.0
                if not more:
                    return False
                until_s = now_s + more
            timer = self._loop.call_at(until_s, self.wake)
            try:
                self.source.expect_body()
                has_waited = True
                await self.wait()
            finally:
                timer.cancel()
        return True

    def in_s(self, duration_s: float) -> float:
        """Return a point in time on the loop's clock, counted from now."""
        return self._loop.time() + duration_s

    async def read(self) -> bytes:
        """Return the next bytes of the body, all that have arrived; ``b""`` at its end.

        Raises: UpstreamCut, UpstreamMalformed, ResponseTimeout, StreamIdleTimeout; what arrived
        before is read first. A cancelled `read` drops the connection.
        """
        while not self.pieces:
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
        response.
        """
        self.pieces = []
        source = self.source
        if source is not None:
            self.source = None
            source.abort()
        if self.held_head is not None:
            self.held_head.give_back()

    # The connection's side

    @property
    def is_awaited(self) -> bool:
        """Whether the reader is waiting for the upstream."""
        return self._waiter is not None and not self._waiter.done()

    def feed(self, piece: bytes) -> None:
        """Take body bytes that have arrived."""
        pieces = self.pieces
        if len(pieces) == PIECES_AT_MOST:
            pieces[:] = [b"".join(pieces)]
        pieces.append(piece)
        self.buffered_bytes += len(piece)

    def fail(self, kind: type[UpstreamError], message: str, cause: BaseException | None) -> None:
        """Nothing more will come. The error is made when it is raised, so that no traceback keeps
        this response alive.
        """
        self._failure = (kind, message, cause)
        self.source = None
        if self.held_head is not None:
            self.held_head.give_back()
        self.wake()

    def raise_failure(self) -> None:
        """Raise what the connection reported, or UpstreamCut once that was raised or the response
        was aborted.
        """
        kind, message, cause = self._failure or (UpstreamCut, "the response was given up", None)
        self._failure = None
        raise self._error(kind, message) from cause

    async def wait(self) -> None:
        """Wait for the next `wake`. A cancellation drops the connection."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiter = None

    async def unless_woken(self, work: Callable[[], Awaitable[bytes]]) -> bytes | None:
        """Return what ``work`` returns; None where `wake` comes first, which cancels it."""
        waiter = self._waiter = self._loop.create_future()
        interrupt = Interrupt(waiter)
        try:
            async with interrupt:
                return await work()
        except TimeoutError:
            if not interrupt.expired():
                raise
            return None
        finally:
            interrupt.end()
            self._waiter = None

    def wake(self) -> None:
        """Let the waiting reader look again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _error(self, kind: type[UpstreamError], message: str) -> UpstreamError:
        error = kind(message)
        error.sends = self.sends
        return error

    def _take(self) -> bytes:
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.pieces = []
        self.buffered_bytes = 0
        if self.source is not None:
            self.source.drained()
        return data

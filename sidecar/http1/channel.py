"""A transport, written at the pace of the upstream and read at the pace of the reader."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from sidecar.http1.delivery import Delivery
from sidecar.http1.response import UpstreamResponse
from sidecar.runtime.write_coalescer import Write, write_at_once

JOINED_BYTES: Final = 32 * 1024
"""A request up to this size is copied into one write: cheaper than handing over its pieces."""
WRITE_BYTES: Final = 128 * 1024
"""A longer one is written in batches of this size, each one only when the transport has room."""

Piece = bytes | memoryview


class RestOfBody(Protocol):
    """The part of a request's body that is not here yet, and is sent on as it comes."""

    @property
    def is_begun(self) -> bool:
        """Whether any of it was read: it cannot be sent a second time then."""
        ...

    async def read(self) -> bytes:
        """Return the next bytes, with their framing; ``b""`` at the end. May be cancelled while it
        waits, and loses nothing then.

        Raises: what befalls the side that it comes from.
        """
        ...


class Channel:
    """The transport of one connection, once it is there. ``read_buffer`` is where it reads to."""

    def __init__(self, read_buffer: memoryview, write: Write) -> None:
        """Args: ``write`` sends a whole request, at once or together with others."""
        self.read_buffer = read_buffer
        self.transport: asyncio.Transport | None = None
        self.delivery = Delivery()
        self.is_write_paused = False
        self._write = write
        self._is_written = True
        self._is_read_paused = False

    def connect(self, transport: asyncio.Transport) -> None:
        """Take the transport."""
        self.transport = transport
        self.delivery.connect(transport)

    def send_nowait(self, head: bytes, body: Sequence[Piece]) -> bool:
        """Send a request unless it is long, which only `send` can; return whether it was sent."""
        transport = self.transport
        assert transport is not None
        request_bytes = len(head)
        for piece in body:
            request_bytes += len(piece)
        self.delivery.begin(request_bytes)
        if request_bytes <= JOINED_BYTES:
            self._write(transport, b"".join((head, *body)))
        elif request_bytes <= WRITE_BYTES:
            self._write(transport, (head, *body))
        else:
            return False
        return True

    async def send(self, head: bytes, body: Sequence[Piece], response: UpstreamResponse) -> None:
        """Send a request as fast as the upstream reads it, and only until it responds."""
        transport = self.transport
        assert transport is not None
        self._is_written = False
        for batch in batches(head, body):
            while self.is_write_paused and response.source is not None and not response.status:
                await response.wait()
            if response.source is None or response.status:
                return
            if len(batch) == 1:
                transport.write(batch[0])
            else:
                write_at_once(transport, batch)
        self._is_written = True

    def begin_rest(self) -> None:
        """More of the body follows by `send_more`."""
        self._is_written = False

    def end_rest(self) -> None:
        """All of the body was sent."""
        self._is_written = True

    async def send_more(self, piece: bytes, response: UpstreamResponse) -> None:
        """Send more of the body, and wait until the transport has room again, or the upstream
        responds.
        """
        transport = self.transport
        assert transport is not None
        self.delivery.add(len(piece))
        transport.write(piece)
        while self.is_write_paused and response.source is not None and not response.status:
            await response.wait()

    def is_ready_again(self) -> bool:
        """Make ready for another request; False where some of the last one is still here."""
        transport = self.transport
        assert transport is not None
        if not self._is_written or transport.get_write_buffer_size():
            return False
        if self._is_read_paused:
            self.resume_reading()
        return True

    def resume_writing(self, response: UpstreamResponse | None) -> None:
        """The transport has room again: let `send` go on."""
        self.is_write_paused = False
        if response is not None and not self._is_written:
            response.wake()

    def pause_reading(self) -> None:
        """Let the upstream wait until the reader has caught up."""
        if self._is_read_paused:
            return
        self._is_read_paused = True
        if type(self.transport).__module__.startswith("aiofastnet"):
            # 1.2 loses what else it has decrypted if it is paused inside a read (a test of TLS with
            # a slow reader shows it).
            asyncio.get_running_loop().call_soon(self._pause)
        else:
            self._pause()

    def resume_reading(self) -> None:
        """The reader has room again."""
        if self._is_read_paused:
            self._is_read_paused = False
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def look_again(self) -> None:
        """Begin to read anew where the loop may have missed a reset."""
        transport = self.transport
        if transport is None or transport.is_closing() or self._is_read_paused:
            return
        if self.delivery.is_reset():
            transport.pause_reading()
            transport.resume_reading()

    def _pause(self) -> None:
        if self._is_read_paused and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()


def batches(head: bytes, body: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Yield head and body in order, as lists of buffers of at most `WRITE_BYTES` together; nothing
    is copied.

    Args: ``head`` is at most `WRITE_BYTES` long.
    """
    batch: list[Piece] = [head]
    room_bytes = WRITE_BYTES - len(head)
    for piece in body:
        view = memoryview(piece)
        while len(view) > room_bytes:
            if room_bytes > 0:
                batch.append(view[:room_bytes])
                view = view[room_bytes:]
            yield batch
            batch, room_bytes = [], WRITE_BYTES
        batch.append(view)
        room_bytes -= len(view)
    yield batch

"""One HTTP/1.1 connection to an upstream: a request out, its response in, one at a time."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from typing import Final, Protocol, cast

from sidecar.domain.errors import (
    Stale,
    StreamIdleTimeout,
    Untaken,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamReset,
)
from sidecar.http1.channel import Channel, Piece, RestOfBody
from sidecar.http1.deadline import LATE_MESSAGES, ExchangeDeadline, Late
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.parser import CLEAN, ResponseParser
from sidecar.http1.response import BUFFERED_BYTES, SHORT_BODY_BYTES, UpstreamResponse
from sidecar.runtime.memory_budget import MemoryShare
from sidecar.runtime.write_coalescer import Write


class Owner(Protocol):
    """The pool, as far as a connection needs it."""

    origin: Origin
    read_buffer: memoryview
    """Shared by all connections: a transport fills it and reports that in one go."""
    write: Write
    """Sends a whole request, at once or together with others."""
    head_memory: MemoryShare | None
    """What long heads of responses may take; None: as they like."""

    def recycle(self, connection: UpstreamConnection, keep_alive_s: int | None) -> None:
        """The exchange is over and the connection clean."""
        ...

    def discard(self, connection: UpstreamConnection) -> None:
        """The connection will not be used again; its transport is about to close."""
        ...

    def lost(self, connection: UpstreamConnection) -> None:
        """The transport has closed."""
        ...


class Phase(enum.Enum):
    """What a connection has been through."""

    NEW = enum.auto()
    """It has carried no exchange to its end."""
    KEPT = enum.auto()
    """It has, so the upstream may be closing it by now."""
    DEAD = enum.auto()
    """It will not be used again."""


NEW: Final = Phase.NEW
KEPT: Final = Phase.KEPT
DEAD: Final = Phase.DEAD


class UpstreamConnection(asyncio.BufferedProtocol):
    """Protocol of one transport: the parser reads, one lazy timer watches, the pool owns."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._phase = NEW
        self._channel = Channel(owner.read_buffer, owner.write)
        self._parser = ResponseParser()
        self._deadline = ExchangeDeadline(loop, self._be_late)
        self._response: UpstreamResponse | None = None

    # The pool's side

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, once there is one."""
        return self._channel.transport

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent on it now."""
        transport = self._channel.transport
        return self._phase is not DEAD and transport is not None and not transport.is_closing()

    def is_quiet(self) -> bool:
        """Ask the kernel whether the upstream has sent nothing since the last response, no end
        either.
        """
        return self._channel.delivery.is_quiet()

    async def exchange(
        self,
        head: bytes,
        body: Sequence[Piece],
        timeouts: ExchangeTimeouts,
        method: str,
        sent_s: float,
        rest: RestOfBody | None = None,
    ) -> UpstreamResponse:
        """Send a request and wait for the head of its response. Timeouts count from ``sent_s``, or
        from the last of ``rest``, which follows ``body``.

        Raises: Stale, Untaken, UpstreamReset, UpstreamMalformed, FirstByteTimeout, ResponseTimeout;
            what ``rest`` raises.
        """
        response = self._response = UpstreamResponse(self, self._loop)
        self._parser.begin(response, is_head_request=method == "HEAD")
        self._deadline.begin(timeouts, sent_s)
        if not self._channel.send_nowait(head, body):
            await self._channel.send(head, body, response)
        if rest is not None:
            await self._send_rest(rest, timeouts, response)
        while not response.status:
            if response.source is None:
                response.raise_failure()
            await response.wait()
        return response

    async def _send_rest(
        self, rest: RestOfBody, timeouts: ExchangeTimeouts, response: UpstreamResponse
    ) -> None:
        """Send the rest of a body as it comes, at the pace of the slower side, and only until the
        upstream responds. The upstream's time does not run while there is nothing to send.
        """
        channel, deadline = self._channel, self._deadline
        channel.begin_rest()
        try:
            while response.source is not None and not response.status:
                deadline.clear()
                piece = await response.unless_woken(rest.read)
                if piece is None:
                    continue
                deadline.begin(timeouts, self._loop.time())
                if not piece:
                    channel.end_rest()
                    return
                await channel.send_more(piece, response)
        except BaseException:
            self.abort()
            raise

    def look_again(self) -> None:
        """Read once more if an exchange is under way and the kernel tells of a reset."""
        if self._response is not None:
            self._channel.look_again()

    def close(self, message: str) -> None:
        """Close because the pool does; an exchange in flight fails."""
        if self._response is not None:
            self._fail(UpstreamCut if self._response.status else UpstreamReset, message, None)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket at once, without flushing. Idempotent."""
        if self._phase is DEAD:
            return
        self._phase = DEAD
        self._response = None
        self._deadline.stop()
        self._parser.end()
        self._owner.discard(self)
        if self._channel.transport is not None:
            self._channel.transport.abort()

    # The response's side

    @property
    def head_memory(self) -> MemoryShare | None:
        """See `Owner.head_memory`."""
        return self._owner.head_memory

    def expect_body(self) -> None:
        """Let the idle timeout run from now."""
        self._deadline.expect_piece()

    def drained(self) -> None:
        """The reader has room again."""
        self._channel.resume_reading()

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport. A connection given up while it was being made is closed here."""
        # A cast, since the transports of uvloop and aiofastnet are none by inheritance.
        made = cast("asyncio.Transport", transport)
        self._channel.connect(made)
        if self._phase is DEAD:
            made.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - a guess that does not matter here
        """Say where the next bytes go. Reading into place spares the 256 KiB that a transport else
        allocates each time.
        """
        return self._channel.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that have arrived; then, once per segment, see what became of the
        response.
        """
        response = self._response
        if response is None:
            # No request is under way: whatever this is, the next response would be out of step.
            self.abort()
            return
        had_head = response.status != 0
        self._parser.receive(self._channel.read_buffer[:nbytes])
        if self._parser.complaint is not None:
            self._refuse(response, self._parser.complaint, had_head=had_head)
        elif response.is_complete:
            self._complete(response)
        elif response.status:
            if not had_head and response.buffered_bytes:
                self._deadline.expect_end()
            if response.buffered_bytes > BUFFERED_BYTES:
                length = response.content_length
                if length is None or length > SHORT_BODY_BYTES:
                    self._channel.pause_reading()
            response.wake()

    def eof_received(self) -> None:
        """The upstream will send no more, so there is nothing left to wait for, nor to write."""
        self._end(None, has_ended=True)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed. Without `eof_received` before, that is no proper end."""
        self._end(exc, has_ended=False)
        self.abort()
        self._parser.close()
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """The transport holds enough of the request."""
        self._channel.is_write_paused = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._channel.resume_writing(self._response)

    # Inside

    def _complete(self, response: UpstreamResponse) -> None:
        """Let go of a complete response, and keep the connection if both directions are clean."""
        self._response = response.source = None
        self._deadline.clear()
        if self._parser.state is CLEAN and self._channel.is_ready_again():
            self._phase = KEPT
            self._owner.recycle(self, response.keep_alive_s)
        else:
            self.abort()
        response.wake()

    def _refuse(self, response: UpstreamResponse, complaint: str, *, had_head: bool) -> None:
        """Fail a response that cannot be used: in `exchange`, or if that has returned in `read`."""
        response.is_complete = False
        if not had_head:
            response.status = 0
        self._fail(UpstreamMalformed, complaint, self._parser.cause)

    def _end(self, cause: Exception | None, *, has_ended: bool) -> None:
        """No more bytes will come: see whether that was the end of the response."""
        response = self._response
        if response is None:
            return
        if response.status:
            if has_ended and response.ends_with_connection:
                response.is_complete = True
                self._complete(response)
            else:
                self._fail(UpstreamCut, "the connection was closed inside a response", cause)
        elif self._phase is KEPT and not self._parser.overhead_bytes:
            is_untaken = self._channel.delivery.is_untaken(cause, has_peer_ended=has_ended)
            kind = Untaken if is_untaken else Stale
            self._fail(kind, "a kept connection was closed before the response", cause)
        else:
            self._fail(UpstreamReset, "the connection was closed before the response", cause)

    def _fail(self, kind: type[UpstreamError], message: str, cause: BaseException | None) -> None:
        response = self._response
        self.abort()
        if response is not None:
            response.fail(kind, f"{self._owner.origin.place}: {message}", cause)

    def _be_late(self, late: Late) -> None:
        response = self._response
        if response is None:
            return
        if late is StreamIdleTimeout and not response.is_awaited:
            self._deadline.expect_end()  # not the upstream is slow but the reader
        else:
            self._fail(late, LATE_MESSAGES[late], None)

"""Connections of the data port on aiohttp's public names: what all of them share, and the one that
runs where an aiohttp release lacks a private name that `listener.connection` relies on.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, Final

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

from sidecar.domain.errors import BodyTooLarge, HeadersTooLarge, Overloaded, SidecarError
from sidecar.domain.ports import DownstreamIdle
from sidecar.domain.vocabulary import ConnectionEnd
from sidecar.listener.kept_connections import KeptConnections, UnreadBytes
from sidecar.listener.request import NO_HEAD, FastRequest, Handler, ParseErrorHandler
from sidecar.runtime.memory_budget import HeldBytes, MemoryShare
from sidecar.runtime.timers import Timeout, Timer

_READ_BYTES: Final = 64 * 1024
"""asyncio's stdlib transport allocates the most it could read, 256 KiB, for every read; glibc maps
and unmaps so much anew each time, which costs 10 us a request. Below 128 KiB it comes from the
heap."""
HEAD_BYTES: Final = 64 * 1024
"""Of a whole head. The read that brings its end may bring as much of what follows."""
AHEAD_BYTES: Final = 1 << 20
"""Of a body's framing before its own bound is known, and of requests that are sent ahead: aiohttp
stops reading long before, unless nothing but framing comes."""
_NEVER_S: Final = 1e8
_UNREAD_COPIES: Final = 2
"""As much as waits for an app that does not read waits behind it, read from the provider."""
_UNPARSED_BYTES: Final = 256 * 1024
"""Received, and not parsed yet, while aiohttp's parser waits for the reader of a body: at most."""


class TimedConnection(RequestHandler):
    """A connection of aiohttp's that gives an app so much time for the head of a request, for
    reading its response, and between two requests; and bounds the bytes around a body: chunk sizes,
    extensions and trailers, which no reader sees.
    """

    __slots__ = (
        *("_head_bytes", "_head_timer", "_wire_bytes", "framing_at_most"),
        *("handler", "head_memory", "kept", "on_parse_error", "task", "unread_memory"),
    )

    handler: Handler
    on_parse_error: ParseErrorHandler
    head_memory: MemoryShare
    """What heads may take of which a part has come, on all connections."""
    unread_memory: MemoryShare
    """What apps do not read of responses, on all connections."""
    kept: KeptConnections
    """Where it is while it waits for a request."""
    task: asyncio.Task[Any] | None
    """Which task serves requests one after the other; None where each has its own."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the transport read in pieces that malloc keeps at hand."""
        self.task = None
        self._head_timer: Timer | None = None
        self._head_bytes = 0
        """What a head has taken of which a part has come."""
        self._wire_bytes = 0
        """Received since the request in progress was taken, and its body's before that."""
        self.framing_at_most = AHEAD_BYTES
        """Bytes around the body of the request in progress, and of requests behind it."""
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        self.kept.admit(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The app has closed the connection."""
        self.stop_head_timer()
        self.kept.forget(self)
        super().connection_lost(exc)

    async def drain(self) -> None:
        """See `Request.drain`."""
        idle_s, transport = self.kept.limits.downstream_idle_s, self.transport
        if transport is None:
            return await self._until_read()
        held = HeldBytes(self.unread_memory, 0)
        if not held.grow_nowait(_UNREAD_COPIES * transport.get_write_buffer_size()):
            self._let_go(transport)
            raise DownstreamIdle("limits.memory_bytes are taken by what apps do not read")
        try:
            async with Timeout(idle_s or _NEVER_S, UnreadBytes(transport).are_read):
                await self._until_read()
        except TimeoutError as error:
            self._let_go(transport)
            raise DownstreamIdle(f"the app has read nothing for {idle_s:g} s") from error
        finally:
            held.give_back()

    def _let_go(self, unread: asyncio.Transport) -> None:
        unread.abort()
        self.kept.report(ConnectionEnd.UNREAD)

    def close_once_read(self) -> None:
        """Close the connection when the app has read all, or has stopped reading."""
        idle_s, transport = self.kept.limits.downstream_idle_s, self.transport
        if transport is None:
            return
        transport.close()
        if idle_s and transport.get_write_buffer_size():
            self._watch(transport, UnreadBytes(transport), idle_s)

    def start_head_timer(self) -> None:
        """The first bytes of a head are here, and not its end."""
        if self._head_timer is None:
            self._head_timer = Timer(self.kept.limits.head_s, self._head_is_late)

    def head_grows(self, size: int) -> None:
        """So many bytes of a head have come, and not its end. It may become no longer than a whole
        one may be; aiohttp bounds each of its lines alone.
        """
        self.start_head_timer()
        if self.has_request:
            return  # `check_framing` bounds what is sent ahead
        if self._head_bytes + size > 2 * HEAD_BYTES:
            self._refuse_head(HeadersTooLarge("the request's headers are over 64 KiB"))
        elif self.head_memory.take_nowait(size):
            self._head_bytes += size
        else:
            self._refuse_head(
                Overloaded("limits.memory_bytes are taken by other requests", retry_after_s=1)
            )

    def stop_head_timer(self) -> None:
        """The head is complete, or is not waited for any more."""
        if self._head_bytes:
            self.head_memory.give_back(self._head_bytes)
            self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def check_framing(self, payload: StreamReader) -> None:
        """Read nothing more where the bytes around the body of the request in progress are more
        than they may be, and more than the body itself.

        The reader of an open body gets BodyTooLarge.
        """
        framing_bytes = self._wire_bytes - payload.total_bytes - _UNPARSED_BYTES
        if framing_bytes <= max(self.framing_at_most, payload.total_bytes):
            return
        if not payload.is_eof():
            payload.set_exception(
                BodyTooLarge("the body's chunk sizes, extensions and trailers are too long")
            )
        self.close()
        if self.transport is not None:
            self.transport.pause_reading()

    @property
    def has_request(self) -> bool:
        """Whether a request is being served."""
        raise AssertionError("a subclass says so")

    def _refuse_head(self, error: SidecarError) -> None:
        if self.transport is not None:
            self.on_parse_error(FastRequest(NO_HEAD, EMPTY_PAYLOAD, self), error)
        self.force_close()

    @property
    def is_idle(self) -> bool:
        """See `KeptConnection.is_idle`."""
        return not self.has_request and self._head_timer is None

    async def _until_read(self) -> None:
        """Wait until the transport may be written to again."""
        raise AssertionError("a subclass does")

    def _watch(self, transport: asyncio.Transport, unread: UnreadBytes, idle_s: float) -> None:
        """Break a connection that is closing where the app reads nothing more."""

        def look() -> None:
            if unread.are_read():
                self._watch(transport, unread, idle_s)
            elif transport.get_write_buffer_size():
                self._let_go(transport)

        Timer(idle_s, look)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.has_request:
            self.start_head_timer()  # the head came behind a request that is still being served
        elif self.transport is not None:
            self.on_parse_error(FastRequest(NO_HEAD, EMPTY_PAYLOAD, self), TimeoutError())
            self.force_close()


class PlainConnection(TimedConnection):
    """A connection on aiohttp's own loop and public names. Runs where an aiohttp release lacks a
    private name that `connection.Connection` relies on; costs more CPU for each call.
    """

    __slots__ = ("_content", "_is_serving", "_writer")

    pending: Final = (None,)
    """What waits behind a request is not public: no response waits for the end of its turn."""

    @property
    def has_request(self) -> bool:
        """Whether a request is being served."""
        return self._is_serving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `TimedConnection.connection_made`."""
        self._is_serving = False
        self._content: StreamReader = EMPTY_PAYLOAD
        self._writer: AbstractStreamWriter | None = None
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        super().data_received(data)
        if not self._is_serving:
            # All of a request may be in it, whose head is not known yet to have come.
            self.head_grows(min(len(data), HEAD_BYTES))
        else:
            self._wire_bytes += len(data)
            self.check_framing(self._content)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Run the handler for a request whose head is here."""
        self.kept.since_s.pop(self, None)
        self._is_serving = True
        self._content = request.content
        self._wire_bytes, self.framing_at_most = request.content.total_bytes, AHEAD_BYTES
        self.stop_head_timer()
        self.task = asyncio.current_task()
        self._writer = request.writer
        if self.writing_paused:
            # An app that sends on without reading would have its responses pile up here.
            await self.drain()
        response = await self.handler(self._plain(request))
        # On a connection that ends, what still comes is the rest of a body that is not wanted.
        self._is_serving = not response.keep_alive
        if response.keep_alive:
            self.kept.since_s[self] = asyncio.get_running_loop().time()
        else:
            self.close_once_read()
        return _Written(keeps_alive=response.keep_alive)

    async def _until_read(self) -> None:
        if self._writer is not None:
            await self._writer.drain()

    def take_buffered(self, payload: StreamReader) -> bytes:
        """Take the whole body of a payload that is complete."""
        return payload.read_nowait()

    def _plain(self, request: web.BaseRequest) -> FastRequest:
        """Make the fast path's kind of request out of aiohttp's public one."""
        message = SimpleNamespace(
            method=request.method,
            path=request.raw_path,
            version=request.version,
            headers=request.headers,
            raw_headers=request.raw_headers,
            should_close=not request.keep_alive,
        )
        return FastRequest(message, request.content, self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 - aiohttp's signature
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Reply to bytes that could not be parsed; aiohttp's hook."""
        self.stop_head_timer()
        response = self.on_parse_error(self._plain(request), exc)
        return _Written(keeps_alive=response.keep_alive)


class _Written(web.StreamResponse):
    """Tells aiohttp's loop that the response is on the transport already."""

    def __init__(self, *, keeps_alive: bool) -> None:
        super().__init__()
        self._keeps_alive = keeps_alive

    @property
    def keep_alive(self) -> bool:
        return self._keeps_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - aiohttp's signature
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        pass

"""The server of the admin port and of the operators' pages: aiohttp's low-level server, with bounds
on what a peer may hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from sidecar.listener.page_replies import is_long, send_in_pieces
from sidecar.listener.page_room import PageLimits, PageRoom
from sidecar.runtime.timers import Timer

PageHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_HEAD_END: Final = b"\r\n\r\n"
_READ_BYTES: Final = 16_384
_SENT_AHEAD_BYTES: Final = 32_768
"""Of a response, what the kernel holds for a peer that has not read it (Linux doubles it), and what
waits behind that. Else the kernel would hold megabytes for each.
"""
_BEHIND_HEAD_BYTES: Final = 524_288
"""Two reads of a socket at most; a request begins to be served within two turns of the loop."""
_TOO_LARGE: Final = b"431 Request Header Fields Too Large"
_TOO_LATE: Final = b"408 Request Timeout"


class _NoBytes(logging.Filter):
    """Keeps malformed requests out of the log: any peer may send them, and they may hold
    credentials.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is of anything else: a failed handler is a bug, and is logged."""
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_log: Final = logging.getLogger("sidecar.listener.pages")
_log.addFilter(_NoBytes())


class PageServer(web.Server):
    """Serves pages to peers of whom any may be hostile.

    A peer gets so much time and so many bytes for a head, and there are so many connections. A
    connection that has no request, or whose peer does not read, is closed for the sake of a new
    one, so that peers who hold many cannot keep a probe out. A peer that leaves ends the handler of
    its request.
    """

    def __init__(self, handler: PageHandler, limits: PageLimits | None = None) -> None:
        super().__init__(self._serve, handler_cancellation=True)
        self.limits = limits or PageLimits()
        self.room = PageRoom(self.limits)
        self._handler = handler

    def __call__(self) -> RequestHandler:
        """A protocol for a new connection."""
        return PageConnection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self.limits.keepalive_s,
            lingering_time=1.0,
            access_log=None,
            logger=_log,
            read_bufsize=_READ_BYTES,
            auto_decompress=False,
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, PageConnection)
        self.room.begin_request(connection)
        connection.begin_request(request.content)
        try:
            response = await self._handler(request)
            if (
                request.method != "HEAD"
                and isinstance(response, web.Response)
                and is_long(response)
            ):
                response = await send_in_pieces(request, response, self.limits.response_s)
                if connection.is_last:
                    connection.force_close()
        finally:
            is_last = connection.end_request()
            self.room.end_request(connection)
        if is_last and not response.prepared:
            response.force_close()
        return response


class PageConnection(RequestHandler):
    """A connection of a `PageServer`.

    Requests are not pipelined: what comes behind one that is being served is dropped, and the
    connection is closed after its response. So it is after a request with a body.
    """

    __slots__ = (
        "_behind_head",
        "_body",
        "_head_bytes",
        "_head_timer",
        "_newest",
        "_server",
        "is_last",
    )

    def __init__(self, server: PageServer, *, loop: asyncio.AbstractEventLoop, **more: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(server, loop=loop, **more)
        self._server = server
        self._head_timer: Timer | None = None
        self._head_bytes = 0
        """How long the head is so far."""
        self._newest = b""
        """The last bytes of the head so far, in which its end may have begun."""
        self._behind_head: bytes | None = None
        """What came behind a head whose request is not being served yet; None before its end."""
        self._body: StreamReader | None = None
        """The body of the request that is being served."""
        self.is_last = False
        """Whether the connection ends with that request's response: something came behind it."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing has arrived that is not read yet."""
        peer = None if self.transport is None else self.transport.get_extra_info("socket")
        if peer is None or peer.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(peer.fileno(), select.POLLIN)
        return not poll.poll(0)

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - a loop's own kind
        """Admit the peer, or close the connection."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_SENT_AHEAD_BYTES)
        with contextlib.suppress(OSError):
            peer = transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AHEAD_BYTES)
        if self._server.room.admit(self):
            self._start_head_timer()
        else:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._stop_head_timer()
        self._server.room.forget(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer reads more slowly than its response is sent."""
        super().pause_writing()
        self._server.room.note_reading(self, is_reading=False)

    def resume_writing(self) -> None:
        """The peer has read on."""
        super().resume_writing()
        self._server.room.note_reading(self, is_reading=True)

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as a peer may send it."""
        if not data:  # aiohttp calls so after a body was read
            super().data_received(data)
        elif self._body is not None:
            self._more_of(self._body, data)
        elif self._behind_head is not None:
            self._behind_head += data
            if len(self._behind_head) > _BEHIND_HEAD_BYTES:
                self.abort()
        else:
            self._more_of_head(data)

    def begin_request(self, body: StreamReader) -> None:
        """A head is here, and its request is being served."""
        self._stop_head_timer()
        self._body = body
        self.is_last = not body.is_eof()  # what comes with a body may go on behind its end
        if self._behind_head:
            self._more_of(body, self._behind_head)
        self._behind_head = None

    def end_request(self) -> bool:
        """The response is made. Return whether the connection ends with it."""
        self._body = None
        self._head_bytes, self._newest = 0, b""
        return self.is_last

    def abort(self) -> None:
        """Close the connection at once, whatever was not sent yet."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def _more_of(self, body: StreamReader, data: bytes) -> None:
        if body.is_eof():
            self.is_last = True
        else:
            super().data_received(data)

    def _more_of_head(self, data: bytes) -> None:
        """Parse a head as far as it is short enough; keep what is behind its end."""
        self._start_head_timer()
        if not self._head_bytes:
            data = data.lstrip(b"\r\n")  # empty lines before a head are no part of it
        window = self._newest + data
        end = window.find(_HEAD_END)
        if end >= 0:
            size = end + len(_HEAD_END) - len(self._newest)
            data, self._behind_head = data[:size], data[size:]
        self._head_bytes += len(data)
        self._newest = window[-len(_HEAD_END) + 1 :]
        if self._head_bytes <= self._server.limits.head_bytes:
            super().data_received(data)
        else:
            self._refuse(_TOO_LARGE)

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = Timer(self._server.limits.head_s, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            self._refuse(_TOO_LATE)
        else:
            self.abort()

    def _refuse(self, status: bytes) -> None:
        self._stop_head_timer()
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status
            )
        self.force_close()

"""Writes a response to the transport: heads and chunks as bytes of our own making, in one write
where that can be.

aiohttp's `StreamResponse` builds a multidict, adds headers and joins them again for every response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from sidecar.listener import cors
from sidecar.listener.request import Request
from sidecar.listener.upload import StreamedUpload
from sidecar.runtime.timers import Timer

_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
"""Never a provider's own words: no client reads them, and old ones show them as they are."""
_CHUNKS_SINCE: Final = (1, 1)
_FLUSH_AT_MOST_S: Final = 5.0
"""How long a last error event may take to reach an app that reads slowly, before its connection is
dropped.
"""


class ResponseWriter:
    """Implements `domain.ports.Downstream` for one request of one connection."""

    def __init__(
        self, request: Request, write: Callable[[asyncio.Transport, bytes], None] | None = None
    ) -> None:
        self.request = request
        self._transport = request.transport
        self._write = write
        self._keeps_alive = request.keep_alive
        self._is_chunked = False
        self._page_lines: list[bytes] = []
        self.is_started = False
        """Whether a head was sent: from then on only a broken connection can tell an error."""
        self.is_call = False
        """Whether the request became a call, whose end the proxy reports."""
        self.upload: StreamedUpload | None = None
        """The request's body, where that may still be arriving when the response begins."""

    @property
    def is_open(self) -> bool:
        """See `Downstream.is_open`."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def keep_alive(self) -> bool:
        """Whether the connection can carry another request, once the handler has returned."""
        return self._keeps_alive and self.is_started

    def allow_page(self, origin: str) -> None:
        """Add CORS response headers for this origin."""
        self._page_lines = cors.page_lines(self.request, origin)

    def close_after(self) -> None:
        """Close the connection once the response is complete."""
        self._keeps_alive = False

    def send_whole(self, status: int, headers: list[bytes], body: bytes) -> None:
        """See `Downstream.send_whole`. Status line, headers and body go out in one write."""
        self.is_started = True
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        is_bodiless = status in (204, 304) or status < 200
        length = b"\r\n" if is_bodiless else b"Content-Length: %d\r\n\r\n" % len(body)
        head = self._head(status, headers)
        head.append(length)
        if not is_bodiless and self.request.method != "HEAD":
            head.append(body)
        if self._keeps_alive and self._write is not None and self.request.is_last_sent:
            self._write(transport, b"".join(head))
        else:
            # The next response, or the connection's end, may follow in this very turn of the loop:
            # it must not overtake this one.
            transport.write(b"".join(head))

    def start(self, status: int, headers: list[bytes], content_length: int | None) -> None:
        """See `Downstream.start`."""
        self.is_started = True
        framing = b""
        if content_length is not None:
            framing = b"Content-Length: %d\r\n" % content_length
        elif self.request.version < _CHUNKS_SINCE:
            self._keeps_alive = False
        elif self.request.method != "HEAD" and not (status in (204, 304) or status < 200):
            self._is_chunked = True
            framing = b"Transfer-Encoding: chunked\r\n"
        head = [*self._head(status, headers), framing, b"\r\n"]
        if self._transport is not None:
            self._transport.write(b"".join(head))

    async def write(self, data: bytes) -> None:
        """See `Downstream.write`."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the app has closed the connection")
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        if self.request.is_write_paused:
            await self.request.drain()

    def finish(self) -> None:
        """See `Downstream.finish`."""
        if self._is_chunked and self._transport is not None:
            self._transport.write(b"0\r\n\r\n")

    def end_broken(self, event: bytes) -> None:
        """See `Downstream.end_broken`."""
        self._keeps_alive = False
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not event:
            transport.abort()
            return
        transport.write(b"%x\r\n%b\r\n" % (len(event), event) if self._is_chunked else event)
        transport.close()
        Timer(_FLUSH_AT_MOST_S, transport.abort)

    def abort(self) -> None:
        """See `Downstream.abort`."""
        self._keeps_alive = False
        if self._transport is not None:
            self._transport.abort()

    def _head(self, status: int, headers: list[bytes]) -> list[bytes]:
        head = [b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, b"")), *headers]
        if self.upload is not None and not self.upload.is_complete:
            self._keeps_alive = False  # what comes of it now is not wanted
        if self._page_lines:
            head = cors.without_others(head) + self._page_lines
        if not self._keeps_alive:
            head.append(b"Connection: close\r\n")
        elif self.request.version < _CHUNKS_SINCE:
            head.append(b"Connection: keep-alive\r\n")
        return head

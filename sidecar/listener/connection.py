"""One connection of the data port, below aiohttp's public surface.

aiohttp parses; what it builds around each request (a task, a request object with two multidicts, a response writer, an
empty second parse after each body) costs more than all that the sidecar does with a call. `Connection.start` runs the
handler in the connection's own task instead, and `ArrivedRequest.take_body` takes a body that came with its head.
What this relies on is named in `RELIED_ON`; where an aiohttp release lacks a name, `is_supported` is false and
`listener.server` uses aiohttp's own loop. `tests/room/listener/test_connection.py` fails when that happens.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import ERROR, RequestHandler, _ErrInfo

from sidecar.listener.request import Answer, Handler, ParseErrorHandler

RELIED_ON: Final = frozenset({
    "_buffer_paused", "_close", "_current_request", "_drain_helper", "_force_close", "_handler_waiter", "_keepalive",
    "_keepalive_handle", "_keepalive_timeout", "_loop", "_manager", "_messages", "_msg_queue_resume_size",
    "_next_keepalive_close_time", "_parser", "_process_keepalive", "_request_in_progress",
    "_resume_reading_if_drained", "_task_handler", "_upgraded", "_waiter",
})  # fmt: skip
_READ_BYTES: Final = 64 * 1024
"""asyncio's stdlib transport allocates the most it could read, 256 KiB, for every read; glibc maps and unmaps so much
anew each time, which costs 10 us a request. Below 128 KiB it comes from the heap."""
_DISCARD_AT_MOST_S: Final = 5.0
"""How long the rest of a refused body is read, so that a reset does not overtake the refusal."""


class ArrivedRequest:
    """Implements `request.Request` on what aiohttp's parser hands over, without a request object of aiohttp's."""

    __slots__ = ("_message", "_payload", "_protocol", "transport")

    def __init__(self, message: RawRequestMessage, payload: StreamReader, protocol: RequestHandler) -> None:
        self._message = message
        self._payload = payload
        self._protocol = protocol
        self.transport = protocol.transport

    @property
    def method(self) -> str:
        """See `Request.method`."""
        return self._message.method

    @property
    def target(self) -> str:
        """See `Request.target`."""
        target = self._message.path
        if target.startswith("/"):
            return target
        url = self._message.url
        return url.raw_path_qs if url.absolute else target

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """See `Request.raw_headers`."""
        return self._message.raw_headers

    @property
    def is_http10(self) -> bool:
        """See `Request.is_http10`."""
        return self._message.version < (1, 1)

    @property
    def keep_alive(self) -> bool:
        """See `Request.keep_alive`."""
        return not self._message.should_close

    @property
    def content(self) -> StreamReader:
        """See `Request.content`."""
        return self._payload

    @property
    def task(self) -> asyncio.Task[Any]:
        """See `Request.task`. Kept by the connection: in Python 3.11 asking asyncio costs a system call."""
        task = self._protocol._task_handler  # noqa: SLF001
        assert task is not None
        return task

    @property
    def is_last_sent(self) -> bool:
        """See `Request.is_last_sent`."""
        return not self._protocol._messages and self._payload.is_eof()  # noqa: SLF001

    @property
    def is_write_paused(self) -> bool:
        """See `Request.is_write_paused`."""
        return self._protocol.writing_paused

    def header_values(self, name: str) -> list[str]:
        """See `Request.header_values`."""
        # The message that aiohttp makes of a parse error has no multidict.
        return list(self._message.headers.getall(name, ())) if self._message.headers else []

    def take_body(self) -> bytes | None:
        """See `Request.take_body`."""
        payload = self._payload
        if not payload.is_eof():
            return None
        pieces: Any = getattr(payload, "_buffer", None)
        if not pieces:
            return payload.read_nowait()
        # Reading the stream's way asks the parser for more each time, which costs a parse of nothing.
        body: bytes = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    async def drain(self) -> None:
        """See `Request.drain`."""
        await self._protocol._drain_helper()  # noqa: SLF001 - what aiohttp's own writer calls

    def _cancel(self, exc: BaseException) -> None:
        """aiohttp: the connection is gone."""
        self._payload.set_exception(exc)


def is_supported() -> bool:
    """Whether this release of aiohttp has all that `Connection.start` relies on."""
    known = set(dir(RequestHandler))
    return known >= RELIED_ON and hasattr(StreamReader, "_read_nowait_chunk")


class Connection(RequestHandler):
    """A connection whose requests are handled one after the other in its own task."""

    __slots__ = ("handler", "on_parse_error")

    handler: Handler
    on_parse_error: ParseErrorHandler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A new connection, told to read in pieces that malloc keeps at hand."""
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Parse. aiohttp forgets the body that an error falls into: whoever reads it would wait till the app leaves."""
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._break_bodies()

    def _break_bodies(self) -> None:
        error = web.RequestPayloadError("broken framing")
        waiting = [payload for _, payload in self._messages]
        if self._current_request is not None:
            waiting.append(self._current_request.content)
        for payload in waiting:
            if not payload.is_eof():
                payload.set_exception(error)

    async def start(self) -> None:
        """Serve requests until the connection ends. Cancelled by aiohttp when the app goes away."""
        try:
            while not self._force_close:
                if not self._messages:
                    await self._next_message()
                message, payload = self._messages.popleft()
                if self._parser is not None:
                    self._parser.message_consumed()
                if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                    self._resume_reading_if_drained()
                if self._manager is not None:
                    self._manager.requests_count += 1
                if not await self._serve(message, payload) or self._close or self._force_close:
                    break
                self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                if self._keepalive_handle is None:
                    self._keepalive_handle = self._loop.call_at(
                        self._next_keepalive_close_time, self._process_keepalive
                    )
        finally:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _next_message(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _serve(self, message: RawRequestMessage | _ErrInfo, payload: StreamReader) -> bool:
        """Answer one request; return whether another may follow."""
        request = ArrivedRequest(ERROR if isinstance(message, _ErrInfo) else message, payload, self)
        self._current_request = request  # type: ignore[assignment]
        self._request_in_progress = True
        try:
            answer: Answer
            if isinstance(message, _ErrInfo):
                answer = self.on_parse_error(request, message.exc)
            else:
                answer = await self.handler(request)
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)
        self._keepalive = answer.keep_alive
        if not payload.is_eof():
            self._keepalive = False
            await self._discard(payload)
        return self._keepalive and not self._upgraded

    async def _discard(self, payload: StreamReader) -> None:
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()
        with contextlib.suppress(TimeoutError, web.RequestPayloadError, ConnectionError):
            async with asyncio.timeout(_DISCARD_AT_MOST_S):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()

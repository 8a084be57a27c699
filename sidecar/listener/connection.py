"""One connection of the data port, below aiohttp's public surface.

aiohttp parses; what it builds around each request (a task, a request object with two multidicts, a
response writer, an empty second parse after each body) costs more than all that the sidecar does
with a call. `Connection.start` runs the handler in the connection's own task instead, and
`FastRequest.take_body` takes a body that came with its head. What this relies on is named in
`RELIED_ON`; where an aiohttp release lacks a name, `is_supported` is false and `listener.server`
uses aiohttp's own loop. `tests/listener/test_connection.py` fails when that happens.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from aiohttp import StreamReader, web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import ERROR, RequestHandler, _ErrInfo

from sidecar.listener.fast_request import FastRequest
from sidecar.listener.request import Answer, Handler, ParseErrorHandler

RELIED_ON: Final = frozenset({
    "_buffer_paused", "_close", "_current_request", "_drain_helper", "_force_close",
    "_handler_waiter", "_keepalive", "_keepalive_handle", "_keepalive_timeout", "_loop",
    "_manager", "_messages", "_msg_queue_resume_size", "_next_keepalive_close_time", "_parser",
    "_paused", "_process_keepalive", "_request_in_progress", "_resume_reading_if_drained",
    "_task_handler", "_upgraded", "_waiter",
})  # fmt: skip
_READ_BYTES: Final = 64 * 1024
"""asyncio's stdlib transport allocates the most it could read, 256 KiB, for every read; glibc maps
and unmaps so much anew each time, which costs 10 us a request. Below 128 KiB it comes from the
heap."""
_DISCARD_AT_MOST_S: Final = 5.0
"""How long the rest of a refused body is read, so that a reset does not overtake the refusal."""


def is_supported() -> bool:
    """Whether this release of aiohttp has all that `Connection.start` relies on."""
    known = set(dir(RequestHandler))
    return known >= RELIED_ON and hasattr(StreamReader, "_read_nowait_chunk")


class TimedConnection(RequestHandler):
    """A connection of aiohttp's that gives an app only so long for the head of a request."""

    __slots__ = ("_head_timer", "head_s", "on_parse_error")

    head_s: float
    on_parse_error: ParseErrorHandler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A new connection, told to read in pieces that malloc keeps at hand."""
        self._head_timer: asyncio.TimerHandle | None = None
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The app is gone."""
        self.stop_head_timer()
        super().connection_lost(exc)

    def start_head_timer(self) -> None:
        """A head has begun, and is not complete."""
        if self._head_timer is None:
            self._head_timer = asyncio.get_running_loop().call_later(
                self.head_s, self._head_is_late
            )

    def stop_head_timer(self) -> None:
        """The head is complete, or nobody waits for it any more."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._current_request is not None:
            self.start_head_timer()  # it came behind a request that is not answered yet
        elif self.transport is not None:
            self.on_parse_error(FastRequest(ERROR, EMPTY_PAYLOAD, self), TimeoutError())
            self.force_close()


class Connection(TimedConnection):
    """A connection whose requests are handled one after the other in its own task."""

    __slots__ = ("handler",)

    handler: Handler

    def data_received(self, data: bytes) -> None:
        """Parse. aiohttp forgets the body that an error falls into: whoever reads it would wait
        till the app leaves.
        """
        current = self._current_request
        is_between = current is None or current.content.is_eof()
        super().data_received(data)
        if self._messages:
            if self._head_timer is not None:
                self.stop_head_timer()
            if isinstance(self._messages[-1][0], _ErrInfo):
                self._break_bodies()
        elif data and is_between:
            # aiohttp gives nothing to parse where a body was read. What ended a body is timed from
            # its next piece on.
            self.start_head_timer()

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
                if not self._messages or self._paused:
                    await self._next_message()
                message, payload = self._messages.popleft()
                self._message_taken()
                problem = None
                if isinstance(message, _ErrInfo):
                    problem, message = message, ERROR
                request = FastRequest(message, payload, self)
                self._current_request = request  # type: ignore[assignment]
                self._request_in_progress = True
                try:
                    answer: Answer = (
                        await self.handler(request)
                        if problem is None
                        else self.on_parse_error(request, problem.exc)
                    )
                finally:
                    self._request_in_progress = False
                    if self._handler_waiter is not None:
                        self._tell_waiter()
                self._keepalive = answer.keep_alive
                if not payload.is_eof():
                    self._keepalive = False
                    await self._discard(payload)
                if not self._keepalive or self._upgraded or self._close or self._force_close:
                    break
                self._current_request = None
                self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                if self._keepalive_handle is None:
                    self._keepalive_handle = self._loop.call_at(
                        self._next_keepalive_close_time, self._process_keepalive
                    )
        finally:
            self._current_request = self._task_handler = None  # both lead back here
            if self.transport is not None:
                self.transport.close()

    async def _next_message(self) -> None:
        if self._paused:
            # An app that sends on without reading would have its answers pile up here.
            await self._drain_helper()
        if self._messages:
            return
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _message_taken(self) -> None:
        """Tell aiohttp's parser, which stops reading where many requests wait."""
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if self._manager is not None:
            self._manager.requests_count += 1

    def _tell_waiter(self) -> None:
        """Aiohttp's shutdown waits for the handler."""
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)

    async def _discard(self, payload: StreamReader) -> None:
        # OSError: an app that is gone already is no longer connected, which `write_eof` tells; also
        # what took too long.
        with contextlib.suppress(OSError, web.RequestPayloadError):
            if self.transport is not None and self.transport.can_write_eof():
                self.transport.write_eof()
            async with asyncio.timeout(_DISCARD_AT_MOST_S):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()

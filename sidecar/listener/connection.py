"""One connection of the data port, below aiohttp's public surface: the one module that uses private
names of aiohttp's.

aiohttp parses; what it builds around each request (a task, a request object with two multidicts, a
response writer, an empty second parse after each body) costs more than all that the sidecar does
with a call. `Connection.start` runs the handler in the connection's own task instead, and
`Connection.take_buffered` takes a body that came with its head. What this relies on is listed in
`RELIED_ON`: aiohttp has it from 3.14.4 on. Where a release lacks a name, `missing_names` says
which, and `listener.server` uses `plain_connection.PlainConnection`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, Final

from aiohttp import StreamReader, web, web_protocol
from aiohttp.web_protocol import RequestHandler

from sidecar.domain.errors import BodyTooLarge
from sidecar.domain.ports import DownstreamIdle
from sidecar.listener.plain_connection import AHEAD_BYTES, TimedConnection
from sidecar.listener.request import NO_HEAD, FastRequest
from sidecar.runtime.timers import Timeout

RELIED_ON: Final = frozenset({  # of RequestHandler
    "_buffer_paused", "_close", "_current_request", "_drain_helper", "_force_close",
    "_handler_waiter", "_keepalive", "_loop", "_manager", "_messages", "_msg_queue_resume_size",
    "_parser", "_paused", "_request_in_progress", "_resume_reading_if_drained", "_task_handler",
    "_upgraded", "_waiter",
})  # fmt: skip
_DISCARD_AT_MOST_S: Final = 5.0
"""How long the rest of a refused body is read, so that a reset does not overtake the refusal."""
_ERROR_INFO: Final[Any] = getattr(web_protocol, "_ErrInfo", None)
"""What the parser's errors come as, among the messages."""


def missing_names() -> list[str]:
    """Return the private names that the installed release of aiohttp lacks, sorted."""
    missing = RELIED_ON - set(dir(RequestHandler))
    if not hasattr(StreamReader, "_buffer"):
        missing |= {"StreamReader._buffer"}
    if _ERROR_INFO is None:
        missing |= {"_ErrInfo"}
    return sorted(missing)


class Connection(TimedConnection):
    """A connection whose requests are handled one after the other in its own task."""

    __slots__ = ("pending",)

    pending: deque[Any]
    """Parsed requests that wait for their turn."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `TimedConnection.connection_made`."""
        self.pending = self._messages
        super().connection_made(transport)

    @property
    def has_request(self) -> bool:
        """See `TimedConnection.has_request`. One that is parsed waits a turn of the loop."""
        return self._current_request is not None or bool(self._messages)

    def take_buffered(self, payload: StreamReader) -> bytes:
        """Take the whole body of a payload that is complete.

        Reading it the public way asks the parser for more each time, which costs a parse of
        nothing.
        """
        pieces = getattr(payload, "_buffer", None)  # unset in the one that stands for no body
        if not pieces:
            rest: bytes = payload.read_nowait()
            return rest
        body: bytes = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def data_received(self, data: bytes) -> None:
        """Parse what came.

        aiohttp forgets the body in which a parse error happens: its reader would wait until the app
        leaves, so that body is ended here.
        """
        current = self._current_request
        is_between = current is None or current.content.is_eof()
        super().data_received(data)
        if current is not None:
            self._wire_bytes += len(data)
            if self._wire_bytes - current.content.total_bytes > AHEAD_BYTES:
                self.check_framing(current.content)
        if self._messages:
            if self._head_timer is not None:
                self.stop_head_timer()
            if isinstance(self._messages[-1][0], _ERROR_INFO):
                self._break_bodies()
        elif data and is_between:
            # aiohttp calls with no data after a body was read. Bytes behind a body are timed from
            # their second piece on: the first one may have held the body's end.
            self.head_grows(len(data))

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
        self.task = asyncio.current_task()
        try:
            while not self._force_close:
                if not self._messages or self._paused:
                    await self._next_message()
                message, payload = self.pending.popleft()
                self._message_taken(payload)
                problem = None
                if isinstance(message, _ERROR_INFO):
                    problem, message = message, NO_HEAD
                request: Any = FastRequest(message, payload, self)
                self._current_request = request
                self._request_in_progress = True
                try:
                    response: Any = (
                        await self.handler(request)
                        if problem is None
                        else self.on_parse_error(request, problem.exc)
                    )
                finally:
                    self._request_in_progress = False
                    if self._handler_waiter is not None:
                        self._tell_waiter()
                self._keepalive = response.keep_alive
                if not payload.is_eof():
                    self._keepalive = False
                    await self._discard(payload)
                if not self._keepalive or self._upgraded or self._close or self._force_close:
                    break
                # Else a connection that waits would keep its last request, however long its head.
                self._current_request = message = payload = problem = request = response = None
                self.kept.since_s[self] = self._loop.time()
        except DownstreamIdle:
            pass  # between two requests; the connection is broken
        finally:
            self._current_request = self._task_handler = self.task = None  # all lead back here
            self.close_once_read()

    async def _until_read(self) -> None:
        await self._drain_helper()

    async def _next_message(self) -> None:
        if self._paused:
            # An app that sends on without reading would have its responses pile up here.
            await self.drain()
        if self._messages:
            return
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _message_taken(self, payload: StreamReader) -> None:
        """Tell aiohttp's parser, which stops reading where many requests wait; bound the bytes
        around this one's body.
        """
        self.kept.since_s.pop(self, None)
        self._wire_bytes, self.framing_at_most = payload.total_bytes, AHEAD_BYTES
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if self._manager is not None:
            self._manager.requests_count += 1

    def _tell_waiter(self) -> None:
        """Wake aiohttp's shutdown, which waits for the handler."""
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)

    async def _discard(self, payload: StreamReader) -> None:
        # OSError: `write_eof` raises it where the app is gone already, and TimeoutError is one.
        with contextlib.suppress(OSError, web.RequestPayloadError, BodyTooLarge):
            if self.transport is not None and self.transport.can_write_eof():
                self.transport.write_eof()
            async with Timeout(_DISCARD_AT_MOST_S):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()

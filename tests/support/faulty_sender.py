"""Puts a reply on the wire, as it should be or as badly as its fault says."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from tests.support.faults import Act, Fault
from tests.support.recorded_request import RecordedRequest

_HUGE_HEAD_BYTES: Final = 1 << 20
_HUGE_LINE_BYTES: Final = 4 << 20
_CUT_BEFORE_HEAD: Final = frozenset({Act.CUT, Act.CUT_HEAD, Act.RESET, Act.GARBAGE, Act.HUGE_HEAD})
_HTML: Final = b"<!doctype html><title>Sign in</title><h1>Sign in to the network</h1>"


class Holds:
    """The events that replies wait for; all of them are set when the provider closes."""

    def __init__(self) -> None:
        self._waited_for: set[asyncio.Event] = set()
        self.is_closing = False

    async def wait(self, event: asyncio.Event) -> None:
        """Wait for a test's event, or for the end of the provider."""
        if self.is_closing:
            return
        self._waited_for.add(event)
        try:
            await event.wait()
        finally:
            self._waited_for.discard(event)

    def let_go(self) -> None:
        """End all waiting."""
        self.is_closing = True
        for event in self._waited_for:
            event.set()


class FaultySender:
    """Sends the reply to one request."""

    def __init__(
        self, request: web.BaseRequest, record: RecordedRequest, fault: Fault, holds: Holds
    ) -> None:
        self._request = request
        self._record = record
        self._fault = fault
        self._holds = holds
        self._is_broken = False
        self._zip = zlib.compressobj(wbits=31) if fault.act is Act.GZIP else None

    async def send_whole(
        self, status: int, headers: CIMultiDict[str], body: bytes
    ) -> web.StreamResponse:
        """Send a reply that is not a stream."""
        act = self._fault.act
        if act is Act.HUGE_LINE:
            body = _with_blanks(body)
        if act is Act.END_EARLY:
            body = b""
        if act is Act.HTML:
            status, body = 200, _HTML
            headers["content-type"] = "text/html"
        if self._zip is not None:
            body = self._zip.compress(body) + self._zip.flush()
            self._zip = None
        response = web.StreamResponse(status=status, headers=headers)
        if act is Act.DRIBBLE:
            response.enable_chunked_encoding()
        elif act is not Act.EOF:
            response.content_length = len(body)
        if not await self._open(response):
            return response
        half = len(body) // 2
        cut_at = {
            Act.CUT_STREAM: 0,
            Act.CUT_INSIDE: half,
            Act.RESET_STREAM: half,
            Act.HANG_STREAM: half,
        }.get(act)
        if cut_at is None:
            await self._write(response, body)
        else:
            await self._write(response, body[:cut_at])
            await self._break()
        return await self._end(response)

    async def send_stream(
        self, headers: CIMultiDict[str], events: Sequence[bytes], error_event: bytes, gap_s: float
    ) -> web.StreamResponse:
        """Send a stream of server-sent events, ``gap_s`` seconds apart."""
        act = self._fault.act
        if act is Act.HTML:
            return await self.send_whole(200, headers, b"")
        response = web.StreamResponse(status=200, headers=headers)
        if act is not Act.EOF:
            response.enable_chunked_encoding()
        if not await self._open(response):
            return response
        sent = 0
        for event in self._shaped(events, error_event):
            await self._hold_after(sent)
            if sent and gap_s:
                await asyncio.sleep(gap_s)
            await self._write(response, event)
            sent += 1
        await self._hold_after(sent)
        if act in {
            Act.CUT_STREAM,
            Act.CUT_INSIDE,
            Act.RESET_STREAM,
            Act.HANG_STREAM,
            Act.BAD_CHUNK,
        }:
            await self._break()
        elif self._zip is not None:
            await self._write_raw(response, self._zip.flush())
        return await self._end(response)

    async def _hold_after(self, sent: int) -> None:
        if sent and self._fault.hold is not None and sent == self._fault.hold_after_events:
            await self._holds.wait(self._fault.hold)

    def _shaped(self, events: Sequence[bytes], error_event: bytes) -> Iterator[bytes]:
        """The events that are sent before the stream ends or breaks."""
        act, after = self._fault.act, self._fault.after_events
        if act is Act.HUGE_LINE:
            yield _with_blanks(events[0])
            yield from events[1:]
        elif act is Act.NO_END:
            yield from events[:-1]
        elif act is Act.ERROR_EVENT:
            yield from events[:after]
            yield error_event
        elif act is Act.CUT_INSIDE:
            yield from events[:after]
            following = events[min(after, len(events) - 1)]
            yield following[: len(following) // 2]
        elif act in {
            Act.CUT_STREAM,
            Act.RESET_STREAM,
            Act.HANG_STREAM,
            Act.BAD_CHUNK,
            Act.END_EARLY,
        }:
            yield from events[:after]
        else:
            yield from events

    async def _open(self, response: web.StreamResponse) -> bool:
        """Do what was wished before the head, then send it. Returns: whether there is a body to
        send.
        """
        fault = self._fault
        if fault.act is Act.HANG:
            await self._holds.wait(asyncio.Event())
            return self._abort(response)
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.hold is not None and fault.hold_after_events == 0:
            await self._holds.wait(fault.hold)
        if fault.act in _CUT_BEFORE_HEAD:
            return self._cut_before_head(response)
        if fault.act is Act.GZIP:
            response.headers["content-encoding"] = "gzip"
        if fault.act in {Act.CLOSE, Act.EOF}:
            response.force_close()
        if fault.act is Act.EARLY_HINTS:
            self._write_socket(
                b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
            )
        await response.prepare(self._request)
        return True

    def _cut_before_head(self, response: web.StreamResponse) -> bool:
        act = self._fault.act
        if act is Act.CUT_HEAD:
            self._write_socket(b"HTTP/1.1 200 OK\r\ncontent-type: appl")
        elif act is Act.GARBAGE:
            self._write_socket(b"\x16\x03\x01 this is not HTTP\r\n\r\n\x00\xff")
        elif act is Act.HUGE_HEAD:
            filler = b"x" * _HUGE_HEAD_BYTES
            self._write_socket(
                b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-huge: " + filler + b"\r\n\r\n"
            )
        elif act is Act.RESET:
            self._close_by_reset()
            return self._abort(response)
        self._close()
        return False

    async def _break(self) -> None:
        """Break off a reply that has begun."""
        act = self._fault.act
        if act is Act.HANG_STREAM:
            await self._holds.wait(asyncio.Event())
        if act is Act.BAD_CHUNK:
            self._write_socket(b"zz\r\nnot a chunk\r\n")
        if act is Act.RESET_STREAM:
            self._close_by_reset()
            if self._request.transport is not None:
                self._request.transport.abort()
        self._close()

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        if self._zip is not None:
            data = self._zip.compress(data) + self._zip.flush(zlib.Z_SYNC_FLUSH)
        if self._fault.act is Act.DRIBBLE:
            for index in range(len(data)):
                await self._write_raw(response, data[index : index + 1])
        else:
            await self._write_raw(response, data)

    async def _write_raw(self, response: web.StreamResponse, data: bytes) -> None:
        if data:
            self._record.sent += data
            await response.write(data)

    async def _end(self, response: web.StreamResponse) -> web.StreamResponse:
        if not self._is_broken:
            await response.write_eof()
        self._record.when_done.set()
        return response

    def _write_socket(self, data: bytes) -> None:
        if self._request.transport is not None:
            self._request.transport.write(data)

    def _close_by_reset(self) -> None:
        """Make closing send a RST."""
        if self._request.transport is not None:
            sock = self._request.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _abort(self, response: web.StreamResponse) -> bool:
        """Drop the connection without a word. Returns: False, there is no body to send."""
        response.force_close()
        if self._request.transport is not None:
            self._request.transport.abort()
        self._is_broken = True
        self._record.when_done.set()
        return False

    def _close(self) -> None:
        """Close the connection once what was written is out."""
        if self._request.transport is not None:
            self._request.transport.close()
        self._is_broken = True
        self._record.when_done.set()


def _with_blanks(data: bytes) -> bytes:
    """The same JSON, with blanks behind its first brace."""
    head, brace, tail = data.partition(b"{")
    return head + brace + b" " * _HUGE_LINE_BYTES + tail

"""One HTTP/1.1 connection to a provider: bytes out, an answer in, one exchange at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from typing import cast

import httptools

from sidecar.domain.errors import (
    FirstByteTimeout,
    ResponseTimeout,
    Stale,
    StreamIdleTimeout,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamReset,
)
from sidecar.http1.batches import JOINED_BYTES, WRITE_BYTES, Piece, batches
from sidecar.http1.deadline import LATE_MESSAGES, Deadline, Late
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.http1.parser import HEAD_BYTES, ResponseParser, head_bytes, is_chunked
from sidecar.http1.ports import Owner
from sidecar.http1.response import HELD_BYTES, HELD_WHOLE_BYTES, UpstreamResponse
from sidecar.wire.body import pieces_length


class Connection(asyncio.BufferedProtocol):
    """The protocol behind one transport: llhttp reads, a single lazy timer watches, the pool
    owns.
    """

    def __init__(self, owner: Owner, place: str, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since_s = 0.0
        self.opened_s = loop.time()
        self._owner = owner
        self._read_buffer = owner.read_buffer
        self._write = owner.write
        self._place = place
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser()
        self._reply: UpstreamResponse | None = None
        self._is_fresh = True
        self._is_dead = False
        self._is_written = True
        self._is_write_paused = False
        self._is_read_paused = False
        self._overhead_bytes = 0
        self._idle_s: float | None = None
        self._answer_by_s = inf
        self._deadline = Deadline(loop, self._be_late)

    # The pool's side

    @property
    def idle_hint_s(self) -> int | None:
        """See `ResponseParser.idle_hint_s`."""
        return self._parser.idle_hint_s

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent on it now."""
        return (
            not self._is_dead and self._transport is not None and not self._transport.is_closing()
        )

    async def exchange(
        self,
        head: bytes,
        body: Sequence[Piece],
        timeouts: ExchangeTimeouts,
        *,
        method: str,
        sent_s: float,
    ) -> UpstreamResponse:
        """Send a request and wait for the head of its answer. Timeouts count from ``sent_s``.

        Raises: Stale, UpstreamReset, UpstreamMalformed, FirstByteTimeout, ResponseTimeout.
        """
        transport = self._transport
        assert transport is not None
        reply = self._reply = UpstreamResponse(self, self._loop)
        self._begin(reply, timeouts, method, sent_s)
        request_bytes = len(head) + pieces_length(body)
        if request_bytes <= JOINED_BYTES:
            self._write(transport, b"".join((head, *body)))
        elif request_bytes <= WRITE_BYTES:
            self._write(transport, (head, *body))
        else:
            await self._write_long(reply, transport, head, body)
        while not reply.status:
            if reply.source is None:
                reply.raise_failure()
            await reply.wait()
        return reply

    def close(self, message: str) -> None:
        """Close because the pool does; an exchange in flight fails."""
        if self._reply is not None:
            self._fail(UpstreamCut if self._reply.status else UpstreamReset, message, None)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket at once, without flushing. Idempotent."""
        if self._is_dead:
            return
        self._is_dead = True
        self._reply = None
        self._deadline.stop()
        self._parser.end()
        self._owner.discard(self)
        if self._transport is not None:
            self._transport.abort()

    # The reply's side

    def expect_body(self) -> None:
        """The idle timeout runs from now."""
        idle_s = self._idle_s
        if idle_s is not None:
            idle_by_s = self._loop.time() + idle_s
            late: Late = StreamIdleTimeout if idle_by_s < self._answer_by_s else ResponseTimeout
            self._deadline.move_to(min(idle_by_s, self._answer_by_s), late)

    def drained(self) -> None:
        """The reader has room again."""
        if self._is_read_paused:
            self._is_read_paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    # The transport's side
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready. A connection given up while it was being made is closed here."""
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's and aiofastnet's are none by inheritance
        if self._is_dead:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - a guess that does not matter here
        """Where the next bytes go. Reading into place spares the 256 KiB that a transport else
        allocates each time.
        """
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have arrived."""
        self.receive(self._read_buffer[:nbytes])

    def receive(self, data: bytes | memoryview) -> None:
        """Parse; then, once per segment, see what became of the answer."""
        reply, parser = self._reply, self._parser
        if reply is None:
            self.abort()  # Nobody asked: whatever this is, the next answer would be out of step.
            return
        held_bytes, had_head = reply.held_bytes, reply.status != 0
        cause: Exception | None = None
        try:
            parser.feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.with_traceback(
                None
            )  # A traceback would keep this frame, and so the reply.
            parser.on_parse_error(error)
        if had_head and reply.held_bytes != held_bytes:
            self._overhead_bytes = 0
        else:
            self._count_overhead(reply, len(data), had_head=had_head)
        if parser.complaint is not None:
            self._refuse(reply, parser.complaint, cause, had_head=had_head)
        elif reply.is_complete:
            self._complete(reply)
        elif reply.status:
            if not had_head and reply.held_bytes:
                self._deadline.move_to(self._answer_by_s, ResponseTimeout)
            if reply.held_bytes > HELD_BYTES:
                self._hold_back(reply)
            reply.wake()

    def eof_received(self) -> None:
        """The provider will send no more, so there is nothing left to wait for, nor to write."""
        self._end(None, is_clean=True)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed. Without `eof_received` before, that is no proper end."""
        self._end(exc, is_clean=False)
        self.abort()
        self._parser.close()
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """The transport holds enough of the request."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._is_write_paused = False
        if self._reply is not None and not self._is_written:
            self._reply.wake()

    # Inside

    def _begin(
        self, reply: UpstreamResponse, timeouts: ExchangeTimeouts, method: str, sent_s: float
    ) -> None:
        self._parser.begin(reply, is_head_request=method == "HEAD")
        self._overhead_bytes = 0
        self._idle_s = timeouts.idle_s
        first_byte_s, response_s = timeouts.first_byte_s, timeouts.response_s
        self._answer_by_s = inf if response_s is None else sent_s + response_s
        if first_byte_s is not None and sent_s + first_byte_s < self._answer_by_s:
            self._deadline.move_to(sent_s + first_byte_s, FirstByteTimeout)
        else:
            self._deadline.move_to(self._answer_by_s, ResponseTimeout)

    async def _write_long(
        self,
        reply: UpstreamResponse,
        transport: asyncio.Transport,
        head: bytes,
        body: Sequence[Piece],
    ) -> None:
        """Write as fast as the provider reads, and only until it answers."""
        self._is_written = False
        for batch in batches(head, body):
            while self._is_write_paused and reply.source is not None and not reply.status:
                await reply.wait()
            if reply.source is None or reply.status:
                return
            if len(batch) == 1:
                transport.write(batch[0])
            else:
                transport.writelines(batch)
        self._is_written = True

    def _count_overhead(
        self, reply: UpstreamResponse, received_bytes: int, *, had_head: bool
    ) -> None:
        """Bound what is no body: the head, and chunk framing or trailers that never end."""
        self._overhead_bytes = seen_bytes = self._overhead_bytes + received_bytes
        if seen_bytes > HEAD_BYTES and (
            had_head or not reply.status or head_bytes(reply.headers) > HEAD_BYTES
        ):
            self._parser.complaint = f"more than {HEAD_BYTES} bytes of head or framing"
        elif reply.status and not had_head:
            self._overhead_bytes = 0

    def _refuse(
        self, reply: UpstreamResponse, complaint: str, cause: Exception | None, *, had_head: bool
    ) -> None:
        """The answer cannot be used: `send` fails if it has not returned yet, else `read` does."""
        reply.is_complete = False
        if not had_head:
            reply.status = 0
        self._fail(UpstreamMalformed, complaint, cause)

    def _complete(self, reply: UpstreamResponse) -> None:
        """The answer is whole: let go of it, and keep the connection if both directions are
        clean.
        """
        assert self._transport is not None
        self._reply = reply.source = None
        self._parser.end()
        self._deadline.clear()
        if (
            self._parser.keeps_alive
            and self._is_written
            and not self._transport.get_write_buffer_size()
        ):
            self.drained()
            self._is_fresh = False
            self._owner.recycle(self)
        else:
            self.abort()
        reply.wake()

    def _hold_back(self, reply: UpstreamResponse) -> None:
        """Pause the provider until the reader has caught up."""
        is_short = reply.content_length is not None and reply.content_length <= HELD_WHOLE_BYTES
        if not is_short and not self._is_read_paused:
            self._is_read_paused = True
            if type(self._transport).__module__.startswith("aiofastnet"):
                # 1.2 forgets what else it has decrypted if it is paused inside a read (test_tls,
                # slow reader).
                self._loop.call_soon(self._pause)
            else:
                self._pause()

    def _pause(self) -> None:
        if (
            self._is_read_paused
            and self._transport is not None
            and not self._transport.is_closing()
        ):
            self._transport.pause_reading()

    def _end(self, cause: Exception | None, *, is_clean: bool) -> None:
        """No more bytes will come: was that the end of the answer?"""
        reply = self._reply
        if reply is None:
            return
        if reply.status:
            if is_clean and reply.content_length is None and not is_chunked(reply.headers):
                reply.is_complete = True
                self._complete(reply)
            else:
                self._fail(UpstreamCut, "the connection was closed inside the answer's body", cause)
        elif self._is_fresh or self._overhead_bytes:
            self._fail(UpstreamReset, "the connection was closed before the answer", cause)
        else:
            self._fail(Stale, "a kept connection was closed before the answer", cause)

    def _fail(self, kind: type[UpstreamError], message: str, cause: BaseException | None) -> None:
        reply = self._reply
        self.abort()
        if reply is not None:
            reply.fail(kind, f"{self._place}: {message}", cause)

    def _be_late(self, late: Late) -> None:
        reply = self._reply
        if reply is None:
            return
        if late is StreamIdleTimeout and not reply.is_awaited:
            self._deadline.move_to(
                self._answer_by_s, ResponseTimeout
            )  # Not the provider is slow but the app.
        else:
            self._fail(late, LATE_MESSAGES[late], None)

"""However a response is cut into segments, it is the same response. No socket, no running loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import UpstreamError, UpstreamMalformed
from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.response import UpstreamResponse
from sidecar.runtime.memory_budget import MemoryBudget, MemoryShare
from sidecar.runtime.write_coalescer import Write, write_at_once

FOREVER = ExchangeTimeouts(connect_s=1)


class Transport:
    """What a connection asks of a transport, remembered."""

    def __init__(self) -> None:
        self.written = b""
        self.is_aborted = False
        self.unsent_bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        self.written += data

    def writelines(self, pieces: list[bytes | memoryview]) -> None:
        self.written += b"".join(pieces)

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def get_extra_info(self, name: str) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Owner:
    """A pool that only counts."""

    def __init__(self) -> None:
        self.origin = Origin("http", "host", 1)
        self.recycled = self.discarded = 0
        self.read_buffer = memoryview(bytearray(1))
        self.write: Write = write_at_once
        self.head_memory: MemoryShare | None = None

    def recycle(self, connection: UpstreamConnection, keep_alive_s: int | None) -> None:
        self.recycled += 1

    def discard(self, connection: UpstreamConnection) -> None:
        self.discarded += 1

    def lost(self, connection: UpstreamConnection) -> None: ...


class Dialogue:
    """A connection and its exchange, driven by hand."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.owner, self.transport = Owner(), Transport()
        self.connection = UpstreamConnection(self.owner, loop)
        self.connection.connection_made(cast("asyncio.Transport", self.transport))

    def exchange(
        self, segments: list[bytes], *, method: str = "GET"
    ) -> tuple[UpstreamResponse, bytes]:
        """Send, hear the segments and the end of the connection, read all. Raises:
        UpstreamError.
        """
        sending = self.connection.exchange(
            b"GET / HTTP/1.1\r\n\r\n", (), FOREVER, method=method, sent_s=0.0
        )
        sending.send(None)
        for segment in segments:
            if not self.transport.is_aborted and segment:
                self.connection._channel.read_buffer = memoryview(segment)
                self.connection.buffer_updated(len(segment))
        if not self.transport.is_aborted and not self.owner.recycled:
            self.connection.eof_received()
        reply: UpstreamResponse = _result(sending)
        pieces = []
        while piece := _result(reply.read()):
            pieces.append(piece)
        return reply, b"".join(pieces)


def _result(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
    raise AssertionError("it waits, though nothing more will come")


@contextmanager
def dialogue() -> Iterator[Dialogue]:
    loop = asyncio.new_event_loop()
    try:
        yield Dialogue(loop)
    finally:
        loop.close()


FIELDS = st.lists(
    st.tuples(
        st.from_regex(rb"x-[A-Za-z0-9_!#$%&'*+.^`|~-]{0,20}", fullmatch=True),
        st.from_regex(rb"([!-~\x80-\xff]([ -~\t\x80-\xff]{0,20}[!-~\x80-\xff])?)?", fullmatch=True),
    ),
    max_size=5,
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[bytes, bytes]], bytes, bool]:
    """Bytes, and what they mean: status, fields, body, whether the connection may be kept."""
    status = draw(st.sampled_from([200, 201, 204, 304, 400, 429, 500, 529]))
    fields = draw(FIELDS)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    if status in {204, 304}:
        framing, pieces = "none", []
    body = b"".join(pieces)
    if framing == "length":
        fields = [*fields, (b"Content-Length", b"%d" % len(body))]
        tail = body
    elif framing == "chunked":
        fields = [*fields, (b"transfer-encoding", b"Chunked")]
        tail = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n"
        tail += draw(st.sampled_from([b"", b"X-Trailer: t\r\n"])) + b"\r\n"
    else:
        tail = body
    interim = b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * draw(st.integers(0, 2))
    lines = b"".join(b"%s: %s\r\n" % field for field in fields)
    head = b"HTTP/1.1 %d Reason\r\n%s\r\n" % (status, lines)
    return interim + head + tail, status, fields, body, framing != "close"


@given(answers(), st.data())
def test_any_segmentation_gives_the_same_response(answer, data):
    """Status, fields, body and the fate of the connection do not depend on where segments
    end.
    """
    said, status, fields, body, is_kept = answer
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=8)))
    segments = [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    with dialogue() as line:
        reply, got = line.exchange(segments)
        assert (status, fields, body) == (reply.status, list(reply.headers), got)
        assert is_kept == bool(line.owner.recycled)
        assert is_kept != line.transport.is_aborted


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_arbitrary_bytes_end_in_a_response_or_an_upstream_error(segments):
    """Whatever an upstream sends, nothing but the documented errors comes out, and a broken
    connection is never kept.
    """
    with dialogue() as line:
        try:
            line.exchange(segments)
        except UpstreamError:
            assert line.transport.is_aborted


@given(answers(), st.data())
def test_damaged_responses_end_in_a_response_or_an_upstream_error(answer, data):
    """One byte changed or lost at the end: still only documented ends."""
    said = bytearray(answer[0])
    said[data.draw(st.integers(0, len(said) - 1))] = data.draw(st.integers(0, 255))
    with dialogue() as line:
        try:
            line.exchange([bytes(said[: data.draw(st.integers(0, len(said)))])])
        except UpstreamError:
            assert line.transport.is_aborted


def test_split_at_every_byte():
    """Two segments, at every possible place."""
    said = b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: t\r\n\r\n"
    for at in range(len(said) + 1):
        with dialogue() as line:
            reply, body = line.exchange([said[:at], said[at:]])
            assert (reply.status, body, len(reply.headers), line.owner.recycled) == (
                200,
                b"hello",
                2,
                1,
            )


@pytest.mark.parametrize("fields", [256, 257])
def test_header_fields_are_bounded(fields):
    """256 fields pass, 257 do not."""
    said = b"HTTP/1.1 204 OK\r\n" + b"X: y\r\n" * fields + b"\r\n"
    with dialogue() as line:
        if fields <= 256:
            assert line.exchange([said])[0].status == 204
        else:
            with pytest.raises(UpstreamMalformed, match="256"):
                line.exchange([said])


@pytest.mark.parametrize("segment_bytes", [1000, 65536, 1 << 20])
@pytest.mark.parametrize(("value_bytes", "passes"), [(65_000, True), (65_600, False)])
def test_head_bytes_are_bounded(segment_bytes, value_bytes, passes):
    """64 KiB of head pass with any body behind them, more do not, whatever the segments."""
    said = (
        b"HTTP/1.1 200 OK\r\nX: %s\r\nContent-Length: 90000\r\n\r\n" % (b"y" * value_bytes)
        + b"z" * 90_000
    )
    segments = [said[at : at + segment_bytes] for at in range(0, len(said), segment_bytes)]
    with dialogue() as line:
        if passes:
            assert len(line.exchange(segments)[1]) == 90_000
        else:
            with pytest.raises(UpstreamMalformed):
                line.exchange(segments)


@pytest.mark.parametrize("size", [0, 10, 32 * 1024, 32 * 1024 + 1, 1_000_000])
def test_request_goes_out_as_given(size):
    """Small or large, in one piece or several, the bytes on the wire are head and body in order."""
    body = bytes(range(256)) * (size // 256 + 1)
    pieces = [
        memoryview(body)[: size // 3],
        body[size // 3 : size // 2],
        memoryview(body)[size // 2 : size],
    ]
    with dialogue() as line:
        sending = line.connection.exchange(
            b"HEAD\r\n\r\n", pieces, FOREVER, method="POST", sent_s=0.0
        )
        sending.send(None)
        assert line.transport.written == b"HEAD\r\n\r\n" + body[:size]
        sending.close()
        assert line.transport.is_aborted


@pytest.mark.parametrize(("unsent_bytes", "is_kept"), [(0, True), (1, False)])
def test_a_connection_that_still_holds_some_of_its_request_is_not_kept(unsent_bytes, is_kept):
    """The upstream answered before it had read all: what is left would stand before the next
    request.
    """
    with dialogue() as line:
        line.transport.unsent_bytes = unsent_bytes
        line.exchange([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])

        assert (is_kept, not is_kept) == (bool(line.owner.recycled), line.transport.is_aborted)


def test_framing_is_bounded_only_where_it_brings_nothing():
    """A long stream of one-byte chunks, each cut from its byte, is mostly framing and passes."""
    count = 20_000
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with dialogue() as line:
        _, body = line.exchange([head, *[b"0001;x\r\n", b"y", b"\r\n"] * count, b"0\r\n\r\n"])

        assert b"y" * count == body


FIELD = b"X-Long: %b\r\n" % (b"y" * 10_000)


@pytest.mark.parametrize("fields", [1, 3])
def test_a_long_head_has_memory_for_as_long_as_its_response_is_at_hand(fields):
    """A short one is not counted. What becomes of its connection meanwhile does not matter."""
    share = MemoryBudget(1 << 20).share("heads", keeps=1.0)
    with dialogue() as line:
        line.owner.head_memory = share
        said = [b"HTTP/1.1 200 OK\r\n", *[FIELD] * fields, b"Content-Length: 0\r\n\r\n"]
        reply, _ = line.exchange(said)
        held, recycled = share.used_bytes, line.owner.recycled
        del reply

    assert (fields == 3, 1, 0) == (held > 17_000, recycled, share.used_bytes)


def test_a_head_without_memory_is_refused():
    """Before all of it is here; a shorter one was not asked for any."""
    share = MemoryBudget(8000).share("heads", keeps=1.0)
    with dialogue() as line:
        line.owner.head_memory = share
        with pytest.raises(UpstreamMalformed, match="memory_bytes"):
            line.exchange([b"HTTP/1.1 200 OK\r\n", FIELD, FIELD[:-1], FIELD])

    assert 0 == share.used_bytes

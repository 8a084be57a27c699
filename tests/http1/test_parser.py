"""The states of the parser, as the table at the head of its module has them. No socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sidecar.http1.parser import (
    BODY,
    CLEAN,
    HEAD,
    HEAD_ONLY,
    LAST_BODY,
    SPENT,
    ParserState,
    ResponseParser,
)
from sidecar.http1.response import UpstreamResponse

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Source:
    def abort(self) -> None: ...

    head_memory = None

    def expect_body(self) -> None: ...

    def drained(self) -> None: ...


class Parsing:
    """A parser with the response that it fills."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_head_request: bool = False) -> None:
        self.parser = ResponseParser()
        self.response = UpstreamResponse(_Source(), loop)
        self.parser.begin(self.response, is_head_request=is_head_request)

    def state_after(self, *segments: bytes) -> ParserState:
        for segment in segments:
            self.parser.receive(segment)
        return self.parser.state


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("said", "state", "body"),
    [
        (b"", HEAD, None),
        (b"HTTP/1.1 200 OK\r\nContent-", HEAD, None),
        (INTERIM, HEAD, None),
        (INTERIM + OK, BODY, None),
        (OK + b"ab", BODY, None),
        (OLD + b"ab", LAST_BODY, None),
        (OK + b"abcd", CLEAN, b"abcd"),
        (CHUNKED + b"4\r\nabcd\r\n0\r\nTrailer: t\r\n\r\n", CLEAN, b"abcd"),
        (OLD + b"abcd", SPENT, b"abcd"),
        (CLOSING + b"abcd", SPENT, b"abcd"),
        (OK + b"abcd" + OK, SPENT, b"abcd"),
        (OK + b"abcd" + OK + b"efgh", SPENT, b"abcd"),
        (OK + b"abcd\0", SPENT, b"abcd"),
    ],
)
def test_a_response_leads_from_state_to_state(loop, said, state, body):
    """In one segment, and byte by byte until it is complete."""
    one, many = Parsing(loop), Parsing(loop)

    assert state is one.state_after(said)
    assert (body, None) == (one.response.read_nowait(), one.parser.complaint)
    for byte in said:
        if many.response.is_complete:
            break
        many.state_after(bytes([byte]))
    assert body == many.response.read_nowait()


@pytest.mark.parametrize(
    ("said", "state"),
    [(INTERIM, HEAD_ONLY), (OK, SPENT), (INTERIM + OK, SPENT), (OK + b"abcd", SPENT)],
)
def test_a_head_request_has_no_body(loop, said, state):
    """Whatever length its response announces; its connection is not used again."""
    parsing = Parsing(loop, is_head_request=True)

    assert state is parsing.state_after(said)
    assert (b"" if state is SPENT else None) == parsing.response.read_nowait()


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (b"\0", "the response is not HTTP"),
        (OK + b"ab", None),
        (CHUNKED + b"zz\r\n", "the response is not HTTP"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "status 101"),
        (b"HTTP/1.1 101 Switching\r\nContent-Length: 0\r\n\r\n", "status 101"),
        (b"HTTP/1.1 099 Odd\r\n\r\n", "unexpected status 99"),
        (b"HTTP/1.1 000 Odd\r\n\r\n", "unexpected status 0"),
        (b"HTTP/1.1 599 Last\r\n\r\n", None),
        (b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", "unexpected status 600"),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", "unexpected status 999"),
        (INTERIM * 2000, "bytes of head or framing"),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "other than chunked"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            "other than chunked",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 257 + b"\r\n", "more than 256 header fields"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 65536, "bytes of head or framing"),
        (b"HTTP/1.1 200 OK\r\nA: %b\r\n\r\n" % (b"b" * 65536), "bytes of head or framing"),
    ],
)
def test_what_it_refuses(loop, said, complaint):
    """The complaint says why; the connection decides what comes of it."""
    parsing = Parsing(loop)
    parsing.state_after(said)

    assert (complaint or "") in (parsing.parser.complaint or "")
    assert (complaint is None) == (parsing.parser.complaint is None)


def test_an_interim_response_has_no_body(loop):
    """Llhttp gives it none; were that to change, its bytes would count as the real one's."""
    parsing = Parsing(loop)
    parsing.parser.on_body(b"x")

    assert ("an interim response with a body", 0) == (
        parsing.parser.complaint,
        parsing.response.buffered_bytes,
    )


def test_framing_without_body_is_bounded(loop):
    """Chunk extensions that never end are refused; body bytes between them begin the count anew."""
    endless, lively = Parsing(loop), Parsing(loop)
    extension = b"1;" + b"x" * 40_000
    endless.state_after(CHUNKED, extension, b"x" * 40_000)
    lively.state_after(CHUNKED, extension, b"\r\na\r\n", extension, b"\r\nb\r\n")

    assert "bytes of head or framing" in (endless.parser.complaint or "")
    assert (None, 2) == (lively.parser.complaint, lively.response.buffered_bytes)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"Keep-Alive: timeout=5, max=100", 5),
        (b"keep-alive: max=100,timeout=7", 7),
        (b"Keep-Alive: max=100", None),
        (b"Keep-Alive: timeout=soon", None),
        (b"X-Alivekeep: timeout=5", None),
    ],
)
def test_the_upstream_may_say_how_long_it_keeps_a_connection(loop, field, expected):
    """In the field that nginx, Apache and others send."""
    parsing = Parsing(loop)
    parsing.state_after(b"HTTP/1.1 204 No\r\n%b\r\n\r\n" % field)

    assert expected == parsing.response.keep_alive_s


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nX-Transfer-Coding: none\r\n\r\n", True),
        (OK, False),
        (CHUNKED, False),
    ],
)
def test_a_body_without_framing_ends_with_its_connection(loop, head, expected):
    """And no other one does."""
    parsing = Parsing(loop)
    parsing.state_after(head)

    assert expected == parsing.response.ends_with_connection


def test_a_response_that_was_let_go_is_not_filled(loop):
    """What llhttp still has to say about it is lost."""
    parsing = Parsing(loop)
    parsing.state_after(OK)
    parsing.parser.end()
    parsing.parser.on_headers_complete()
    parsing.parser.on_body(b"late")
    parsing.parser.on_message_complete()
    parsing.parser.close()

    assert (0, False) == (parsing.response.buffered_bytes, parsing.response.is_complete)


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\n", CHUNKED + b"1\r\nx\r\n0\r\n"])
def test_fields_without_end_are_not_kept(loop, part):
    """Of a head 256 are, of trailers none: 13,000 in 64 KiB would take 2 MiB."""
    parsing = Parsing(loop)
    parsing.parser.receive(part + b"a: b\r\n" * 5000)

    # _fields: what it would keep is nowhere else to be seen
    assert len(parsing.parser._fields) == (256 if parsing.response.status == 0 else 0)
    assert (parsing.parser.complaint is None) is (parsing.response.status == 200)

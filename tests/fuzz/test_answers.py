"""Our reading of HTTP/1.1 answers, beside h11's: what both take, both take for the same."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import h11
from hypothesis import strategies as st

from sidecar.http1.parser import CLEAN, SPENT, ResponseParser
from sidecar.http1.response import UpstreamResponse
from tests.corpus.cases import cut, read_answers, written
from tests.fuzz.properties import PLACES, damaged, holds_for

ANSWERS = [
    raw
    for case in read_answers()
    if len(raw := b"".join(map(written, case.say)).replace(b"<read>", b"")) < 1000
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b";", b"0\r\n\r\n", b"5\r\nhello\r\n", b"Content-Length: 3\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"Connection: close\r\n"),
    *(b"204", b"304", b"101", b"1.0", b"X: y\r\n", b"\x80", b"\xff", b", chunked", b"f", b"+", b"-", b"0x"),
]  # fmt: skip


class Source:
    """A connection that does nothing."""

    head_memory = None

    def abort(self) -> None: ...

    def expect_body(self) -> None: ...

    def drained(self) -> None: ...


class Read(NamedTuple):
    """What a reader took for an answer."""

    status: int
    body: bytes
    is_complete: bool
    is_refused: bool


LOOP = asyncio.new_event_loop()
LOOP.close()  # it is only looked at


def by_ours(pieces: list[bytes], *, is_head: bool) -> Read:
    """As the sidecar reads it, the connection's end not counted."""
    parser, response = ResponseParser(), UpstreamResponse(Source(), LOOP)
    parser.begin(response, is_head_request=is_head)
    for piece in pieces:
        parser.receive(piece)
        if parser.complaint is not None or parser.state in (CLEAN, SPENT):
            break
    read = Read(
        response.status,
        b"".join(response.pieces),
        response.is_complete,
        parser.complaint is not None,
    )
    parser.close()
    return read


def by_h11(raw: bytes, *, is_head: bool) -> Read:
    """As h11 reads it."""
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    reader.send(
        h11.Request(method="HEAD" if is_head else "GET", target="/", headers=[("Host", "x")])
    )
    reader.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        reader.receive_data(raw)
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return Read(status, body, is_complete=True, is_refused=False)
            elif not isinstance(event, h11.InformationalResponse):
                return Read(status, body, is_complete=False, is_refused=False)
    except h11.RemoteProtocolError:
        return Read(status, body, is_complete=False, is_refused=True)


@holds_for(damaged(ANSWERS, PIECES), st.booleans())
def test_an_answer_that_two_readers_take_is_the_same_answer(raw, is_head):
    """Status, body and end. Either may refuse what the other takes: h11 takes bare LFs and folds,
    llhttp a blank less here and there.
    """
    ours, theirs = by_ours([raw], is_head=is_head), by_h11(raw, is_head=is_head)
    if ours.is_refused or theirs.is_refused or not ours.is_complete or not theirs.is_complete:
        return
    assert ours == theirs


@holds_for(damaged(ANSWERS, PIECES), PLACES, st.booleans())
def test_an_answer_is_the_same_however_it_is_cut(raw, places, is_head):
    """Refused or complete, with the same status and body."""
    whole = by_ours([raw], is_head=is_head)
    pieces = by_ours([piece for piece in cut(raw, places) if piece], is_head=is_head)
    if whole.is_complete or pieces.is_complete:
        assert (whole.is_complete, whole.status, whole.body) == (
            pieces.is_complete,
            pieces.status,
            pieces.body,
        )
    else:
        assert whole.is_refused == pieces.is_refused

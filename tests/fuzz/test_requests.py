"""Requests over real sockets through a whole sidecar, beside h11's reading of the same bytes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h11
import pytest

from tests.corpus.cases import cut, read_requests, written
from tests.corpus.recording import PATHS, Stage, staged
from tests.fuzz.properties import PLACES, damaged, holds_for

REQUESTS = [
    raw
    for case in read_requests()
    if len(raw := written(case.send)) < 1000 and b"Expect" not in raw and case.outcome == "passed"
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"0\r\n\r\n", b"1\r\nx\r\n", b";", b"\r\n\r\nGET /v1/files/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", b", chunked"),
    *(b"Host: localhost\r\n", b"1.0", b"GET", b"/v1/files", b"?", b"%", b"\x80", b"\xff", b"X: y\r\n", b"+", b"-", b"0x"),
]  # fmt: skip
END = b"GET /v1/files/end-of-example HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Message(NamedTuple):
    """What is compared of a request."""

    method: bytes
    target: bytes
    body: bytes


class Running:
    """A sidecar on a loop of its own, which runs while an example does."""

    def __init__(self, path: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._stack = contextlib.AsyncExitStack()
        work = Path(tempfile.mkdtemp())
        self.stage: Stage = self.run(self._stack.enter_async_context(staged(work, path)))

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def close(self) -> None:
        self.run(self._stack.aclose())
        self.loop.close()


running = functools.cache(Running)


@pytest.fixture(autouse=True, scope="module")
def _ended() -> Iterator[None]:
    """End the sidecars with the last property."""
    yield
    end()


def end() -> None:
    """End both sidecars, where they were started."""
    for path in PATHS:
        if running.cache_info().currsize:
            running(path).close()
    running.cache_clear()


async def exchange(stage: Stage, pieces: list[bytes]) -> tuple[bytes, list[Message]]:
    """All that comes back before the app has nothing more to say, and what the upstream heard."""
    stage.upstream.take_received()
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.app.ports.data)
    said = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        with contextlib.suppress(OSError, TimeoutError):
            # An example that waits for more of a body, or of a head, has no end of its own.
            async with asyncio.timeout(0.3):
                while data := await reader.read(65536):
                    said += data
    finally:
        writer.transport.abort()
    await stage.upstream.hang_up()
    return said, [heard for raw in stage.upstream.take_received() if (heard := message_of(raw))]


def message_of(raw: bytes) -> Message | None:
    """A request as the upstream got it: h11 must take what the sidecar writes, and nothing more."""
    found = by_h11(raw)
    assert len(found) == 1, raw
    assert found[0] is not None, raw
    return found[0]


def by_h11(raw: bytes) -> list[Message | None]:
    """Every request that h11 finds in the bytes; None at the end where it refuses the rest."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    found: list[Message | None] = []
    method = target = body = b""
    is_old = False
    try:
        reader.receive_data(raw)
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Request):
                method, target, body = event.method, event.target, b""
                is_old = event.http_version == b"1.0"
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append(Message(method, target, body))
                reader.send(h11.Response(status_code=204, headers=[]))
                reader.send(h11.EndOfMessage())
                if reader.our_state is not h11.DONE or reader.their_state is not h11.DONE:
                    # It keeps no connection of HTTP/1.0, whatever that asks for.
                    return [*found, None] if is_old else found
                reader.start_next_cycle()
            else:
                return found
    except h11.RemoteProtocolError:
        return [*found, None]


def _check(path: str, raw: bytes, places: list[int]) -> None:
    running_there = running(path)
    raw += END
    said, heard = running_there.run(exchange(running_there.stage, cut(raw, places)))
    read = by_h11(raw)
    assert b"500 Internal Server Error" not in said
    # Each that was sent on is one that h11 reads too, in the same order: none was made of a body,
    # none of two, none has another body. What h11 refuses it knows nothing of, and all behind it.
    rest = iter(read)
    for message in heard:
        is_read = any(each is not None and _is_same(message, each) for each in rest)
        assert is_read or None in read, (message, read)


def _is_same(heard: Message, read: Message) -> bool:
    """Whether a request that was sent on is this one: on passthrough paths to the byte; the model of
    a call may be another one.
    """
    target = read.target
    if not target.startswith(b"/"):
        target = b"/" + target.partition(b"//")[2].partition(b"/")[2]
    is_body_same = heard.body == read.body or b'"model"' in heard.body
    return (heard.method, heard.target, is_body_same) == (read.method, target, True)


@holds_for(damaged(REQUESTS, PIECES, at_most=2), PLACES)
def test_what_is_sent_on_is_what_another_reader_reads(raw, places):
    """No request is smuggled, split or joined, wherever the app's segments end."""
    _check("fast", raw, places)


@holds_for(damaged(REQUESTS, PIECES, at_most=2), PLACES, share=0.5)
def test_what_is_sent_on_is_what_another_reader_reads_on_the_plain_path(raw, places):
    """On aiohttp's own loop too."""
    _check("plain", raw, places)

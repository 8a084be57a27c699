"""Long bodies on passthrough paths: sent on while they arrive, at the pace of the slower side, and held
nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.app import App
from sidecar.listener import body_memory
from sidecar.listener.upload import WINDOW_BYTES
from sidecar.runtime.lifecycle import Tasks
from tests.support.in_process import running_app
from tests.support.net import RawReply, closed_port, exchange, raw_request, read_reply
from tests.support.sidecar_process import sidecar_config

MIB = 1 << 20
LIMIT_BYTES = MIB
"""`limits.body_bytes`: what is uploaded is longer."""
PIECE = bytes(range(256)) * 256
PIECES = 512
"""32 MiB: more than all sockets buffer on the way."""
POST = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = POST + b"Content-Length: %d\r\n\r\n" % (PIECES * len(PIECE))
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
TASKS = Tasks()


class Sink:
    """A provider that reads what comes, and answers when a test says."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.wire = hashlib.sha256()
        self.read_bytes = 0
        self.ended: list[str] = []
        self.has_head = asyncio.Event()
        self.has_ended = asyncio.Event()
        self.reads_on = asyncio.Event()
        self.reads_on.set()
        self.answers_after = PIECES * len(PIECE)
        self.answer = OK
        self.resets = False
        self.closes = False
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Sink]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MIB)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                self.has_head.set()
                await self._read_body(reader, writer)
                if self.closes:
                    break
        except asyncio.IncompleteReadError as error:
            self.ended.append("broken" if error.partial else "closed")
        except ConnectionError:
            self.ended.append("broken")
        finally:
            self.has_ended.set()
            writer.close()

    async def _read_body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_answered = False
        while True:
            await self.reads_on.wait()
            piece = await reader.read(64 * 1024)
            if not piece:
                raise asyncio.IncompleteReadError(b"body", None)
            self.wire.update(piece)
            self.read_bytes += len(piece)
            if self.read_bytes >= self.answers_after and not is_answered:
                is_answered = True
                if self.resets:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, linger
                    )
                    writer.transport.abort()
                    raise ConnectionError
                writer.write(self.answer)
            if is_answered and self._is_whole(piece):
                return

    def _is_whole(self, piece: bytes) -> bool:
        if b"chunked" in self.heads[-1]:
            return piece.endswith(b"0\r\n\r\n")
        return self.read_bytes >= int(
            self.heads[-1].lower().partition(b"content-length: ")[2].split()[0]
        )


class Room:
    """A sidecar, and a provider behind its passthrough path."""

    def __init__(self, app: App, sink: Sink) -> None:
        self.app = app
        self.sink = sink
        self.sent_bytes = 0

    async def metrics(self) -> str:
        reply = await exchange(self.app.ports.admin, raw_request("GET", "/metrics"))
        return reply.body.decode()

    def held(self) -> tuple[int, int]:
        """Calls in flight, and bytes of memory that bodies hold."""
        foundation = self.app.foundation
        return foundation.drain.in_flight, foundation.memory.bodies.buffered_bytes

    async def upload(
        self, head: bytes, frame: Callable[[bytes], bytes] = bytes, end: bytes = b""
    ) -> RawReply:
        """Send `PIECES` until an answer comes; return it."""
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.app.ports.data)
            writer.write(head)
            answer = TASKS.spawn(read_reply(reader), name="the answer")
            try:
                with contextlib.suppress(ConnectionError):
                    for _ in range(PIECES):
                        if answer.done():
                            break
                        writer.write(frame(PIECE))
                        await writer.drain()
                        self.sent_bytes += len(PIECE)
                    writer.write(end)
                return await answer
            finally:
                writer.transport.abort()


@contextlib.asynccontextmanager
async def a_room(tmp_path: Path, **overrides: Any) -> AsyncIterator[Room]:
    """Bodies may have 1 MiB."""
    async with Sink().serving() as sink:
        url = f"http://127.0.0.1:{sink.port}"
        config = sidecar_config(url, limits={"body_bytes": LIMIT_BYTES}, **overrides)
        async with running_app(config, tmp_path) as app:
            yield Room(app, sink)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """With the usual timeouts."""
    async with a_room(tmp_path) as made:
        yield made


def chunk(piece: bytes) -> bytes:
    """As an app frames it: with an extension, which stays on this hop."""
    return b"%x;a=b\r\n%b\r\n" % (len(piece), piece)


async def test_an_upload_longer_than_a_body_may_be_arrives_byte_by_byte(room):
    """`limits.body_bytes` is for what is held."""
    reply = await room.upload(LENGTH)

    head, expected = room.sink.heads[0], hashlib.sha256(PIECE * PIECES)
    assert (200, b"{}") == (reply.status, reply.body)
    assert b"Content-Length: %d\r\n" % (PIECES * len(PIECE)) in head
    assert b"ransfer-" not in head
    assert expected.digest() == room.sink.wire.digest()


async def test_an_upload_in_chunks_arrives_in_chunks(room):
    """Without extensions and trailers; its own chunks may be others."""
    room.sink.answers_after = PIECES * len(PIECE)
    reply = await room.upload(CHUNKED, chunk, b"0\r\nx-trailer: 1\r\n\r\n")

    assert 200 == reply.status
    assert b"Transfer-Encoding: chunked\r\n" in room.sink.heads[0]
    assert b"ontent-Length" not in room.sink.heads[0]


async def test_a_provider_that_reads_slowly_slows_the_app_down(room):
    """Nothing piles up between the two."""
    room.sink.reads_on.clear()
    upload = TASKS.spawn(room.upload(LENGTH), name="an upload")
    await room.sink.has_head.wait()
    sent = -1
    while sent != room.sent_bytes:
        sent = room.sent_bytes
        await asyncio.sleep(0.3)  # sleep: that nothing moves any more is seen over time
    assert sent < PIECES * len(PIECE) * 3 // 4
    assert (1, WINDOW_BYTES) == room.held()
    room.sink.reads_on.set()
    reply = await upload

    assert 200 == reply.status
    assert (0, 0) == room.held()


async def test_an_app_that_leaves_inside_its_upload_breaks_it_at_the_provider(room):
    """A fragment never looks like the whole; the permit is free again."""
    _, writer = await asyncio.open_connection("127.0.0.1", room.app.ports.data)
    writer.write(CHUNKED + chunk(PIECE) + chunk(PIECE))
    await room.sink.has_head.wait()
    writer.transport.abort()
    await asyncio.wait_for(room.sink.has_ended.wait(), 10)

    assert ["broken"] == room.sink.ended
    assert 'outcome="cancelled"' in await room.metrics()
    assert (0, 0) == room.held()


@pytest.mark.parametrize("status", [413, 401])
async def test_a_provider_that_answers_before_the_end_is_heard(room, status):
    """The rest of the upload is not read, and neither connection is used again."""
    room.sink.answers_after = 4 * len(PIECE)
    body = b'{"error": {"message": "no"}}'
    room.sink.answer = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
    reply = await room.upload(LENGTH)

    assert (status, body, "close") == (reply.status, reply.body, reply.header("connection"))
    assert reply.header("x-plano-error") is None
    assert ("1", 1) == (reply.header("x-plano-attempts"), len(room.sink.heads))
    await asyncio.wait_for(room.sink.has_ended.wait(), 10)


async def test_a_provider_that_resets_gets_no_second_try(room):
    """What has left cannot be sent again."""
    room.sink.answers_after, room.sink.resets = 4 * len(PIECE), True
    reply = await room.upload(LENGTH)

    assert (503, "upstream_connect_failed", 1) == (
        reply.status,
        reply.header("x-plano-error"),
        len(room.sink.heads),
    )


async def test_100_continue_is_said_once_the_provider_is_reached(room):
    """And the body goes on then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.app.ports.data)
    body = PIECE * 4
    room.sink.answers_after = len(body)
    writer.write(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
    assert room.sink.has_head.is_set()
    assert b"xpect" not in room.sink.heads[0]
    writer.write(body)
    reply = await read_reply(reader)
    writer.transport.abort()

    assert 200 == reply.status
    assert hashlib.sha256(body).digest() == room.sink.wire.digest()


async def test_no_body_is_asked_for_where_the_provider_cannot_be_reached(tmp_path):
    """An app that waits for 100 has sent nothing in vain."""
    config = sidecar_config(f"http://127.0.0.1:{closed_port()}")
    async with running_app(config, tmp_path) as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close\r\n" in head


async def test_an_app_that_stops_sending_is_let_go_and_one_that_must_wait_is_not(tmp_path):
    """`request_body_s` is for silence: it does not run while the provider does not read."""
    async with a_room(tmp_path, timeouts={"request_body_s": 0.5}) as room:
        room.sink.reads_on.clear()
        upload = TASKS.spawn(room.upload(LENGTH), name="an upload")
        await room.sink.has_head.wait()
        await asyncio.wait({upload}, timeout=1.5)
        assert not upload.done()
        room.sink.reads_on.set()
        assert 200 == (await upload).status

        room.sink.read_bytes = 0
        slow = await exchange(room.app.ports.data, LENGTH + PIECE)
        assert (408, "request_timeout") == (slow.status, slow.header("x-plano-error"))
        await asyncio.wait_for(room.sink.has_ended.wait(), 10)


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_short_body_is_held_and_sent_whole(room, framing):
    """It can be sent again where a kept connection was dead; of chunks the length is told then."""
    body = b"x" * 60_000
    room.sink.answers_after = len(body)
    whole = POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    chunks = CHUNKED + chunk(body[:10]) + chunk(body[10:]) + b"0\r\n\r\n"
    reply = await exchange(room.app.ports.data, whole if framing == "length" else chunks)

    assert 200 == reply.status
    assert b"Content-Length: 60000\r\n" in room.sink.heads[0]
    assert hashlib.sha256(body).digest() == room.sink.wire.digest()


async def test_uploads_follow_each_other_on_kept_connections(room):
    """On both sides, once they were read to their ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.app.ports.data)
    body = PIECE * 4
    for number in range(1, 4):
        room.sink.read_bytes, room.sink.answers_after = 0, len(body)
        writer.write(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        reply = await asyncio.wait_for(read_reply(reader), 10)
        assert (200, number) == (reply.status, len(room.sink.heads))
    assert [] == room.sink.ended
    writer.transport.abort()


async def test_a_connection_that_the_provider_has_closed_is_not_used_for_an_upload(room):
    """It could not be sent again: each is looked at first, however short it was idle."""
    body = PIECE * 4
    room.sink.closes, room.sink.answers_after = True, len(body)
    for number in range(1, 4):
        room.sink.read_bytes = 0
        room.sink.has_ended.clear()
        request = POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        reply = await exchange(room.app.ports.data, request)
        await room.sink.has_ended.wait()
        await asyncio.sleep(0)
        assert (200, number) == (reply.status, len(room.sink.heads))


async def test_an_upload_is_not_sent_again_with_another_key(tmp_path):
    """The refused key is read again from its file, for the next call."""
    key = tmp_path / "key"
    key.write_text("sk-old")
    async with Sink().serving() as sink:
        entry = {
            "model": "openai/*",
            "access_key": f"${{file:{key}}}",
            "base_url": f"http://127.0.0.1:{sink.port}",
        }
        config = sidecar_config("http://127.0.0.1:1", model_aliases={}) | {
            "model_providers": [entry],
            "model_aliases": {},
        }
        async with running_app(config, tmp_path) as app:
            room = Room(app, sink)
            key.write_text("sk-new")
            sink.answers_after = 4 * len(PIECE)
            sink.answer = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}"
            refused = await room.upload(LENGTH)
            assert (401, 1) == (refused.status, len(sink.heads))

            sink.read_bytes, sink.answers_after, sink.answer = 0, PIECES * len(PIECE), OK
            assert 200 == (await room.upload(LENGTH)).status

    assert b"Bearer sk-old" in sink.heads[0]
    assert b"Bearer sk-new" in sink.heads[1]


async def test_uploads_beyond_the_memory_are_refused(tmp_path, monkeypatch):
    """Each takes what it has under way of it."""
    monkeypatch.setattr(body_memory, "WAIT_AT_MOST_S", 0.05)
    async with a_room(tmp_path) as room:
        room.sink.reads_on.clear()
        memory = room.app.foundation.memory.bodies
        memory.use(WINDOW_BYTES)
        upload = TASKS.spawn(room.upload(LENGTH), name="an upload")
        await room.sink.has_head.wait()
        refused = await room.upload(LENGTH)
        assert (503, "overloaded", "close") == (
            refused.status,
            refused.header("x-plano-error"),
            refused.header("connection"),
        )
        room.sink.reads_on.set()
        assert 200 == (await upload).status


async def test_a_chunked_body_takes_its_memory_as_it_comes(tmp_path):
    """Also before it is known to be a short one, which is held; it is given back with the app."""
    async with a_room(tmp_path) as room:
        _, writer = await asyncio.open_connection("127.0.0.1", room.app.ports.data)
        writer.write(CHUNKED)
        for _ in range(10):
            writer.write(b"1000\r\n%b\r\n" % PIECE[:4096])
        while room.held() != (1, 10 * 4096):
            await asyncio.sleep(0)
        writer.close()
        while room.held() != (0, 0):
            await asyncio.sleep(0)
        assert [] == room.sink.heads

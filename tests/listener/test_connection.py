"""Our connection and aiohttp's own do the same; a release of aiohttp that changes what ours stands
on is noticed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from sidecar.domain.errors import BodyTooLarge, ConfigError, HeadersTooLarge, MalformedRequest
from sidecar.listener.body_memory import BodyMemory
from sidecar.listener.body_reader import BodyReader, parse_error_of
from sidecar.listener.connection import missing_names
from sidecar.listener.request import Handler, Request
from sidecar.listener.response_writer import ResponseWriter
from sidecar.listener.server import (
    FAST,
    PLAIN,
    DataServer,
    assert_c_parser,
    bind,
    port_of,
    raise_file_limit,
)
from sidecar.runtime.memory_budget import MemoryBudget, MemoryShare
from sidecar.runtime.write_coalescer import WriteCoalescer
from tests.listener.fakes import kept
from tests.support.net import read_reply

LIMIT_BYTES = 1000
FLOOD_CHUNKS, FLOOD_BYTES = 64, 256 * 1024
POST = b"POST /p HTTP/1.1\r\nHost: a\r\n"


class Echo:
    """A handler that answers with method, target and body, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.cancelled = asyncio.Event()
        self.waiting = asyncio.Event()
        self.reading = asyncio.Event()
        self.left = asyncio.Event()
        self.flooding = asyncio.Event()
        self.most_held = 0
        self.gate = asyncio.Event()
        self.server: DataServer

    async def handle(self, request: Request) -> ResponseWriter:
        down = ResponseWriter(request)
        if request.target == "/wait":
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if request.target == "/gate":
            self.waiting.set()
            await self.gate.wait()
        if request.target == "/flood":
            await self._flood(request, down)
            return down
        self.reading.set()
        try:
            reader = BodyReader(BodyMemory(MemoryBudget(4 * LIMIT_BYTES)), LIMIT_BYTES, 30)
            body = reader.read_nowait(request, b"")
            if body is None:
                body = await reader.read(request)
        except (BodyTooLarge, MalformedRequest) as error:
            down.close_after()
            down.send_whole(error.status, [], b"refused")
            return down
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        self.seen.append((request.method, request.target, body))
        if request.target == "/stream":
            down.start(200, [b"x: y\r\n"], None)
            await down.write(b"one")
            await down.write(b"two")
            down.finish()
        else:
            down.send_whole(200, [b"x: y\r\n"], request.target.encode() + b" " + body)
        return down

    async def _flood(self, request: Request, down: ResponseWriter) -> None:
        down.start(200, [], None)
        try:
            assert request.transport is not None
            for _ in range(FLOOD_CHUNKS):
                self.flooding.set()
                await down.write(b"x" * FLOOD_BYTES)
                self.most_held = max(self.most_held, request.transport.get_write_buffer_size())
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        down.finish()

    def refuse(self, request: Request, error: BaseException | None) -> ResponseWriter:
        down = ResponseWriter(request)
        known = parse_error_of(error)
        down.send_whole(known.status, [], known.code.encode())
        return down


@contextlib.asynccontextmanager
async def _connected(
    *, path: str
) -> AsyncIterator[tuple[Echo, asyncio.StreamReader, asyncio.StreamWriter]]:
    echo = Echo()
    async with _served(echo.handle, path=path, echo=echo) as (reader, writer):
        yield echo, reader, writer


@contextlib.asynccontextmanager
async def _served(
    handler: Handler,
    *,
    path: str,
    echo: Echo | None = None,
    head_memory: MemoryShare | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    echo = echo or Echo()
    server = echo.server = DataServer(
        handler, echo.refuse, kept(), path=path, head_memory=head_memory
    )
    (listening,) = await bind(server, ["127.0.0.1"], 0, "the data port")
    await listening.start_serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listening))
    try:
        async with asyncio.timeout(15):
            yield reader, writer
    finally:
        writer.transport.abort()
        listening.close()
        await server.shutdown(1)


both = pytest.mark.parametrize("path", [FAST, PLAIN])


def test_aiohttp_still_has_what_the_connection_relies_on():
    """Fails when a release takes a name away: `Connection` has to be looked at again then, and
    until that is done the plain path serves.
    """
    assert [] == missing_names()


def test_the_parser_is_the_c_one():
    """The pure Python one is refused at start."""
    assert_c_parser()


@both
async def test_requests_follow_each_other_on_one_connection(path):
    """Keep-alive: with a length, chunked, and without a body."""
    async with _connected(path=path) as (echo, reader, writer):
        for raw, body in (
            (POST + b"Content-Length: 2\r\n\r\nab", b"ab"),
            (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
            (b"GET /p?q HTTP/1.1\r\nHost: a\r\n\r\n", b""),
        ):
            writer.write(raw)
            reply = await read_reply(reader)
            assert 200 == reply.status
            assert reply.body.endswith(b" " + body)

        assert ["/p", "/p", "/p?q"] == [target for _, target, _ in echo.seen]


@both
async def test_pipelined_requests_are_answered_in_order(path):
    """One after the other, each with its own answer."""
    async with _connected(path=path) as (_, reader, writer):
        writer.write(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(5))
        )

        assert [b"/0 ", b"/1 ", b"/2 ", b"/3 ", b"/4 "] == [
            (await read_reply(reader)).body for _ in range(5)
        ]


@both
async def test_a_body_that_comes_in_pieces_is_read_whole(path):
    """Split anywhere."""
    async with _connected(path=path) as (echo, reader, writer):
        for piece in (POST + b"Content-", b"Length: 6\r\n", b"\r\nabc", b"def"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        await read_reply(reader)

        assert [("POST", "/p", b"abcdef")] == echo.seen


@both
@pytest.mark.parametrize(
    "raw",
    [
        POST + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001,
        POST + b"Content-Length: 99999999\r\n\r\nx",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1001 + b"\r\n",
    ],
    ids=["arrived", "announced", "chunked"],
)
async def test_a_body_over_the_limit_ends_the_connection(path, raw):
    """It is answered, and nothing behind it is taken for a request."""
    async with _connected(path=path) as (echo, reader, writer):
        writer.write(raw)
        reply = await read_reply(reader)
        writer.write_eof()

        assert (413, "close") == (reply.status, reply.header("connection"))
        assert b"" == await reader.read()
        assert [] == echo.seen


@both
async def test_100_continue_is_said_before_the_body_is_read(path):
    """Curl waits for it."""
    async with _connected(path=path) as (_, reader, writer):
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ab")

        assert b"/p ab" == (await read_reply(reader)).body


@both
async def test_a_stream_is_chunked_and_the_connection_lives_on(path):
    """HTTP/1.1 knows where it ends."""
    async with _connected(path=path) as (_, reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" * 2)

        assert [b"onetwo", b"onetwo"] == [(await read_reply(reader)).body for _ in range(2)]


@both
async def test_http_10_gets_its_stream_unchunked(path):
    """It ends with the connection."""
    async with _connected(path=path) as (_, reader, writer):
        writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        answer = await reader.read()

        assert answer.endswith(b"\r\n\r\nonetwo")
        assert b"chunked" not in answer


@both
async def test_head_is_answered_without_a_body(path):
    """The length is told, nothing follows."""
    async with _connected(path=path) as (_, reader, writer):
        writer.write(b"HEAD /p HTTP/1.1\r\nHost: a\r\n\r\nGET /q HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")

        assert b"Content-Length: 3\r\n" in head
        assert b"/q " == (await read_reply(reader)).body


@both
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (POST + b"Authorization: sk-secret\x01\r\n\r\n", 400),
        (POST + b"X: " + b"s" * 70_000 + b"\r\n\r\n", 431),
        (POST + b"".join(b"X%d: s\r\n" % number for number in range(200)) + b"\r\n", 431),
    ],
    ids=["garbage", "two lengths", "control character", "long field", "many fields"],
)
async def test_bytes_that_are_no_request_are_refused_without_an_echo(path, raw, status, caplog):
    """The status is ours, the connection ends, and no byte of the request is repeated or logged."""
    with caplog.at_level(logging.DEBUG):
        async with _connected(path=path) as (echo, reader, writer):
            writer.write(raw)
            answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"sk-secret" not in answer
    assert "sk-secret" not in caplog.text
    assert [] == echo.seen


@both
async def test_an_app_that_leaves_cancels_its_handler(path):
    """The only thing that stops a paid generation early."""
    async with _connected(path=path) as (echo, _, writer):
        writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await echo.waiting.wait()
        writer.transport.abort()
        await echo.cancelled.wait()


@both
async def test_answers_of_a_busy_turn_keep_their_order(path):
    """An answer that could wait for the end of its turn is not overtaken by the next one, nor by
    the connection's end.
    """
    coalescer = WriteCoalescer({"one call", "another"})

    async def handle(request: Request) -> ResponseWriter:
        down = ResponseWriter(request, coalescer.write)
        if request.target == "/stream":
            down.start(200, [], None)
            await down.write(b"streamed")
            down.finish()
        else:
            down.send_whole(200, [], request.target.encode())
        return down

    async with _served(handle, path=path) as (reader, writer):
        writer.write(
            b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )

        assert [b"/first", b"streamed", b"/last"] == [
            (await read_reply(reader)).body for _ in range(3)
        ]
        assert b"" == await reader.read()


@both
async def test_an_answer_in_a_busy_turn_arrives_though_the_body_does_not(path):
    """The connection is half closed behind an unread body: the answer is out by then, and so are
    those of other apps.
    """
    coalescer = WriteCoalescer({"one call", "another"})

    async def handle(request: Request) -> ResponseWriter:
        down = ResponseWriter(request, coalescer.write)
        down.send_whole(404, [], request.target.encode())
        return down

    async with _served(handle, path=path) as (reader, writer):
        writer.write(POST + b"Content-Length: 99\r\n\r\nab")

        assert b"/p" == (await read_reply(reader)).body


@both
async def test_an_app_that_leaves_before_its_refusal_is_no_error(path):
    """The answer finds nobody, and the half-close after it neither: the connection's task ends as
    any other.
    """
    tasks: list[asyncio.Task[object]] = []

    async def handle(request: Request) -> ResponseWriter:
        tasks.append(request.task)
        app.close()
        down = ResponseWriter(request)
        down.send_whole(404, [], b"no such path")
        return down

    async with _served(handle, path=path) as (_, writer):
        app = socket.create_connection(writer.get_extra_info("peername"))
        app.sendall(POST + b"Content-Length: 99\r\n\r\nab")
        while not tasks:
            await asyncio.sleep(0)
        await asyncio.wait(tasks)

    assert [None] == [None if task.cancelled() else task.exception() for task in tasks]


@both
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_an_absolute_target_is_served_as_its_path(path, version):
    """RFC 9112, 3.2.2: every server must take it."""
    async with _connected(path=path) as (echo, reader, writer):
        writer.write(b"GET http://a/p?x=%%20 HTTP/%b\r\nHost: a\r\n\r\n" % version)
        await read_reply(reader)

        assert [("GET", "/p?x=%20", b"")] == echo.seen


@both
@pytest.mark.parametrize(("asked", "ends"), [(b"close", True), (b"keep-alive", False)])
async def test_http_10_stays_only_where_it_is_asked_to(path, asked, ends):
    """And is told so."""
    async with _connected(path=path) as (_, reader, writer):
        writer.write(b"GET /p HTTP/1.0\r\nConnection: %b\r\n\r\n" % asked)
        reply = await read_reply(reader)
        if not ends:
            writer.write(b"GET /q HTTP/1.0\r\n\r\n")
            assert b"/q " == (await read_reply(reader)).body

        assert asked.decode() == reply.header("connection")
        assert b"" == await reader.read()


@both
async def test_more_pipelined_requests_than_are_queued_are_all_answered(path):
    """Reading is paused while they wait, and goes on."""
    count = 300
    async with _connected(path=path) as (echo, reader, writer):
        writer.write(
            b"".join(POST + b"Content-Length: 3\r\n\r\n%03d" % number for number in range(count))
        )
        bodies = [(await read_reply(reader)).body for _ in range(count)]

        assert [b"/p %03d" % number for number in range(count)] == bodies
        assert count == len(echo.seen)


@pytest.mark.parametrize("rest", [b"zz\r\n", b"0\r\nno trailer\x01\r\n\r\n", b"2\r\nabXX"])
async def test_a_chunk_that_is_none_is_refused(rest):
    """400, and the connection ends: where the next request would begin is not known.

    aiohttp's own loop (3.14.5) would wait for the rest until the app leaves.
    """
    async with _connected(path=FAST) as (echo, reader, writer):
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await writer.drain()
        await echo.reading.wait()
        writer.write(rest)
        answer = await reader.read()

        assert answer.startswith(b"HTTP/1.1 400 ")
        assert [] == echo.seen


@both
async def test_an_app_that_leaves_inside_its_body_cancels_its_handler(path):
    """Nobody waits for the rest."""
    async with _connected(path=path) as (echo, _, writer):
        writer.write(POST + b"Content-Length: 99\r\n\r\nab")
        await echo.reading.wait()
        writer.transport.abort()
        await echo.left.wait()

        assert [] == echo.seen


@both
async def test_a_slow_reader_slows_the_writer_and_nothing_is_lost(path):
    """Backpressure reaches the handler: once a write has returned, less than one piece is held."""
    async with _connected(path=path) as (echo, reader, writer):
        writer.write(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        await echo.flooding.wait()
        reply = await read_reply(reader)

        assert (FLOOD_CHUNKS * FLOOD_BYTES, True) == (len(reply.body), reply.is_complete)
        assert echo.most_held < FLOOD_BYTES


@both
async def test_an_app_that_sends_on_without_reading_waits_for_its_answers(path):
    """Of whole answers no more is held than of streams: the next request is served once the last
    answer went out.
    """
    count, answered, most_held = 100, 0, 0

    async def handle(request: Request) -> ResponseWriter:
        nonlocal answered, most_held
        down = ResponseWriter(request)
        down.send_whole(200, [], b"x" * FLOOD_BYTES)
        assert request.transport is not None
        answered, most_held = (
            answered + 1,
            max(most_held, request.transport.get_write_buffer_size()),
        )
        return down

    async with _served(handle, path=path) as (reader, writer):
        writer.write(b"GET /p HTTP/1.1\r\nHost: a\r\n\r\n" * count)
        before = -1
        while answered != before:  # until the kernel's buffers are full, too
            before = answered
            await asyncio.sleep(
                0.1
            )  # sleep: that nothing moves any more can only be seen over time
        sizes = {len((await read_reply(reader)).body) for _ in range(count)}

    assert before < count
    assert ({FLOOD_BYTES}, count) == (sizes, answered)
    assert most_held < 2 * FLOOD_BYTES


@both
async def test_an_app_that_leaves_while_its_answer_waits_ends_the_writing(path):
    """The writer is told, by an error or by a cancellation."""
    async with _connected(path=path) as (echo, _, writer):
        writer.write(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        await echo.flooding.wait()
        writer.transport.abort()
        await echo.left.wait()


@both
async def test_idle_connections_end_with_the_server(path):
    """A keep-alive connection holds nothing back."""
    async with _connected(path=path) as (echo, reader, writer):
        writer.write(b"GET /p HTTP/1.1\r\nHost: a\r\n\r\n")
        await read_reply(reader)
        echo.server.pre_shutdown()
        await echo.server.shutdown(20)

        assert b"" == await reader.read()


@both
async def test_a_request_in_progress_is_cancelled_with_the_server(path):
    """Once it has had the time it was given."""
    async with _connected(path=path) as (echo, reader, writer):
        writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await echo.waiting.wait()
        await echo.server.shutdown(0.01)
        await echo.cancelled.wait()

        assert b"" == await reader.read()


@both
async def test_a_request_that_ends_during_shutdown_is_answered(path):
    """And its connection with it."""
    async with _connected(path=path) as (echo, reader, writer):
        writer.write(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        await echo.waiting.wait()
        async with asyncio.TaskGroup() as group:
            echo.server.pre_shutdown()
            group.create_task(echo.server.shutdown(20))
            await asyncio.sleep(0)
            echo.gate.set()
        reply = await read_reply(reader)

        assert (200, b"") == (reply.status, await reader.read())


async def test_one_port_serves_both_families():
    """Port 0 takes a free one, and the second address gets the same."""
    echo = Echo()
    servers = await bind(
        DataServer(echo.handle, echo.refuse, kept()), ["127.0.0.1", "::1"], 0, "the data port"
    )

    assert 1 == len({port_of(server) for server in servers})
    for server in servers:
        server.close()


async def test_an_address_that_cannot_be_had_is_named():
    """Address, port and the system's reason."""
    echo = Echo()
    with pytest.raises(
        ConfigError, match=r"the data port cannot listen on 192\.0\.2\.1 port 4711: "
    ):
        await bind(
            DataServer(echo.handle, echo.refuse, kept()), ["192.0.2.1"], 4711, "the data port"
        )


async def test_an_address_family_that_is_missing_is_left_out():
    """One loopback is enough."""
    echo = Echo()
    servers = await bind(
        DataServer(echo.handle, echo.refuse, kept()), ["127.0.0.1", "192.0.2.1"], 0, "the data port"
    )

    assert 1 == len(servers)
    servers[0].close()


def test_the_file_limit_is_raised_as_far_as_allowed():
    """Each call in flight holds two sockets."""
    assert raise_file_limit(256) >= 256


def test_too_long_and_too_many_are_told_apart_from_nonsense():
    """431 for sizes, 400 for the rest."""
    assert isinstance(parse_error_of(ValueError("Too many headers received")), HeadersTooLarge)
    assert 400 == parse_error_of(None).status


@pytest.mark.parametrize("path", ["fast", "plain"])
async def test_a_head_takes_room_until_it_is_complete(path):
    """It is given back then, whatever becomes of the request."""
    share, echo = MemoryBudget(1 << 20).share("heads", keeps=1.0), Echo()
    async with _served(echo.handle, path=path, echo=echo, head_memory=share) as (reader, writer):
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\nX: ")
        while not share.used_bytes:
            await asyncio.sleep(0)
        writer.write(b"y\r\n\r\n")
        await reader.readuntil(b"/x ")

        assert 0 == share.used_bytes


@pytest.mark.parametrize("path", ["fast", "plain"])
async def test_a_head_without_an_end_is_refused_by_its_length(path):
    """Of lines that are each short enough, and fewer than 128; nothing of it stays."""
    share, echo = MemoryBudget(1 << 20).share("heads", keeps=1.0), Echo()
    async with _served(echo.handle, path=path, echo=echo, head_memory=share) as (reader, writer):
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n")
        writer.writelines([b"x-%d: %b\r\n" % (number, b"y" * 60_000) for number in range(10)])
        with contextlib.suppress(ConnectionError):
            refused = await reader.read()
            assert refused.startswith(b"HTTP/1.1 431 ")
        while share.used_bytes:
            await asyncio.sleep(0)


@pytest.mark.parametrize("path", ["fast", "plain"])
async def test_heads_that_memory_has_no_room_for_are_refused(path):
    """503: others have taken it."""
    share, echo = MemoryBudget(50).share("heads", keeps=1.0), Echo()
    async with _served(echo.handle, path=path, echo=echo, head_memory=share) as (reader, writer):
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 50)
        refused = await reader.read()

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert 0 == share.used_bytes

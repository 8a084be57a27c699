"""Our connection and aiohttp's own do the same; a release of aiohttp that changes what ours stands on is noticed here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp.web_protocol import RequestHandler

from sidecar.domain.call import InboundHeaders
from sidecar.domain.errors import BodyTooLarge, ConfigError, HeadersTooLarge
from sidecar.listener.app_end import AppEnd
from sidecar.listener.connection import RELIED_ON, is_supported
from sidecar.listener.intake import parse_error_of, read_body
from sidecar.listener.request import Request
from sidecar.listener.server import DataServer, assert_c_parser, bind, port_of, raise_file_limit
from tests.support.net import read_reply

LIMIT_BYTES = 1000
POST = b"POST /p HTTP/1.1\r\nHost: a\r\n"


class Echo:
    """A handler that answers with method, target and body, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.cancelled = asyncio.Event()
        self.waiting = asyncio.Event()

    async def handle(self, request: Request) -> AppEnd:
        down = AppEnd(request)
        if request.target == "/wait":
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        try:
            body = await read_body(request, InboundHeaders(), LIMIT_BYTES)
        except BodyTooLarge:
            down.close_after()
            down.send_whole(413, b"", [], b"too large")
            return down
        self.seen.append((request.method, request.target, body))
        if request.target == "/stream":
            down.start(200, b"OK", [b"x: y\r\n"], None)
            await down.write(b"one")
            await down.write(b"two")
            down.finish()
        else:
            down.send_whole(200, b"OK", [b"x: y\r\n"], request.target.encode() + b" " + body)
        return down

    def refuse(self, request: Request, error: BaseException | None) -> AppEnd:
        down = AppEnd(request)
        known = parse_error_of(error)
        down.send_whole(known.status, b"", [], known.code.encode())
        return down


@contextlib.asynccontextmanager
async def _door(*, is_plain: bool) -> AsyncIterator[tuple[Echo, asyncio.StreamReader, asyncio.StreamWriter]]:
    echo = Echo()
    server = DataServer(echo.handle, echo.refuse, is_plain=is_plain)
    (listening,) = await bind(server, ["127.0.0.1"], 0, "the door")
    await listening.start_serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listening))
    async with asyncio.timeout(30):
        yield echo, reader, writer
    writer.transport.abort()
    listening.close()
    await server.shutdown(1)


both = pytest.mark.parametrize("is_plain", [False, True], ids=["ours", "aiohttp's"])


def test_aiohttp_still_has_what_the_connection_stands_on():
    """Fails when a release takes a name away: then `start` has to be looked at again, and until then the plain way serves."""
    assert set() == set(RELIED_ON) - set(dir(RequestHandler))
    assert is_supported()


def test_the_parser_is_the_c_one():
    """The pure Python one is refused at start."""
    assert_c_parser()


@both
async def test_requests_follow_each_other_on_one_connection(is_plain):
    """Keep-alive: with a length, chunked, and without a body."""
    async with _door(is_plain=is_plain) as (echo, reader, writer):
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
async def test_pipelined_requests_are_answered_in_order(is_plain):
    """One after the other, each with its own answer."""
    async with _door(is_plain=is_plain) as (_, reader, writer):
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(5)))

        assert [b"/0 ", b"/1 ", b"/2 ", b"/3 ", b"/4 "] == [(await read_reply(reader)).body for _ in range(5)]


@both
async def test_a_body_that_comes_in_pieces_is_read_whole(is_plain):
    """Split anywhere."""
    async with _door(is_plain=is_plain) as (echo, reader, writer):
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
async def test_a_body_over_the_limit_ends_the_connection(is_plain, raw):
    """It is answered, and nothing behind it is taken for a request."""
    async with _door(is_plain=is_plain) as (echo, reader, writer):
        writer.write(raw)
        reply = await read_reply(reader)
        writer.write_eof()

        assert (413, "close") == (reply.status, reply.header("connection"))
        assert b"" == await reader.read()
        assert [] == echo.seen


@both
async def test_100_continue_is_said_before_the_body_is_read(is_plain):
    """Curl waits for it."""
    async with _door(is_plain=is_plain) as (_, reader, writer):
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ab")

        assert b"/p ab" == (await read_reply(reader)).body


@both
async def test_a_stream_is_chunked_and_the_connection_lives_on(is_plain):
    """HTTP/1.1 knows where it ends."""
    async with _door(is_plain=is_plain) as (_, reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" * 2)

        assert [b"onetwo", b"onetwo"] == [(await read_reply(reader)).body for _ in range(2)]


@both
async def test_http_10_gets_its_stream_unchunked(is_plain):
    """It ends with the connection."""
    async with _door(is_plain=is_plain) as (_, reader, writer):
        writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        answer = await reader.read()

        assert answer.endswith(b"\r\n\r\nonetwo")
        assert b"chunked" not in answer


@both
async def test_head_is_answered_without_a_body(is_plain):
    """The length is told, nothing follows."""
    async with _door(is_plain=is_plain) as (_, reader, writer):
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
async def test_bytes_that_are_no_request_are_refused_without_an_echo(is_plain, raw, status, caplog):
    """The status is ours, the connection ends, and no byte of the request is repeated or logged."""
    with caplog.at_level(logging.DEBUG):
        async with _door(is_plain=is_plain) as (echo, reader, writer):
            writer.write(raw)
            answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"sk-secret" not in answer
    assert "sk-secret" not in caplog.text
    assert [] == echo.seen


@both
async def test_an_app_that_leaves_cancels_its_handler(is_plain):
    """The only thing that stops a paid generation early."""
    async with _door(is_plain=is_plain) as (echo, _, writer):
        writer.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await echo.waiting.wait()
        writer.transport.abort()
        await echo.cancelled.wait()


async def test_one_port_serves_both_families():
    """Port 0 takes a free one, and the second address gets the same."""
    echo = Echo()
    servers = await bind(DataServer(echo.handle, echo.refuse), ["127.0.0.1", "::1"], 0, "the door")

    assert 1 == len({port_of(server) for server in servers})
    for server in servers:
        server.close()


async def test_an_address_that_cannot_be_had_is_named():
    """Address, port and the system's reason."""
    echo = Echo()
    with pytest.raises(ConfigError, match=r"the door cannot listen on 192\.0\.2\.1 port 4711: "):
        await bind(DataServer(echo.handle, echo.refuse), ["192.0.2.1"], 4711, "the door")


async def test_an_address_family_that_is_missing_is_left_out():
    """One loopback is enough."""
    echo = Echo()
    servers = await bind(DataServer(echo.handle, echo.refuse), ["127.0.0.1", "192.0.2.1"], 0, "the door")

    assert 1 == len(servers)
    servers[0].close()


def test_the_file_limit_is_raised_as_far_as_allowed():
    """Each call in flight holds two sockets."""
    assert raise_file_limit(256) >= 256


def test_too_long_and_too_many_are_told_apart_from_nonsense():
    """431 for sizes, 400 for the rest."""
    assert isinstance(parse_error_of(ValueError("Too many headers received")), HeadersTooLarge)
    assert 400 == parse_error_of(None).status

"""Hostile requests: each gets the contract's answer, no provider hears of it, and nothing secret is
logged or echoed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sidecar.app import App
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

SECRET = b"sk-do-not-tell"
GOOD = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'


class Attacked(NamedTuple):
    """A sidecar in this process and the provider behind it."""

    app: App
    provider: ScriptedProvider


@pytest.fixture
async def attacked(either_listener_path: None, tmp_path: Path) -> AsyncIterator[Attacked]:
    """One provider, one sidecar, on either way into aiohttp."""
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        yield Attacked(app, provider)


def a_request(
    *lines: bytes,
    body: bytes = GOOD,
    start: bytes = b"POST /v1/chat/completions HTTP/1.1",
    host: bytes = b"Host: localhost\r\n",
    framing: bytes | None = None,
) -> bytes:
    """A request that would be served but for what a test puts into it. It carries a credential."""
    length = b"Content-Length: %d\r\n" % len(body) if framing is None else framing
    head = b"%b\r\n%bAuthorization: Bearer %b\r\n" % (start, host, SECRET)
    return head + b"".join(line + b"\r\n" for line in lines) + length + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
EMPTY_CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"

INVALID_BODIES = {
    "not JSON": b"model=gpt-4o",
    "truncated": GOOD[:-1],
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets in a field that is not read": b'{"model":"gpt-4o","x":'
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}",
    "200,000 top-level keys": b"{"
    + b",".join(b'"k%d":1' % number for number in range(200_000))
    + b"}",
    "invalid UTF-8 in a field that is read": b'{"model":"gpt-\xff4o","messages":[]}',
    "invalid UTF-8 in a field that is skipped": b'{"model":"gpt-4o","messages":[],"user":"\xff"}',
    "half a UTF-8 character": b'{"model":"gpt-4o","user":"\xe2\x82"}',
    "model twice": b'{"model":"gpt-4o","model":"gpt-4o-mini","messages":[]}',
    "model twice, once escaped": b'{"model":"gpt-4o","mod\\u0065l":"gpt-4o-mini","messages":[]}',
    "stream twice": b'{"model":"gpt-4o","stream":true,"stream":false}',
    "model is a number": b'{"model":4,"messages":[]}',
    "model is an object": b'{"model":{"id":"gpt-4o"},"messages":[]}',
    "stream is a string": b'{"model":"gpt-4o","stream":"true"}',
    "empty": b"",
    "blanks only": b" \r\n\t ",
    "a list": b"[]",
    "null": b"null",
    "NUL between members": b'{"model":"gpt-4o"\x00,"messages":[]}',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
}

MALFORMED = {
    "two Hosts": a_request(b"Host: evil.example"),
    "two equal Hosts": a_request(b"Host: localhost"),
    "length and chunks": a_request(CHUNKED[:-2], body=EMPTY_CHUNKS),
    "chunks and length": a_request(b"Content-Length: 2", body=EMPTY_CHUNKS, framing=CHUNKED),
    "two lengths": a_request(b"Content-Length: 3"),
    "a list of lengths": a_request(framing=b"Content-Length: 62, 62\r\n"),
    "a length with a plus": a_request(framing=b"Content-Length: +62\r\n"),
    "a length with a minus": a_request(framing=b"Content-Length: -1\r\n"),
    "a length in hex": a_request(framing=b"Content-Length: 0x3e\r\n"),
    "an empty length": a_request(framing=b"Content-Length: \r\n"),
    "a length that overflows": a_request(framing=b"Content-Length: 18446744073709551678\r\n"),
    "obs-fold": a_request(b"X-A: a\r\n b"),
    "bare LF": a_request(b"X-A: a\nX-B: b"),
    "bare CR": a_request(b"X-A: a\rX-B: b"),
    "NUL in a value": a_request(b"X-A: a\x00b"),
    "a blank before the colon": a_request(b"X-A : a"),
    "a name that is no token": a_request(b"X(A): a"),
    "no name": a_request(b": a"),
    "a line without a colon": a_request(b"X-A"),
    "chunked twice": a_request(
        body=EMPTY_CHUNKS, framing=b"Transfer-Encoding: chunked, chunked\r\n"
    ),
    "chunked not last": a_request(
        body=EMPTY_CHUNKS, framing=b"Transfer-Encoding: chunked, identity\r\n"
    ),
    "a coding nobody knows": a_request(
        body=EMPTY_CHUNKS, framing=b"Transfer-Encoding: xchunked\r\n"
    ),
    "a chunk size that is no number": a_request(body=b"zz\r\n{}\r\n0\r\n\r\n", framing=CHUNKED),
    "a chunk size with a sign": a_request(body=b"+2\r\n{}\r\n0\r\n\r\n", framing=CHUNKED),
    "a chunk longer than it says": a_request(body=b"2\r\n{}}\r\n0\r\n\r\n", framing=CHUNKED),
    "a request line of two words": a_request(start=b"POST /v1/chat/completions"),
    "a method nobody knows": a_request(start=b"BREW /v1/chat/completions HTTP/1.1"),
    "gzip and chunked on two lines": a_request(
        body=EMPTY_CHUNKS, framing=b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
    ),
    "a version nobody speaks": a_request(start=b"POST /v1/chat/completions HTTP/3.7"),
    "a target with a blank": a_request(start=b"POST /v1/chat completions HTTP/1.1"),
    "no target": a_request(start=b"POST  HTTP/1.1"),
    "no Host": a_request(host=b""),
    "an empty Host": a_request(host=b"Host: \r\n"),
    "a Host with a blank": a_request(host=b"Host: local host\r\n"),
    "a Host with a path": a_request(host=b"Host: localhost/v1\r\n"),
    "a Host with a user": a_request(host=b"Host: user@localhost\r\n"),
    "two Hosts of HTTP/1.0": a_request(
        b"Host: localhost", start=b"POST /v1/chat/completions HTTP/1.0"
    ),
    "an absolute form with a user": a_request(
        start=b"POST http://user@localhost/v1/chat/completions HTTP/1.1"
    ),
    "an absolute form without a host": a_request(
        start=b"POST http:///v1/chat/completions HTTP/1.1"
    ),
    "a target with a fragment": a_request(start=b"POST /v1/chat/completions#a HTTP/1.1"),
    "a target with a backslash": a_request(start=b"POST /v1\\chat/completions HTTP/1.1"),
    "a target with a quote": a_request(start=b'POST /v1/files/"a" HTTP/1.1'),
    "a target beyond ASCII": a_request(start=b"POST /v1/files/\xc3\xbc HTTP/1.1"),
    "a target with half an escape": a_request(start=b"POST /v1/files/%4 HTTP/1.1"),
    "a query with half an escape": a_request(start=b"POST /v1/chat/completions?a=%zz HTTP/1.1"),
    "a query with a fragment": a_request(start=b"POST /v1/chat/completions?a#b HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + SECRET,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SECRET,
}

INVALID_HEADERS = {
    "Connection names the session": a_request(
        b"Connection: x-model-affinity", b"X-Model-Affinity: s1"
    ),
    "Connection names the request id": a_request(
        b"Connection: close, X-Request-Id", b"X-Request-Id: r1"
    ),
    "Connection names the credential": a_request(b"Connection: authorization"),
    "Connection names the trace": a_request(b"Connection: traceparent"),
    "two sessions": a_request(b"X-Model-Affinity: s1", b"X-Model-Affinity: s2"),
    "a session that is not UTF-8": a_request(b"X-Model-Affinity: \xff\xfe"),
    "a session of 5,000 bytes": a_request(b"X-Model-Affinity: " + b"s" * 5000),
}

OTHERS = {
    "a header of 100 KB": (431, "headers_too_large", a_request(b"X-A: " + b"a" * 100_000)),
    "a name of 100 KB": (431, "headers_too_large", a_request(b"a" * 100_000 + b": a")),
    "a target of 100 KB": (
        431,
        "headers_too_large",
        a_request(start=b"POST /" + b"a" * 100_000 + b" HTTP/1.1"),
    ),
    "200 headers": (
        431,
        "headers_too_large",
        a_request(*(b"X-%d: a" % number for number in range(200))),
    ),
    "headers of 100 KB together": (
        431,
        "headers_too_large",
        a_request(*(b"X-%d: %b" % (number, b"a" * 2000) for number in range(50))),
    ),
    "33 MB by length": (
        413,
        "body_too_large",
        a_request(body=b"", framing=b"Content-Length: 34603008\r\n"),
    ),
    "gzip, chunked": (
        415,
        "unsupported_encoding",
        a_request(body=EMPTY_CHUNKS, framing=b"Transfer-Encoding: gzip, chunked\r\n"),
    ),
    "gzip that is none": (
        400,
        "invalid_body",
        a_request(b"Content-Encoding: gzip", body=EMPTY_CHUNKS, framing=CHUNKED),
    ),
    "zstd that is none": (400, "invalid_body", a_request(b"Content-Encoding: zstd")),
    "a brotli body": (415, "unsupported_encoding", a_request(b"Content-Encoding: br")),
    "a body compressed twice": (
        415,
        "unsupported_encoding",
        a_request(b"Content-Encoding: gzip, br"),
    ),
    "CONNECT": (
        405,
        "method_not_allowed",
        a_request(start=b"CONNECT api.openai.com:443 HTTP/1.1", body=b""),
    ),
    "TRACE": (
        405,
        "method_not_allowed",
        a_request(start=b"TRACE /v1/chat/completions HTTP/1.1", body=b""),
    ),
    "TRACE of a prefix": (
        405,
        "method_not_allowed",
        a_request(start=b"TRACE /v1/files HTTP/1.1", body=b""),
    ),
    "dots that climb": (
        404,
        "path_not_found",
        a_request(start=b"POST /v1/../v1/chat/completions HTTP/1.1"),
    ),
    "an escaped path": (
        404,
        "path_not_found",
        a_request(start=b"POST /v1/chat%2Fcompletions HTTP/1.1"),
    ),
    "another Host": (421, "host_refused", a_request(host=b"Host: evil.example\r\n")),
    "another Host of HTTP/1.0": (
        421,
        "host_refused",
        a_request(start=b"POST /v1/chat/completions HTTP/1.0", host=b"Host: evil.example\r\n"),
    ),
    "an absolute form of another host": (
        421,
        "host_refused",
        a_request(start=b"POST http://evil.example/v1/chat/completions HTTP/1.1"),
    ),
    "a page of another site": (403, "origin_refused", a_request(b"Sec-Fetch-Site: cross-site")),
    "WebSocket": (
        426,
        "upgrade_not_served",
        a_request(
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            start=b"GET /v1/responses HTTP/1.1",
            body=b"",
            framing=b"",
        ),
    ),
}


async def assert_refused(
    attacked: Attacked, request: bytes, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> RawReply:
    """The answer, complete JSON in the caller's dialect; nothing upstream; no secret in answer or
    log.
    """
    with caplog.at_level(logging.DEBUG):
        reply = await exchange(attacked.app.ports.data, request)
    assert (reply.status, reply.header("x-plano-error"), reply.is_complete) == (status, code, True)
    assert json.loads(reply.body)["error"]["message"]
    assert reply.header("x-request-id")
    assert attacked.provider.seen == 0
    assert SECRET not in reply.body
    assert SECRET.decode() not in caplog.text
    assert "Traceback" not in caplog.text
    return reply


@pytest.mark.parametrize("case", INVALID_BODIES)
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_malformed_bodies_are_refused(attacked, caplog, case, framing):
    """400, whichever way it came."""
    body = INVALID_BODIES[case]
    if framing == "length":
        request = a_request(body=body)
    else:
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        request = a_request(body=chunks, framing=CHUNKED)
    await assert_refused(attacked, request, 400, "invalid_body", caplog)


@pytest.mark.parametrize("case", MALFORMED)
async def test_what_is_not_http_is_refused(attacked, caplog, case):
    """400, and the connection ends: what follows on it is anybody's guess."""
    reply = await assert_refused(attacked, MALFORMED[case], 400, "invalid_request", caplog)

    assert "close" == reply.header("connection")


@pytest.mark.parametrize("case", INVALID_HEADERS)
async def test_contradictory_headers_are_refused(attacked, caplog, case):
    """400 for headers of ours that are ambiguous or aimed at by Connection."""
    await assert_refused(attacked, INVALID_HEADERS[case], 400, "invalid_header", caplog)


@pytest.mark.parametrize("case", OTHERS)
async def test_other_hostile_requests_are_refused(attacked, caplog, case):
    """Each with its own status and code."""
    status, code, request = OTHERS[case]
    await assert_refused(attacked, request, status, code, caplog)


async def test_a_chunked_body_over_the_limit_is_refused(attacked, caplog):
    """Read up to the limit and no further; the refusal arrives although the app is still
    sending.
    """
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    request = a_request(body=piece * 33 + b"0\r\n\r\n", framing=CHUNKED)
    await assert_refused(attacked, request, 413, "body_too_large", caplog)


@pytest.mark.parametrize("first", ["invalid_body", "invalid_request", "headers_too_large"])
async def test_a_pipelined_request_after_an_error_is_never_executed(attacked, first):
    """After bytes that were no request the connection ends; after a clean refusal the next one is a
    request again.
    """
    bad = {
        "invalid_body": a_request(body=b"{"),
        "invalid_request": a_request(b"X-A: a\x00b"),
        "headers_too_large": a_request(b"X-A: " + b"a" * 100_000),
    }[first]
    reader, writer = await asyncio.open_connection("127.0.0.1", attacked.app.ports.data)
    writer.write(bad + a_request(b"X-Request-Id: second"))
    reply = await read_reply(reader)
    assert first == reply.header("x-plano-error")
    if first == "invalid_body":
        assert (200, 1) == ((await read_reply(reader)).status, attacked.provider.seen)
    else:
        assert (b"", 0) == (await _read_to_end(reader), attacked.provider.seen)
    writer.close()


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


SERVED = {
    "HTTP/1.0": a_request(start=b"POST /v1/chat/completions HTTP/1.0"),
    "HTTP/1.0 without a Host": a_request(start=b"POST /v1/chat/completions HTTP/1.0", host=b""),
    "an absolute form": a_request(start=b"POST http://localhost/v1/chat/completions HTTP/1.1"),
    "an absolute form beside another Host": a_request(
        start=b"POST http://127.0.0.1:1/v1/chat/completions HTTP/1.1",
        host=b"Host: evil.example\r\n",
    ),
    "h2c": a_request(
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"
    ),
    "an upgrade nobody knows": a_request(b"Connection: Upgrade", b"Upgrade: carrier-pigeon"),
    "chunks": a_request(body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD), framing=CHUNKED),
    "chunks with an extension": a_request(
        body=b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD), framing=CHUNKED
    ),
    "chunks with a trailer": a_request(
        body=b"%x\r\n%b\r\n0\r\nX-Model-Affinity: s9\r\n\r\n" % (len(GOOD), GOOD), framing=CHUNKED
    ),
    "a big number": a_request(body=GOOD[:-1] + b',"x":123456789012345678901234567890}'),
}


@pytest.mark.parametrize("case", SERVED)
async def test_odd_but_valid_requests_are_served(attacked, case):
    """What the standard allows is served, and goes to the configured provider only."""
    reply = await exchange(attacked.app.ports.data, SERVED[case])

    (sent,) = attacked.provider.requests
    assert (200, True) == (reply.status, reply.is_complete)
    assert attacked.provider.url.endswith(sent.header("host"))
    names = {name.lower() for name, _ in sent.headers}
    assert names.isdisjoint(
        {b"connection", b"upgrade", b"http2-settings", b"x-model-affinity", b"transfer-encoding"}
    )


async def test_expect_gets_a_100(attacked):
    """The app that asks before it sends is told to go on; the provider is not asked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", attacked.app.ports.data)
    writer.write(
        a_request(
            b"Expect: 100-continue",
            b"Connection: close",
            body=b"",
            framing=b"Content-Length: %d\r\n" % len(GOOD),
        )
    )
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readexactly(25)
    writer.write(GOOD)
    reply = await read_reply(reader)
    writer.close()

    assert (200, None) == (reply.status, attacked.provider.requests[0].header("expect"))


async def test_expect_of_too_much_is_refused_at_once(attacked):
    """413 instead of 100, before a byte of the body was sent."""
    request = a_request(b"Expect: 100-continue", body=b"", framing=b"Content-Length: 34603008\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", attacked.app.ports.data)
    writer.write(request)
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


@pytest.mark.parametrize(
    "twin",
    [b"X_Model_Affinity: s1", b"X_Request_Id: r1", b"X-Request_Id: r1", b"X_Plano_Timeout_Ms: 1"],
)
async def test_underscore_twins_of_our_headers_are_dropped(attacked, twin):
    """A CGI-like reader behind us would take them for the real ones; to us they mean nothing."""
    reply = await exchange(attacked.app.ports.data, a_request(twin, b"Connection: close"))

    (sent,) = attacked.provider.requests
    assert (200, "requested") == (reply.status, reply.header("x-plano-source"))
    assert "r1" != sent.header("x-request-id")
    assert not any(b"_" in name for name, _ in sent.headers)


SLOW = {
    "a head": (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + SECRET,
        "head",
    ),
    "a head that goes on": (b"POST /v1/chat/completions HTTP/1.1\r\nX-A: ", "head"),
    "a body by length": (a_request(body=b"{", framing=b"Content-Length: 100\r\n"), "body"),
    "a body in chunks": (a_request(body=b"1\r\n{\r\n", framing=CHUNKED), "body"),
    "a body that never begins": (a_request(body=b"", framing=b"Content-Length: 100\r\n"), "body"),
}


@pytest.mark.usefixtures("either_listener_path")
@pytest.mark.parametrize("case", SLOW)
async def test_slow_heads_and_bodies_time_out(tmp_path, caplog, case):
    """408 and the end of the connection, however steadily the bytes dribble in."""
    begun, part = SLOW[case]
    async with ScriptedProvider() as provider:
        config = {
            **sidecar_config(provider.url),
            "timeouts": {"request_header_s": 0.2, "request_body_s": 0.2},
        }
        async with running_app(config, tmp_path) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
            writer.write(begun)
            async with asyncio.TaskGroup() as group:
                dribble = group.create_task(
                    _dribble(writer, b"1\r\n \r\n" if "chunks" in case else b"x")
                )
                reply = await read_reply(reader)
                dribble.cancel()
            with contextlib.suppress(
                OSError
            ):  # it is closed already where it was late with its head
                writer.write_eof()
            rest = await _read_to_end(reader)
            writer.transport.abort()

            assert (408, "request_timeout") == (reply.status, reply.header("x-plano-error"))
            assert "close" == reply.header("connection")
            assert part in reply.json()["error"]["message"]
            assert (b"", 0) == (rest, provider.seen)
            assert SECRET.decode() not in caplog.text + reply.body.decode()


async def _dribble(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """A piece every 50 ms until the other end has had enough."""
    try:
        while True:
            await asyncio.sleep(0.05)  # sleep: this is an app that is slow
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        return


@pytest.mark.usefixtures("either_listener_path")
async def test_a_second_head_may_be_late_too_and_idleness_is_not(tmp_path):
    """Between two requests there is no head to wait for; from its first byte on there is."""
    async with ScriptedProvider() as provider:
        config = {**sidecar_config(provider.url), "timeouts": {"request_header_s": 0.1}}
        async with running_app(config, tmp_path) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
            statuses = []
            for sent in (a_request(), a_request(), b"POST /v1"):
                await asyncio.sleep(0.2)  # sleep: longer than a head may take
                writer.write(sent)
                statuses.append((await read_reply(reader)).status)
            writer.close()

    assert [200, 200, 408] == statuses


@pytest.mark.usefixtures("either_listener_path")
@pytest.mark.parametrize(
    "framing", [b"Content-Length: %d\r\n" % len(GOOD), CHUNKED], ids=["length", "chunks"]
)
async def test_the_end_of_a_body_is_no_beginning_of_a_head(tmp_path, framing):
    """An app that sends head and body apart, as most do, keeps its connection while it is idle."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD) if framing == CHUNKED else GOOD
    async with ScriptedProvider() as provider:
        config = {**sidecar_config(provider.url), "timeouts": {"request_header_s": 0.1}}
        async with running_app(config, tmp_path) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
            statuses = []
            for _ in range(2):
                writer.write(a_request(body=b"", framing=framing))
                await asyncio.sleep(0.05)  # sleep: the head is to come by itself
                writer.write(body)
                statuses.append((await read_reply(reader)).status)
                await asyncio.sleep(0.2)  # sleep: longer than a head may take
            writer.close()

    assert [200, 200] == statuses

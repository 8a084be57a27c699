"""Bodies and answers keep their bytes: in a request only the model's name changes, in an answer
nothing does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
STREAMS = {
    CHAT: {"model": "gpt-4o", "stream": True, "messages": []},
    MESSAGES: {"model": "claude-demo", "stream": True, "max_tokens": 9, "messages": []},
    RESPONSES: {"model": "gpt-4o", "stream": True, "input": "x"},
}

# What is sent, and what must arrive; MODEL is the name as the app writes it, and then as the
# provider knows it.
BODIES = {
    "unknown fields": b'{"model":"MODEL","x_unknown":{"deep":[1,{"a":null}]},"messages":[]}',
    "odd spacing": b' \r\n\t{ "messages" : [ ] ,\r\n\t"model"\t:\n "MODEL" , "n":1 }\r\n \t',
    "big and odd numbers": b'{"seed":123456789012345678901234567890,"t":1.0E+2,"p":-0.0,"q":1e-400,"model":"MODEL"}',
    "escapes": rb'{"a":"\u00e9\/\b\f\ud83d\ude00\u0000","model":"MODEL","\u0062":"\\\""}',
    "unicode": '{"\u00fc":"\u65e5\u672c \U0001f600 \u2028","model":"MODEL","z":"\u00e9"}'.encode(),
    "half an emoji": rb'{"messages":[{"content":"\ud83d"}],"model":"MODEL"}',
    "unread keys twice": b'{"a":1,"a":2,"model":"MODEL","a":3}',
    "braces and quotes in strings": rb'{"a":"{\"model\":\"no\"}","model":"MODEL","b":"]}"}',
    "a model of its own inside": b'{"metadata":{"model":"inner"},"model":"MODEL","tools":[{"model":"inner"}]}',
    "an escaped key": rb'{"\u006dodel":"MODEL","messages":[]}',
    "a long one": b'{"messages":[{"content":"' + b"x" * 300_000 + b'"}],"model":"MODEL","tail":[]}',
}


async def _arrived(work: Path, body: bytes, *, chunk_bytes: int | None = None) -> bytes:
    """What the provider received for a body that the app sent, by its length or in chunks."""
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), work) as app,
    ):
        if chunk_bytes is None:
            request = raw_request("POST", CHAT, body)
        else:
            pieces = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
            request = raw_request("POST", CHAT, headers={"transfer-encoding": "chunked"})
            request += (
                b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            )
        reply = await exchange(app.ports.data, request)
        assert reply.header("x-plano-error") is None, reply
        return provider.requests[0].body


@pytest.mark.parametrize("chunk_bytes", [None, 7], ids=["by length", "in chunks"])
@pytest.mark.parametrize("what", BODIES)
async def test_only_the_models_name_changes(tmp_path, what, chunk_bytes):
    """The full name becomes the bare one; every other byte is the app's."""
    if chunk_bytes and len(BODIES[what]) > 10_000:
        chunk_bytes = 4096
    sent, expected = (
        BODIES[what].replace(b"MODEL", name) for name in (b"openai/gpt-4o", b"gpt-4o")
    )

    assert expected == await _arrived(tmp_path, sent, chunk_bytes=chunk_bytes)


@pytest.mark.parametrize("what", BODIES)
async def test_a_bare_name_changes_nothing(tmp_path, what):
    """The body goes on as it is."""
    body = BODIES[what].replace(b"MODEL", b"gpt-4o")

    assert body == await _arrived(tmp_path, body)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"model":"fast","n":1}', b'{"model":"gpt-4o-mini","n":1}'),
        (b'{"model":"gpt-4o-2024-08-06"}', b'{"model":"gpt-4o"}'),
        (rb'{"model":"openai\/gpt-4o"}', b'{"model":"gpt-4o"}'),
        (b'{"model":null,"n":1}', b'{"model":"gpt-4o-mini","n":1}'),
        (b'{"n":1,"model":""}', b'{"n":1,"model":"gpt-4o-mini"}'),
        (b'{"model" : "none"}', b'{"model" : "gpt-4o-mini"}'),
        (b' { "n" : 1 } ', b' {"model":"gpt-4o-mini", "n" : 1 } '),
        (b"{}", b'{"model":"gpt-4o-mini"}'),
        (b"{ }", b'{"model":"gpt-4o-mini" }'),
    ],
)
async def test_a_model_that_is_named_otherwise_or_not_at_all_is_written_in(
    tmp_path, sent, expected
):
    """Alias, dated id, default; inserted right behind the brace where there was none."""
    assert expected == await _arrived(tmp_path, sent)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"model":"gpt-4o", "routing_preferences": [] , "n":1}', b'{"model":"gpt-4o" , "n":1}'),
        (b'{"routing_preferences":[],"model":"gpt-4o"}', b'{"model":"gpt-4o"}'),
        (b'{"routing_preferences":[]}', b'{"model":"gpt-4o-mini"}'),
    ],
)
async def test_our_own_field_is_cut_out(tmp_path, sent, expected):
    """With one comma; no provider knows it."""
    assert expected == await _arrived(tmp_path, sent)


async def test_a_passthrough_body_is_not_even_looked_at(tmp_path):
    """Its bytes need not be JSON, nor text."""
    body = bytes(range(256)) * 9
    headers = {"content-type": "application/octet-stream"}
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        await exchange(app.ports.data, raw_request("POST", "/v1/files?purpose=x", body, headers))
        (request,) = provider.requests

    assert ("POST", "/v1/files", "?purpose=x", body) == (
        request.method,
        request.path,
        request.query,
        request.body,
    )


@contextlib.asynccontextmanager
async def _in_front_of(work: Path, *pieces: bytes) -> AsyncIterator[int]:
    """The data port of a sidecar whose provider answers every request with these pieces, one write
    each.
    """

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    provider = await asyncio.start_server(provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    async with running_app(sidecar_config(url), work) as app:
        yield app.ports.data
    provider.close()


async def _answer(work: Path, path: str, *pieces: bytes, method: str = "POST") -> RawReply:
    async with _in_front_of(work, *pieces) as port:
        request = (
            json_request(path, STREAMS[path]) if method == "POST" else raw_request(method, path)
        )
        return await exchange(port, request)


# Comments, CRLF, CR, fields without a blank, ids and retries, spacing inside the JSON, text that
# looks like an event.
ODD = (
    b': a comment\r\n\r\n:\n\nretry: 10\nid:1\nid\n\ndata:{ "a" :\t1 , "b":1.0e2}\r\n\r\n'
    b'event: ping\rdata: {}\r\rdata: line one\ndata: line two\n\n\xef\xbb\xbfdata: {"t":"data: [DONE]"}\n\n'
)
ENDS = {
    CHAT: b"data: [DONE]\n\n",
    MESSAGES: b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    RESPONSES: b'event: response.completed\ndata: {"type":"response.completed"}\n\n',
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("path", ENDS)
async def test_an_event_stream_keeps_its_bytes(tmp_path, path, size):
    """However it is written and wherever it is cut."""
    body = ODD + ENDS[path]
    chunks = [
        b"%x\r\n%b\r\n" % (len(piece), piece)
        for at in range(0, len(body), size)
        if (piece := body[at : at + size])
    ]
    reply = await _answer(
        tmp_path, path, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n"
    )

    assert (200, body, True) == (reply.status, reply.body, reply.is_complete)


@pytest.mark.parametrize(
    ("framing", "pieces"),
    [
        (b"Content-Length: 300000\r\n\r\n", [b"x" * 100_000] * 3),
        (b"Content-Length: 5\r\n\r\n", [b'{ "a', b"}"]),
        (b"Transfer-Encoding: chunked\r\n\r\n", [b"5\r\n{ }\r\n\r\n", b"0\r\n\r\n"]),
        (b"\r\n", [b"{ \r\n", b"}"]),
    ],
    ids=["a long length", "a length", "chunks", "the connection's end"],
)
async def test_a_whole_answer_keeps_its_bytes(tmp_path, framing, pieces):
    """However its end is told."""
    reply = await _answer(
        tmp_path, CHAT, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + framing, *pieces
    )
    expected = b"{ }\r\n" if b"chunked" in framing else b"".join(pieces)

    assert (200, expected, True) == (reply.status, reply.body, reply.is_complete)


@pytest.mark.parametrize(
    ("said", "passed_on"),
    [
        (b"200 OK", "200 OK"),
        (b"200 <script>alert(1)</script>", "200 OK"),
        (b"418 ", "418 I'm a Teapot"),
        (b"429 Slow Down", "429 Too Many Requests"),
        (b"529 Site is overloaded", "529 "),
        (b"500 \xfcberlastet", "500 Internal Server Error"),
    ],
)
async def test_a_status_line_has_the_phrase_of_its_status(tmp_path, said, passed_on):
    """Never the provider's own words, which some apps show as they are; none for a status that no
    RFC knows.
    """
    reply = await _answer(tmp_path, CHAT, b"HTTP/1.1 " + said + b"\r\nContent-Length: 2\r\n\r\n{}")

    assert (f"HTTP/1.1 {passed_on}", b"{}") == (reply.status_line, reply.body)


@pytest.mark.parametrize("status", [b"000", b"099", b"101", b"600", b"999"])
async def test_a_status_that_http_does_not_have_is_malformed(tmp_path, status):
    """101 too: nothing asked for another protocol."""
    reply = await _answer(
        tmp_path, CHAT, b"HTTP/1.1 " + status + b" Odd\r\nContent-Length: 2\r\n\r\n{}"
    )

    assert (502, "upstream_malformed") == (reply.status, reply.header("x-plano-error"))


async def test_header_fields_keep_order_repetition_spelling_and_odd_bytes(tmp_path):
    """What is hop by hop, or named by Connection, or ours, is left out."""
    fields = [
        (b"X-RateLimit-Limit", b"1"),
        (b"Set-Cookie", b"a=1; path=/"),
        (b"set-cookie", b"b=2"),
        (b"X-Odd", b"caf\xe9  \t two   blanks"),
        (b"X-Empty", b""),
        (b"retry-after", b"7"),
        (b"X-Should-Retry", b"true"),
    ]
    left_out = [
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"x-plano-model", b"forged"),
        (b"X-Plano-Error", b"forged"),
        (b"Content-Length", b"2"),
    ]
    head = b"".join(b"%b: %b\r\n" % field for field in [*left_out[:4], *fields, *left_out[4:]])
    async with _in_front_of(tmp_path, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n{}") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(json_request(CHAT, STREAMS[CHAT]))
        answer, _, _ = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    lines = answer.split(b"\r\n")[1:]

    assert [b"%b: %b" % field for field in fields] == lines[: len(fields)]
    assert {
        b"x-request-id",
        b"x-plano-model",
        b"x-plano-provider",
        b"x-plano-source",
        b"x-plano-attempts",
        b"server-timing",
    } | {
        b"connection",
        b"content-length",
    } == {line.split(b":")[0].lower() for line in lines[len(fields) :]}
    assert b"forged" not in answer


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1234\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
async def test_the_answer_to_a_head_keeps_its_length(tmp_path, framing):
    """It announces what a GET would get, or nothing; no body follows, and no chunk."""
    async with _in_front_of(tmp_path, b"HTTP/1.1 200 OK\r\n" + framing) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw_request("HEAD", "/v1/files/f1"))
        answer = await reader.read()
        writer.close()
    head = answer.lower()

    assert (b"content-length: 1234\r\n" in head) == (b"1234" in framing)
    assert (b"HTTP/1.1 200 OK", b"\r\n\r\n") == (answer[:15], answer[-4:])
    assert b"transfer-encoding" not in head
    assert b"content-length: 0" not in head


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_leaves_the_connection_in_step(tmp_path, status):
    """The next answer on it is the next answer."""
    async with _in_front_of(tmp_path, b"HTTP/1.1 %d X\r\nETag: e\r\n\r\n" % status) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(raw_request("GET", "/v1/files/f1", close=False))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"\r\nETag: e\r\n" in head
        writer.close()


@pytest.mark.parametrize("path", STREAMS)
async def test_200_chunks_arrive_one_by_one(tmp_path, path):
    """The provider writes a chunk only when the app has read the one before: nothing on the way
    waits for more.
    """
    turn = asyncio.Semaphore(1)

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(200):
            await turn.acquire()
            data = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await turn.acquire()
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(ENDS[path]), ENDS[path]))
        writer.close()

    provider = await asyncio.start_server(provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    async with running_app(sidecar_config(url), tmp_path) as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(json_request(path, STREAMS[path]))
        async with asyncio.timeout(30):
            for number in range(200):
                await reader.readuntil(b"data: %d\n\n" % number)
                turn.release()
            rest = await reader.read()
        writer.close()
    provider.close()

    assert b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(ENDS[path]), ENDS[path]) == rest

"""Compressed request bodies: read where they must be looked into, passed on untouched where not."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from sidecar.runtime.lifecycle import Tasks
from tests.support.net import RawReply, exchange, raw_request
from tests.support.routed import CHAT, MESSAGES, RESPONSES, Routed, routed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.usefixtures("either_listener_path")

MIB = 1 << 20
EMBEDDINGS, COUNT_TOKENS = "/v1/embeddings", "/v1/messages/count_tokens"
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}
MODELS = {
    CHAT: "gpt-4o",
    RESPONSES: "gpt-4o",
    MESSAGES: "claude-demo",
    COUNT_TOKENS: "claude-demo",
    EMBEDDINGS: "text-embedding-3-small",
}


def a_body(path: str, **more: Any) -> bytes:
    said: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    if path in (RESPONSES, EMBEDDINGS):
        said = {"input": "hi"}
    return json.dumps({"model": MODELS[path], **said, **more}).encode()


async def send(sidecar: Routed, path: str, body: bytes, coding: str, chunks: int = 0) -> RawReply:
    """POST a body as it is; in pieces of so many bytes, where not 0."""
    headers = {"content-encoding": coding}
    if not chunks:
        return await exchange(sidecar.app.ports.data, raw_request("POST", path, body, headers))
    head = raw_request("POST", path, b"", {**headers, "transfer-encoding": "chunked"})
    pieces = [body[at : at + chunks] for at in range(0, len(body), chunks)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return await exchange(sidecar.app.ports.data, head + framed + b"0\r\n\r\n")


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("path", MODELS)
async def test_a_provider_gets_the_plain_body(path, coding):
    """Byte for byte what was compressed, with its own length, and no word of a coding."""
    body = a_body(path)
    async with routed() as sidecar:
        reply = await send(sidecar, path, PACKED[coding](body), coding)
        request = sidecar.provider.requests[-1]

    assert (200, body) == (reply.status, request.body)
    assert [str(len(body))] == request.header_values("content-length")
    assert [] == request.header_values("content-encoding")


async def test_beside_calls_a_body_that_says_the_model_is_read_too():
    """Nothing of it is changed but its coding."""
    body = json.dumps({"model": "gpt-4o", "prompt": "hi"}).encode()
    async with routed() as sidecar:
        await send(sidecar, "/v1/completions", gzip.compress(body), "gzip")
        request = sidecar.provider.requests[-1]

    assert ("/v1/completions", body) == (request.path, request.body)
    assert [] == request.header_values("content-encoding")


@pytest.mark.parametrize("chunks", [1, 1000])
async def test_a_body_may_come_in_chunks_and_members(chunks):
    """And with `identity` beside its coding, on a line of its own."""
    body = a_body(CHAT, filler="x" * 5000)
    async with routed() as sidecar:
        packed = gzip.compress(body[:99]) + gzip.compress(body[99:])
        reply = await send(sidecar, CHAT, packed, "identity\r\ncontent-encoding: X-GZip", chunks)

    assert (200, body) == (reply.status, sidecar.provider.requests[-1].body)


async def test_the_model_is_changed_in_a_body_that_was_compressed():
    """It is routed and pinned as any other, and its decision can be asked for."""
    async with routed() as sidecar:
        body = a_body(CHAT, messages=[{"role": "user", "content": "Make this long text short"}])
        packed = gzip.compress(body)
        decided = await send(sidecar, f"/routing{CHAT}", packed, "gzip")
        served = await send(sidecar, CHAT, packed, "gzip")

    assert (200, "summaries") == (decided.status, decided.json()["route"])
    assert ("summaries", "gpt-4o") == (
        served.header("x-plano-route"),
        sidecar.provider.requests[-1].json()["model"],
    )


@pytest.mark.parametrize("coding", [*PACKED, "br", "gzip, br", "identity", "aws-chunked"])
async def test_what_is_passed_through_stays_as_it_came(coding):
    """Bytes and coding, whatever they are: nobody here looks into them."""
    body = b"\x1f\x8b\x00 no gzip at all"
    async with routed() as sidecar:
        short = await send(sidecar, "/v1/files", body, coding)
        first = sidecar.provider.requests[-1]
        long = await send(sidecar, "/v1/files", body * 9000, coding, chunks=50_000)
        second = sidecar.provider.requests[-1]

    assert {short.status, long.status} <= {200, 400}
    for request, sent in ((first, body), (second, body * 9000)):
        assert [coding] == request.header_values("content-encoding")
        assert sent == request.body


@pytest.mark.parametrize(
    ("coding", "packed", "status", "code"),
    [
        ("gzip", gzip.compress(a_body(CHAT))[:-1], 400, "invalid_body"),
        ("gzip", gzip.compress(a_body(CHAT)) + b"{}", 400, "invalid_body"),
        ("gzip", a_body(CHAT), 400, "invalid_body"),
        ("gzip", b"", 400, "invalid_body"),
        ("gzip", gzip.compress(b"{"), 400, "invalid_body"),
        ("zstd", b"\x28\xb5\x2f\xfd", 400, "invalid_body"),
        ("br", b"\x8b\x03\x80{}\x03", 415, "unsupported_encoding"),
        ("gzip, gzip", gzip.compress(gzip.compress(a_body(CHAT))), 415, "unsupported_encoding"),
        ("gzip", gzip.compress(bytes(3 * MIB)), 413, "body_too_large"),
        ("zstd", zstd.compress(bytes(300 * MIB)), 413, "body_too_large"),
    ],
    ids=[
        *("cut", "goes on", "plain", "empty", "no JSON", "no zstd", "brotli", "twice"),
        *("a bomb in gzip", "a bomb in zstd"),
    ],
)
@pytest.mark.parametrize("path", [CHAT, f"/routing{MESSAGES}"])
async def test_what_cannot_be_read_is_refused(path, coding, packed, status, code):
    """In words, in the caller's dialect, before any provider is asked; no memory stays taken."""
    async with routed(limits={"body_bytes": 2 * MIB}) as sidecar:
        reply = await send(sidecar, path, packed, coding)
        used = await sidecar.metrics("memory_used_bytes")

    assert (status, code) == (reply.status, reply.header("x-plano-error"))
    assert reply.json()["error"]["message"]
    assert 0 == sidecar.provider.seen
    assert not used.get(("bodies",))


async def test_many_bombs_take_no_more_than_the_budget():
    """Twenty at a time, each of which would be a gigabyte; the calls beside them are served."""
    bomb = zstd.compress(bytes(1024 * MIB))
    async with routed(limits={"body_bytes": 4 * MIB, "memory_bytes": 32 * MIB}) as sidecar:
        budget, tasks = sidecar.app.foundation.memory.budget, Tasks()
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, budget.used_bytes)
                await asyncio.sleep(0)

        watching = tasks.spawn(watch(), name="watch")
        bombs = [
            tasks.spawn(send(sidecar, CHAT, bomb, "zstd"), name=f"bomb {number}")
            for number in range(20)
        ]
        beside = [await send(sidecar, CHAT, gzip.compress(a_body(CHAT)), "gzip") for _ in range(9)]
        refused = await asyncio.gather(*bombs)
        watching.cancel()

    assert {200} == {reply.status for reply in beside}
    assert {413} == {reply.status for reply in refused}
    assert most <= budget.limit_bytes


class Packing(httpx2.AsyncBaseTransport):
    """A transport that compresses every request, as an app's HTTP client may."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        packed = PACKED[self._coding](await request.aread())
        headers = httpx2.Headers(request.headers)
        headers["content-encoding"] = self._coding
        headers["content-length"] = str(len(packed))
        return await self._inner.handle_async_request(
            httpx2.Request(
                request.method,
                request.url,
                headers=headers,
                content=packed,
                extensions=request.extensions,
            )
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.parametrize("coding", PACKED)
async def test_both_sdks_with_a_client_that_compresses(coding):
    """Whole and streamed: they cannot tell the difference, and neither can the provider."""
    hello: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
    async with routed(routing_preferences=[]) as sidecar:
        url = f"http://127.0.0.1:{sidecar.app.ports.data}"
        apps = openai.AsyncOpenAI(
            base_url=f"{url}/v1",
            api_key="k",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=Packing(coding)),
        )
        claude = anthropic.AsyncAnthropic(
            base_url=url,
            api_key="k",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=Packing(coding)),
        )
        async with apps, claude:
            chat = await apps.chat.completions.create(model="gpt-4o", **hello)
            stream = await apps.chat.completions.create(model="gpt-4o", stream=True, **hello)
            said = "".join([part.choices[0].delta.content or "" async for part in stream])
            response = await apps.responses.create(model="gpt-4o", input="hi")
            vectors = await apps.embeddings.create(model="text-embedding-3-small", input="hi")
            message = await claude.messages.create(model="claude-demo", max_tokens=9, **hello)
            counted = await claude.messages.count_tokens(model="claude-demo", **hello)
        seen = [request.header("content-encoding") for request in sidecar.provider.requests]

    assert said == chat.choices[0].message.content
    assert response.output_text
    assert vectors.data
    assert message.content
    assert counted.input_tokens
    assert [None] * 6 == seen

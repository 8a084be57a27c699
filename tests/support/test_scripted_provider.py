"""A scripted provider fails in the way that was asked for, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.faults import Act, Fault
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider

PATH = "/v1/chat/completions"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
STREAM = {**CHAT, "stream": True}
MESSAGE = {
    "model": "claude-demo",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
VERSION = {"anthropic-version": "2023-06-01"}


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


async def ask(
    provider: ScriptedProvider,
    body: object,
    path: str = PATH,
    headers: dict[str, str] | None = None,
) -> RawReply:
    return await exchange(int(provider.url.rpartition(":")[2]), json_request(path, body, headers))


@pytest.mark.parametrize(
    ("wish", "status", "kind", "code"),
    [
        ("400", 400, "invalid_request_error", None),
        ("context_length_exceeded", 400, "invalid_request_error", "context_length_exceeded"),
        ("401", 401, "invalid_request_error", "invalid_api_key"),
        ("404", 404, "invalid_request_error", "model_not_found"),
        ("429", 429, "requests", "rate_limit_exceeded"),
        ("insufficient_quota", 429, "insufficient_quota", "insufficient_quota"),
        ("503", 503, "server_error", None),
    ],
)
async def test_openai_errors(
    provider: ScriptedProvider, wish: str, status: int, kind: str, code: str | None
) -> None:
    """Errors are OpenAI's where OpenAI is spoken."""
    provider.script.next(wish)
    reply = await ask(provider, CHAT)
    error = reply.json()["error"]
    assert (reply.status, error["type"], error["code"], sorted(error)) == (
        status,
        kind,
        code,
        ["code", "message", "param", "type"],
    )


@pytest.mark.parametrize(
    ("wish", "status", "kind"),
    [
        ("400", 400, "invalid_request_error"),
        ("credit_balance", 400, "invalid_request_error"),
        ("401", 401, "authentication_error"),
        ("404", 404, "not_found_error"),
        ("413", 413, "request_too_large"),
        ("429", 429, "rate_limit_error"),
        ("500", 500, "api_error"),
        ("529", 529, "overloaded_error"),
    ],
)
async def test_anthropic_errors(
    provider: ScriptedProvider, wish: str, status: int, kind: str
) -> None:
    """Errors are Anthropic's where Anthropic is spoken, request id included."""
    provider.script.next(wish)
    reply = await ask(provider, MESSAGE, "/v1/messages", VERSION)
    parsed = reply.json()
    assert (reply.status, parsed["type"], parsed["error"]["type"]) == (status, "error", kind)
    assert parsed["request_id"] == reply.header("request-id")


async def test_retry_after_and_repeated_headers(provider: ScriptedProvider) -> None:
    """An error carries the wished Retry-After, and headers that repeat stay repeated."""
    provider.script.next("429 retry-after=7")
    reply = await ask(provider, CHAT)
    assert reply.header("retry-after") == "7"
    assert [name for name, _ in reply.headers].count("set-cookie") == 2


@pytest.mark.parametrize("act", [Act.CUT, Act.RESET, Act.CUT_HEAD])
async def test_no_head_comes(provider: ScriptedProvider, act: Act) -> None:
    """The connection ends before a head is there."""
    provider.script.next(Fault(act=act))
    with pytest.raises(ConnectionError):
        await ask(provider, CHAT)


async def test_garbage(provider: ScriptedProvider) -> None:
    """What comes is not HTTP."""
    provider.script.next("garbage")
    with pytest.raises(ValueError, match="not a status line"):
        await ask(provider, CHAT)


@pytest.mark.parametrize(
    ("act", "events", "is_complete"),
    [
        (Act.PROPER, 18, True),
        (Act.CUT_STREAM, 3, False),
        (Act.RESET_STREAM, 3, False),
        (Act.END_EARLY, 3, True),
        (Act.ERROR_EVENT, 4, True),
        (Act.NO_END, 17, True),
        (Act.DRIBBLE, 18, True),
        (Act.EOF, 18, True),
        (Act.CLOSE, 18, True),
        (Act.EARLY_HINTS, 18, True),
        (Act.HUGE_LINE, 18, True),
    ],
)
async def test_streams(
    provider: ScriptedProvider, act: Act, events: int, is_complete: bool
) -> None:
    """A stream holds the events that it should, ends at an event's end, and ends properly or
    not.
    """
    provider.script.next(Fault(act=act, after_events=3))
    reply = await ask(provider, STREAM)
    assert (reply.body.count(b"\n\n"), reply.body[-2:], reply.is_complete) == (
        events,
        b"\n\n",
        is_complete,
    )
    assert bytes(provider.requests[-1].sent) == reply.body


async def test_a_stream_cut_inside_an_event(provider: ScriptedProvider) -> None:
    """The last event is broken off."""
    provider.script.next("cut-inside after=3")
    reply = await ask(provider, STREAM)
    assert (reply.body.count(b"\n\n"), reply.body.endswith(b"\n\n"), reply.is_complete) == (
        3,
        False,
        False,
    )


async def test_a_whole_answer_cut_inside(provider: ScriptedProvider) -> None:
    """Less comes than the length promised."""
    provider.script.next("cut-inside")
    reply = await ask(provider, CHAT)
    assert (reply.is_complete, len(reply.body)) == (
        False,
        int(reply.header("content-length") or 0) // 2,
    )


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_gzip(provider: ScriptedProvider, body: dict[str, object]) -> None:
    """A compressed answer is labelled, and holds what the plain one would."""
    provider.script.next("gzip")
    packed = await ask(provider, body)
    assert packed.header("content-encoding") == "gzip"
    plain = await ask(provider, body)
    text = zlib.decompress(packed.body, wbits=31)
    assert text.replace(b"demo000001", b"") == plain.body.replace(b"demo000002", b"")


async def test_hold(provider: ScriptedProvider) -> None:
    """A test can stop a stream in the middle and let it go on."""
    gate = asyncio.Event()
    provider.script.next(Fault(hold=gate, hold_after_events=2))
    async with asyncio.TaskGroup() as group:
        call = group.create_task(ask(provider, STREAM))
        await provider.wait_for_requests(1)
        held = provider.requests[0]
        assert not held.when_done.is_set()
        gate.set()
        reply = await call
    assert reply.body.count(b"\n\n") == 18


@pytest.mark.parametrize("wish", ["hang", "hang-stream"])
async def test_a_caller_that_leaves_is_noticed(provider: ScriptedProvider, wish: str) -> None:
    """When the caller goes away before the answer is complete, the record says so."""
    provider.script.next(wish)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(provider.url.rpartition(":")[2])
    )
    writer.write(json_request(PATH, STREAM))
    await provider.wait_for_requests(1)
    if wish == "hang-stream":
        await reader.readuntil(b"data: ")
    writer.close()
    await writer.wait_closed()
    await provider.requests[0].when_closed.wait()
    assert not provider.requests[0].when_done.is_set()


async def test_a_complete_call_is_not_a_caller_that_left(provider: ScriptedProvider) -> None:
    """An answer that was read to its end leaves ``when_closed`` unset."""
    await ask(provider, CHAT)
    record = provider.requests[0]
    await record.when_done.wait()
    assert not record.when_closed.is_set()


async def test_closing_lets_go_of_what_hangs() -> None:
    """A provider that closes ends hanging calls at once."""
    async with asyncio.TaskGroup() as group:
        async with ScriptedProvider() as provider:
            provider.script.next("hang")
            call = group.create_task(_expect_connection_error(provider))
            await provider.wait_for_requests(1)
        await call


async def _expect_connection_error(provider: ScriptedProvider) -> None:
    with pytest.raises(ConnectionError):
        await ask(provider, CHAT)


async def test_requests_are_recorded_byte_for_byte(provider: ScriptedProvider) -> None:
    """Method, path, query, headers and body are kept as they stood on the wire."""
    body = b'{ "model":"gpt-4o",\n "messages": [ ] }'
    request = raw_request(
        "POST", PATH + "?beta=true&x=%2F", body, {"X-MiXed": "  Case ", "x-twice": "1"}
    )
    await exchange(int(provider.url.rpartition(":")[2]), request)
    record = provider.requests[0]
    assert (record.method, record.path, record.query, record.body) == (
        "POST",
        PATH,
        "?beta=true&x=%2F",
        body,
    )
    assert (b"X-MiXed", b"Case") in record.headers
    assert record.json() == json.loads(body)


async def test_script_for_one_model(provider: ScriptedProvider) -> None:
    """A wish for one model leaves the others alone; a standing wish holds until it is cleared."""
    provider.script.next("503", model="gpt-4o-mini")
    provider.script.always("429", model="claude-demo")
    statuses = [
        (await ask(provider, {**CHAT, "model": m})).status
        for m in ("gpt-4o", "gpt-4o-mini", "gpt-4o-mini")
    ]
    standing = [(await ask(provider, {**CHAT, "model": "claude-demo"})).status for _ in range(2)]
    provider.script.clear()
    assert (statuses, standing) == ([200, 503, 200], [429, 429])
    assert (await ask(provider, {**CHAT, "model": "claude-demo"})).status == 200


async def test_keys() -> None:
    """A provider with keys refuses others with 401."""
    async with ScriptedProvider(keys=frozenset({"sk-good"})) as provider:
        good = await ask(provider, CHAT, headers={"authorization": "Bearer sk-good"})
        bad = await ask(provider, CHAT, headers={"authorization": "Bearer sk-bad"})
        by_key = await ask(provider, MESSAGE, "/v1/messages", {**VERSION, "x-api-key": "sk-good"})
    assert (good.status, bad.status, by_key.status) == (200, 401, 200)

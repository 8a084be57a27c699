"""A provider that says with a 200 that it failed: no call does where another candidate is left. And
the ends of streams, as the real SDKs see them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest

from sidecar.app import App
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from tests.flow.test_stream_usage import Player
from tests.support.faults import Act, Fault
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request
from tests.support.openings import CREATED, DONE, MESSAGE_START, PING, ROLE, STOP, TEXT
from tests.support.routed import PREFERENCES, Routed, decision_of, routed
from tests.support.sdks import KINDS, Sdks, open_sdks
from tests.support.sidecar_process import sidecar_config

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ROUTE: dict[str, Any] = {**PREFERENCES[1], "models": [GPT, MINI]}
TEXT_TO_SHORTEN = "Make this long text short"
PATHS = {CHAT: "/v1/chat/completions", MESSAGES: "/v1/messages", RESPONSES: "/v1/responses"}
MODELS = {CHAT: GPT, MESSAGES: "anthropic/claude-demo", RESPONSES: GPT}


async def _ask(sidecar: Routed, number: int = 0, **more: Any) -> RawReply:
    return await sidecar.ask(f"{TEXT_TO_SHORTEN} {number}", **more)


REDIRECT = Fault(
    status=307, body=b"", headers=(("Location", "http://127.0.0.1:1/v1/chat/completions"),)
)
FAULTS = {
    "a redirect": (REDIRECT, "failing", "malformed"),
    "a redirect that nobody follows": (
        msgspec.structs.replace(REDIRECT, status=300),
        "failing",
        "malformed",
    ),
    "not modified": (msgspec.structs.replace(REDIRECT, status=304), "failing", "malformed"),
    "a page": (Fault(act=Act.HTML), "failing", "malformed"),
    "an error object": (
        Fault(body=b'{"error":{"code":429,"message":"Provider returned error"}}'),
        "busy",
        "error_body",
    ),
    "an error object of no class": (
        Fault(body=b'{"error":{"message":"boom","type":"server_error"}}'),
        "failing",
        "error_body",
    ),
    "an empty body": (Fault(act=Act.END_EARLY, after_events=0), "failing", "connect_failed"),
}
STREAM_FAULTS = {
    "an error event": (Fault(act=Act.ERROR_EVENT, after_events=0), "failing", "error_body"),
    "an error event behind the preamble": (Fault(act=Act.ERROR_EVENT), "failing", "error_body"),
    "a cut in the preamble": (Fault(act=Act.CUT_STREAM), "failing", "connect_failed"),
    "a reset in the preamble": (Fault(act=Act.RESET_STREAM), "failing", "connect_failed"),
    "nothing but the preamble": (Fault(act=Act.END_EARLY), "failing", "connect_failed"),
}


@pytest.mark.parametrize(
    ("name", "stream"),
    [(name, stream) for name in FAULTS for stream in (False, True)]
    + [(name, True) for name in STREAM_FAULTS],
)
async def test_an_error_in_a_200_is_a_failed_attempt_and_the_next_model_serves(name, stream):
    """Nothing of it reaches the app; step and attempt are counted by what they were."""
    fault, failure_class, outcome = {**FAULTS, **STREAM_FAULTS}[name]
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.next(fault, model="gpt-4o")
        reply = await _ask(sidecar, stream=stream)
        served = bytes(sidecar.provider.requests[-1].sent)
        steps = await sidecar.metrics("failovers_total")
        attempts = await sidecar.metrics("upstream_attempts_total")

    assert (200, "routed", "summaries", MINI) == decision_of(reply)
    assert (served, True, "2") == (reply.body, reply.is_complete, reply.header("x-plano-attempts"))
    assert {(GPT, failure_class, MINI): 1} == steps
    assert {(GPT, GPT, outcome, "openai"): 1, (MINI, MINI, "ok", "openai"): 1} == attempts


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [Fault(act=Act.HTML), REDIRECT], ids=["a page", "a redirect"])
async def test_what_no_sdk_can_read_is_a_502_where_no_candidate_is_left(fault, stream):
    """An SDK would follow a redirect with the app's prompt, and without its key."""
    async with routed(routing_preferences=[]) as sidecar:
        sidecar.provider.script.always(fault)
        reply = await _ask(sidecar, stream=stream)

    assert (502, "upstream_malformed") == (reply.status, reply.header("x-plano-error"))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_object_with_no_candidate_left_goes_to_the_app_as_it_came(stream):
    """It is the provider's own answer; the call is counted as failed all the same."""
    body = b'{"error":{"code":429,"message":"Provider returned error"}}'
    async with routed(routing_preferences=[]) as sidecar:
        sidecar.provider.script.always(Fault(body=body))
        reply = await _ask(sidecar, stream=stream)
        results = await sidecar.metrics("requests_total")

    assert (200, body, True) == (reply.status, reply.body, reply.is_complete)
    assert ["upstream_error"] == [value for key in results for value in key if "_error" in value]


# What the SDKs see


@contextlib.asynccontextmanager
async def _played(
    tmp_path: Path, kind: str, *pieces: bytes, player: Player | None = None
) -> AsyncIterator[tuple[App, Sdks]]:
    player = player or Player()
    player.pieces = list(pieces)
    provider = await asyncio.start_server(player.provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    async with (
        running_app(sidecar_config(url), tmp_path) as app,
        open_sdks(f"http://127.0.0.1:{app.ports.data}", kind) as sdks,
    ):
        yield app, sdks
    provider.close()


async def _events(sdks: Sdks, dialect: str) -> list[Any]:
    model = MODELS[dialect]  # type: ignore[index] # a dialect's name
    messages = [{"role": "user", "content": "hi"}]
    if dialect == CHAT:
        return await sdks.events(
            sdks.openai.chat.completions.create, model=model, messages=messages
        )
    if dialect == RESPONSES:
        return await sdks.events(sdks.openai.responses.create, model=model, input="hi")
    return await sdks.events(
        sdks.anthropic.messages.create, model=model, messages=messages, max_tokens=9
    )


BLOCKS = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"hello"}}\n\n'
)
STOP_REASON = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
    b'"stop_sequence":null},"usage":{"output_tokens":48}}\n\n'
)
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":2,'
    b'"item_id":"i","output_index":0,"content_index":0,"delta":"hello","logprobs":[]}\n\n'
)
FAILED = (
    b'event: response.failed\ndata: {"type":"response.failed","sequence_number":3,"response":{"id":"resp_1",'
    b'"object":"response","created_at":1,"status":"failed","error":{"code":"server_error","message":"boom"},'
    b'"model":"gpt-5","output":[],"parallel_tool_calls":true,"tool_choice":"auto","tools":[]}}\n\n'
)
COMPLETE = {
    "chat": (CHAT, ROLE + TEXT + STOP + DONE),
    "chat without a marker": (CHAT, ROLE + TEXT + STOP),
    "messages without message_stop": (MESSAGES, MESSAGE_START + PING + BLOCKS + STOP_REASON),
    "responses that failed": (RESPONSES, CREATED + DELTA + FAILED),
}
BROKEN = {
    "chat, a bare end": (CHAT, ROLE + TEXT, "without its last event"),
    "messages, a bare end": (MESSAGES, MESSAGE_START + BLOCKS, "without its last event"),
    "responses, a bare end": (RESPONSES, CREATED + DELTA, "without its last event"),
    "chat, an error event": (
        CHAT,
        ROLE + TEXT + b'data: {"error":{"message":"boom","type":"server_error","code":500}}\n\n',
        "boom",
    ),
    "chat, an error event and the marker": (
        CHAT,
        ROLE + TEXT + b'data: {"error":{"message":"boom","code":500}}\n\n' + DONE,
        "boom",
    ),
    "messages, an error event": (
        MESSAGES,
        MESSAGE_START
        + BLOCKS
        + b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"boom"}}\n\n',
        "boom",
    ),
    "responses, an error event": (
        RESPONSES,
        CREATED
        + DELTA
        + b'event: error\ndata: {"type":"error","sequence_number":3,"error":{"code":"server_error","message":"boom"}}\n\n',
        "boom",
    ),
    # These SDKs hand the error out like any other event; the broken connection is what they raise.
    "responses, a flat error event": (
        RESPONSES,
        CREATED
        + DELTA
        + b'event: error\ndata: {"type":"error","sequence_number":3,"code":"server_error","message":"boom","param":null}\n\n',
        "",
    ),
    "chat, an error event of an older vllm": (
        CHAT,
        ROLE + TEXT + b'data: {"object":"error","message":"boom","type":"x","code":500}\n\n',
        "",
    ),
    "messages, an error event without a name": (
        MESSAGES,
        MESSAGE_START
        + BLOCKS
        + b'data: {"type":"error","error":{"type":"api_error","message":"boom"}}\n\n',
        "",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", COMPLETE)
async def test_an_sdk_sees_no_error_where_a_stream_is_complete(tmp_path, name, kind):
    """The last event is one proof of it, the end of every choice another."""
    dialect, stream = COMPLETE[name]
    async with _played(tmp_path, kind, stream) as (_, sdks):
        events = await _events(sdks, dialect)

    assert events


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BROKEN)
async def test_an_sdk_raises_where_a_stream_is_not_complete(tmp_path, name, kind):
    """With the provider's own words where it had some."""
    dialect, stream, words = BROKEN[name]
    async with _played(tmp_path, kind, stream) as (_, sdks):
        with pytest.raises(Exception, match=words or ".") as caught:
            await _events(sdks, dialect)

    if words:
        assert isinstance(caught.value, anthropic.APIError | openai.APIError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [ROLE + TEXT, ROLE + TEXT + STOP + DONE], ids=["cut", "whole"])
async def test_a_stream_of_announced_length_is_as_whole_as_its_events(tmp_path, stream, kind):
    """A proxy on the way that collects a stream announces the length of what it got."""
    collected = Player(coding=f"Content-Length: {len(stream)}\r\n", is_chunked=False)
    async with _played(tmp_path, kind, stream, player=collected) as (_, sdks):
        if stream.endswith(DONE):
            assert await _events(sdks, CHAT)
        else:
            with pytest.raises(openai.APIError, match="without its last event"):
                await _events(sdks, CHAT)


@pytest.mark.parametrize("name", BROKEN)
async def test_nothing_is_put_behind_a_providers_own_error_event(tmp_path, name):
    """The app reads what the provider sent; only a silent end gets an event of ours."""
    dialect, stream, words = BROKEN[name]
    body = {
        "model": MODELS[dialect],
        "stream": True,
        "messages": [],
        "input": "hi",
        "max_tokens": 9,
    }
    async with _played(tmp_path, "async", stream) as (app, _):
        reply = await exchange(app.ports.data, json_request(PATHS[dialect], body))

    is_ours = words == "without its last event"
    assert (stream, False) == (reply.body[: len(stream)], reply.is_complete)
    assert is_ours == (len(reply.body) > len(stream))


async def test_a_provider_that_fails_in_mid_stream_is_counted_and_cools():
    """The app has its text and cannot be moved; the next call goes elsewhere."""
    overloaded, model = Fault(act=Act.ERROR_EVENT, after_events=3), MODELS[MESSAGES]
    async with routed(routing_preferences=[]) as sidecar:
        sidecar.provider.script.next(overloaded, model="claude-demo")
        reply = await sidecar.ask("Hello", path="/v1/messages", stream=True)
        attempts = await sidecar.metrics("upstream_attempts_total")
        results = await sidecar.metrics("requests_total")
        is_cooling = bool(sidecar.app.foundation.cooling.cooldowns)

    assert (b"Overloaded" in reply.body, reply.is_complete) == (True, False)
    assert {(model, model, "error_body", "anthropic"): 1} == attempts
    assert ["incomplete"] == [value for key in results for value in key if value == "incomplete"]
    assert is_cooling

"""`usage: ask`: usage is asked for on the app's behalf, counted, and taken out of the stream again."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.support.faults import Act, Fault
from tests.support.net import exchange, json_request
from tests.support.refusals import refusals
from tests.support.routed import CHAT, Routed, routed

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ASK = {GPT: {"usage": "ask"}, MINI: {"usage": "ask"}}
STREAM: dict[str, Any] = {
    "stream": True,
    "messages": [{"role": "user", "content": "hi"}],
    "model": "gpt-4o",
}
TOKENS = "tokens_total"


async def call(sidecar: Routed, **more: Any) -> Any:
    return await exchange(sidecar.app.ports.data, json_request(CHAT, {**STREAM, **more}))


def without_usage(stream: bytes) -> bytes:
    """What a provider has sent, less its chunk with the usage."""
    events = stream.split(b"\n\n")
    kept = [each for each in events if b'"choices":[]' not in each.replace(b" ", b"")]
    assert len(events) - 1 == len(kept)
    return b"\n\n".join(kept)


@pytest.mark.parametrize("act", [Act.PROPER, Act.DRIBBLE, Act.EOF, Act.EARLY_HINTS])
async def test_the_app_gets_its_stream_and_operators_the_usage(act):
    """Every other byte as it came, the null members too."""
    async with routed(ASK, routing_preferences=[]) as sidecar:
        sidecar.provider.script.next(Fault(act))
        reply = await call(sidecar)
        request = sidecar.provider.requests[-1]
        tokens, missing = (
            await sidecar.metrics(TOKENS),
            await sidecar.metrics("usage_missing_total"),
        )

    assert {"include_usage": True} == request.json()["stream_options"]
    assert (200, True) == (reply.status, reply.is_complete)
    assert without_usage(bytes(request.sent)) == reply.body
    assert b'"usage":null' in reply.body.replace(b" ", b"")
    assert ({GPT}, {}) == ({labels[1] for labels in tokens}, missing)


@pytest.mark.parametrize("asks", [True, False])
async def test_where_the_app_says_itself_nothing_changes(asks):
    """Body and stream are as they came."""
    options = {"include_usage": asks}
    async with routed(ASK, routing_preferences=[]) as sidecar:
        reply = await call(sidecar, stream_options=options)
        request = sidecar.provider.requests[-1]

    assert options == request.json()["stream_options"]
    assert bytes(request.sent) == reply.body
    assert asks == (b'"prompt_tokens"' in reply.body)


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        ({}, {}),
        ({"usage": "leave"}, {}),
        ({"usage": "ask"}, {"stream": False}),
        ({"usage": "ask", "accept_encoding": "passthrough"}, {}),
    ],
)
async def test_nothing_is_asked_where_it_should_not_be(entry, more):
    """By default, of whole responses, and where the response may come compressed."""
    async with routed({GPT: entry}, routing_preferences=[]) as sidecar:
        reply = await call(sidecar, **more)
        request = sidecar.provider.requests[-1]

    assert {**STREAM, **more} == request.json()
    assert bytes(request.sent) == reply.body


@pytest.mark.parametrize(("status", "body"), refusals("usage_option"))
async def test_a_refusal_costs_one_call_one_more_attempt(status, body):
    """That model is asked no more; another one at the same provider is."""
    async with routed(ASK, routing_preferences=[]) as sidecar:
        sidecar.provider.script.next(Fault(status=status, body=body))
        first = await call(sidecar)
        second = await call(sidecar)
        other = await call(sidecar, model="gpt-4o-mini")
        asked = ["stream_options" in request.json() for request in sidecar.provider.requests]
        refused = await sidecar.metrics("usage_refused_total")
        states = await sidecar.ejected()

    assert [200] * 3 == [reply.status for reply in (first, second, other)]
    assert [True, False, False, True] == asked
    assert ("2", "1") == (first.header("x-plano-attempts"), second.header("x-plano-attempts"))
    assert ({(GPT,): 1}, {}) == (refused, states)


async def test_a_refusal_that_is_about_something_else_is_the_apps():
    """It names the option since the prompt does: tried once without, shown, and no mark is left."""
    body = json.dumps({"error": {"message": "bad words: stream_options"}}).encode()
    async with routed(ASK, routing_preferences=[]) as sidecar:
        for _ in range(2):
            sidecar.provider.script.next(Fault(status=400, body=body))
        refused = await call(sidecar)
        await call(sidecar)
        asked = ["stream_options" in request.json() for request in sidecar.provider.requests]

    assert (400, body) == (refused.status, refused.body)
    assert [True, False, True] == asked


async def test_another_candidate_is_asked_in_its_own_way():
    """The second one is not asked, as its entry says."""
    entries = {GPT: {"usage": "ask", "fallbacks": [MINI]}}
    async with routed(entries, routing_preferences=[]) as sidecar:
        sidecar.provider.script.next(Fault(status=503))
        reply = await call(sidecar)
        asked = ["stream_options" in request.json() for request in sidecar.provider.requests]

    assert (200, MINI) == (reply.status, reply.header("x-plano-model"))
    assert [True, False] == asked
    assert bytes(sidecar.provider.requests[-1].sent) == reply.body


@pytest.mark.parametrize("act", [Act.CUT_STREAM, Act.CUT_INSIDE, Act.RESET_STREAM, Act.ERROR_EVENT])
async def test_a_stream_that_breaks_off_breaks_off(act):
    """Ended once, and not as a whole one."""
    async with routed(ASK, routing_preferences=[]) as sidecar:
        sidecar.provider.script.next(Fault(act, after_events=3))
        reply = await call(sidecar)
        request = sidecar.provider.requests[-1]

    assert not reply.is_complete
    assert b"[DONE]" not in reply.body
    if act is not Act.RESET_STREAM:
        assert reply.body.startswith(bytes(request.sent))


async def test_the_sdk_sees_what_it_would_see_without():
    """No chunk without choices, no usage; and the tokens are counted all the same."""
    async with routed(ASK, routing_preferences=[]) as sidecar:
        url = f"http://127.0.0.1:{sidecar.app.ports.data}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
            stream = await client.chat.completions.create(**STREAM)
            chunks = [chunk async for chunk in stream]
        tokens = await sidecar.metrics(TOKENS)

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert "stop" == chunks[-1].choices[0].finish_reason
    assert tokens


async def test_usage_is_counted_where_choices_is_null():
    """Some servers' last chunk, whoever has asked for it."""
    last = (
        b'data: {"model":"m","choices":null,"usage":{"prompt_tokens":11,"completion_tokens":7}}\n\n'
    )
    stream = (
        b'data: {"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n' + last
    )
    as_events = (("content-type", "text/event-stream"),)
    for entry, expected in (({}, stream), ({"usage": "ask"}, stream.removesuffix(last))):
        async with routed({GPT: entry}, routing_preferences=[]) as sidecar:
            sidecar.provider.script.next(Fault(status=200, body=stream, headers=as_events))
            reply = await call(sidecar)
            tokens = await sidecar.metrics(TOKENS)

        assert expected == reply.body
        assert {("input", GPT): 11, ("output", GPT): 7} == tokens


async def test_paths_beside_calls_are_not_asked():
    """Of legacy completions only the model is read; the body goes as it came."""
    body = {"model": "gpt-4o", "stream": True, "prompt": "hi"}
    async with routed(ASK, routing_preferences=[]) as sidecar:
        await exchange(sidecar.app.ports.data, json_request("/v1/completions", body))
        (request,) = sidecar.provider.requests

    assert ("/v1/completions", json.dumps(body).encode()) == (request.path, request.body)

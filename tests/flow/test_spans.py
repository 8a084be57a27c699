"""What a collector gets of calls: one tree for each sampled one, with the ids that the provider saw,
and nothing that anyone said.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sidecar.config.load import load_config
from sidecar.demo.completion import DemoCompletion
from sidecar.domain.ids import shown_hash
from tests.support.net import exchange, json_request, raw_request
from tests.support.otlp_receiver import OtlpReceiver, ReceivedSpan, otlp_receiver
from tests.support.recorded_request import RecordedRequest
from tests.support.redis_server import redis_server
from tests.support.routed import CHAT, MESSAGES, PREFERENCES, Routed, routed

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ROUTE: dict[str, Any] = {**PREFERENCES[1], "models": [GPT, MINI]}


def traced(receiver: OtlpReceiver, percent: float = 0.0) -> dict[str, Any]:
    return {"otlp_endpoint": receiver.url, "random_sampling": percent}


def seen_by(requests: Any) -> list[tuple[str, str, str]]:
    """Trace id, parent id and flags of each request."""
    return [_fields(request) for request in requests]


def _fields(request: RecordedRequest) -> tuple[str, str, str]:
    (value,) = request.header_values("traceparent")
    _, trace_id, parent_id, flags = value.split("-")
    return trace_id, parent_id, flags


def one(spans: list[ReceivedSpan], name: str) -> ReceivedSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


async def test_a_sampled_call_is_one_tree():
    """The sidecar's span below the app's; decision, router model and attempt below that one. The
    provider's and the router model's parents are the very spans of their requests.
    """
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver)) as sidecar:
        reply = await sidecar.ask(headers={**SAMPLED, "x-model-affinity": "s1"})
        spans = await receiver.until(5)
        asked, attempted = seen_by(sidecar.router.requests), seen_by(sidecar.provider.requests)
    tree = receiver.tree(TRACE)
    (server,) = tree[PARENT]
    children = tree[server.span_id]
    router, attempt = one(children, "router router"), one(children, "chat claude-demo")

    assert 200 == reply.status
    assert {"POST /v1/chat/completions"} == {span.name for span in spans} - {
        span.name for span in children
    }
    assert {"route", "affinity get", "router router", "chat claude-demo"} == {
        span.name for span in children
    }
    assert [(TRACE, router.span_id, "01")] == asked
    assert [(TRACE, attempt.span_id, "01")] == attempted
    assert {"vendor=1"} == {span.tracestate for span in spans}
    assert ("server", "client", "client") == (server.kind, router.kind, attempt.kind)
    assert all(server.began_ns <= span.began_ns <= span.ended_ns for span in children)
    assert all(span.ended_ns <= server.ended_ns + 1_000_000 for span in children)
    assert not any(span.is_error for span in spans)


async def test_the_spans_say_what_was_asked_for_chosen_and_served():
    """By the conventions' names."""
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver)) as sidecar:
        for _ in range(2):
            await sidecar.ask(headers={**SAMPLED, "x-model-affinity": "s1"})
        spans = await receiver.until(8)
        host = sidecar.provider.url.rpartition(":")[2]
    (first, second) = [span for span in spans if span.kind == "server"]
    chat = next(span for span in spans if span.name == "chat claude-demo")

    assert {
        "http.request.method": "POST",
        "url.path": "/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.conversation.id": shown_hash("s1"),
        "plano.route": "code generation",
        "plano.source": "routed",
        "plano.pinned": False,
        "plano.translated": "chat>messages",
    } == first.attributes
    assert ("pinned", True) == tuple(
        second.attributes[f"plano.{name}"] for name in ("source", "pinned")
    )
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-demo",
        "gen_ai.response.model": "claude-demo",
        "gen_ai.conversation.id": shown_hash("s1"),
        "server.address": "127.0.0.1",
        "server.port": int(host),
        "http.response.status_code": 200,
        "plano.attempt": 1,
    } == {name: value for name, value in chat.attributes.items() if "usage" not in name}
    assert 0 < chat.attributes["gen_ai.usage.input_tokens"]
    assert 0 < chat.attributes["gen_ai.usage.output_tokens"]
    assert {"service.name": "plano-sidecar"}.items() <= receiver.resources[0].items()
    assert {"/v1/traces"} == set(receiver.paths)


@pytest.mark.parametrize("wish", ["503", "reset", "429"])
async def test_a_failed_over_call_has_two_attempts(wish):
    """Each with the parent id that its provider saw, the first with how it failed."""
    async with (
        otlp_receiver() as receiver,
        routed(routing_preferences=[ROUTE], tracing=traced(receiver)) as sidecar,
    ):
        sidecar.provider.script.always(wish, model="gpt-4o")
        reply = await sidecar.ask("Make this long text short", headers=SAMPLED)
        await receiver.until(5)
        attempted = seen_by(sidecar.provider.requests)
    (server,) = receiver.tree(TRACE)[PARENT]
    children = receiver.tree(TRACE)[server.span_id]
    failed, served = one(children, "chat gpt-4o"), one(children, "chat gpt-4o-mini")
    expected = {"503": "server_error", "reset": "connect_failed", "429": "rate_limited"}

    assert 200 == reply.status
    assert [(TRACE, failed.span_id, "01"), (TRACE, served.span_id, "01")] == attempted
    assert (expected[wish], True, 1) == (
        failed.attributes["error.type"],
        failed.is_error,
        failed.attributes["plano.attempt"],
    )
    assert (None, False, 2) == (
        served.attributes.get("error.type"),
        served.is_error,
        served.attributes["plano.attempt"],
    )
    assert "gen_ai.usage.input_tokens" not in failed.attributes
    assert not server.is_error


async def test_a_call_that_no_candidate_serves_is_an_error():
    """With the code that the app gets where the sidecar answered, and no usage."""
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver)) as sidecar:
        sidecar.provider.script.always("reset")
        reply = await sidecar.ask(headers=SAMPLED)
        await receiver.until(3)
    (server,) = receiver.tree(TRACE)[PARENT]
    error = json.loads(reply.body)["error"]

    assert (True, error["code"], reply.status) == (
        server.is_error,
        server.attributes["error.type"],
        server.attributes["http.response.status_code"],
    )


async def test_a_streamed_calls_span_ends_with_the_stream():
    """Not with its head: a call that begins and ends while it streams is told of first."""
    other = {"traceparent": f"00-{'a' * 32}-{PARENT}-01"}
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver)) as sidecar:
        sidecar.provider.script.next("hang-stream")
        async with _under_way(sidecar, stream=True) as reader:
            await reader.readuntil(b"\n\n")
            await sidecar.ask(headers=other)
            before = await receiver.until(4)
        after = await receiver.until(8)
    (served,) = [span for span in before if span.kind == "server"]
    streamed = [span for span in after if span.trace_id == TRACE]
    (server,) = receiver.tree(TRACE)[PARENT]

    assert {"a" * 32} == {span.trace_id for span in before}
    assert server.began_ns < served.began_ns < served.ended_ns < server.ended_ns
    assert served.ended_ns < one(streamed, "chat claude-demo").ended_ns


async def test_a_call_whose_app_leaves_is_told_as_cancelled():
    """That is no error of anyone's."""
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver)) as sidecar:
        sidecar.provider.script.always("hang")
        async with _under_way(sidecar):
            await sidecar.provider.wait_for_requests(1)
        spans = await receiver.until(4)
    (server,) = [span for span in spans if span.kind == "server"]
    chat = one(spans, "chat claude-demo")

    assert ("cancelled", False) == (server.attributes["error.type"], server.is_error)
    assert ("cancelled", False) == (chat.attributes["error.type"], chat.is_error)


@contextlib.asynccontextmanager
async def _under_way(sidecar: Routed, **more: Any) -> AsyncIterator[asyncio.StreamReader]:
    """A sampled call, which is left at the end."""
    message = {"role": "user", "content": "Write a function"}
    body = {"model": "gpt-4o-mini", "messages": [message], **more}
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.app.ports.data)
    try:
        writer.write(json_request(CHAT, body, SAMPLED))
        yield reader
    finally:
        writer.close()


async def test_an_unsampled_call_has_no_span_but_parent_ids_of_its_own():
    """While tracing is on each attempt is told from the others in any trace."""
    async with (
        otlp_receiver() as receiver,
        routed(routing_preferences=[ROUTE], tracing=traced(receiver)) as sidecar,
    ):
        sidecar.provider.script.next("503")
        await sidecar.ask("Make this long text short", headers=UNSAMPLED)
        await sidecar.ask("Make this long text short", headers=SAMPLED)
        await receiver.until(4)
        attempted = seen_by([*sidecar.router.requests, *sidecar.provider.requests])
    unsampled = [fields for fields in attempted if fields[2] == "00"]

    assert [PARENT] == [each for each in receiver.tree(TRACE) if each == PARENT]
    assert 1 == len(receiver.tree(TRACE)[PARENT])
    assert {TRACE} == {trace_id for trace_id, _, _ in attempted}
    assert len(unsampled) + 1 == len({PARENT, *(parent_id for _, parent_id, _ in unsampled)})


async def test_new_traces_are_sampled_by_their_share():
    """And begin with the sidecar's span."""
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver, 100.0)) as sidecar:
        await sidecar.ask()
        spans = await receiver.until(4)
        attempted = seen_by(sidecar.provider.requests)
    (server,) = receiver.tree(spans[0].trace_id)[""]

    assert "server" == server.kind
    assert (server.trace_id, "01") == (attempted[0][0], attempted[0][2])
    assert 1 == len({span.trace_id for span in spans})


async def test_a_pin_that_redis_holds_is_a_look_into_it():
    """A span of its own, only where the call waited for it."""
    async with redis_server() as server, otlp_receiver() as receiver:
        cache = {"session_cache": {"type": "redis", "url": server.url}}
        async with routed(routing=cache, tracing=traced(receiver)) as sidecar:
            await sidecar.app.foundation.store.wait_until_up()
            for _ in range(2):
                await sidecar.ask(headers={**SAMPLED, "x-model-affinity": "s1"})
            spans = await receiver.until(8)
    looks = [span for span in spans if span.name == "affinity get"]

    assert 1 == len(looks)
    assert 0 < looks[0].ended_ns - looks[0].began_ns


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_that_was_said_is_exported(monkeypatch, path, stream):
    """Nor a key, a session or a tenant: not in any byte, whatever the call meets."""
    routing = {"session_cache": {"tenant_header": "x-org-id"}}
    marks = ("MARK-PROMPT", "MARK-KEY", "MARK-SESSION", "MARK-TENANT", "MARK-QUERY", "MARK-ANSWER")
    async with (
        otlp_receiver() as receiver,
        routed(
            {
                GPT: {"access_key": "MARK-KEY-1"},
                "anthropic/claude-demo": {"access_key": "MARK-KEY-2"},
            },
            routing=routing,
            tracing=traced(receiver),
        ) as sidecar,
    ):
        headers = {
            **SAMPLED,
            "x-model-affinity": "MARK-SESSION",
            "x-org-id": "MARK-TENANT",
            "authorization": "Bearer MARK-KEY-3",
        }
        asked = "MARK-PROMPT write a function"
        said = DemoCompletion(("MARK-ANSWER",))
        monkeypatch.setattr(sidecar.provider, "complete", lambda _: said)
        replies = [
            await sidecar.ask(asked, f"{path}?q=MARK-QUERY", stream=stream, headers=headers, **more)
            for more in ({}, {}, {"model": "none/such"})
        ]
        sidecar.provider.script.always("503")
        replies.append(await sidecar.ask(asked, path, stream=stream, headers=headers))
        await receiver.until(10)
    everything = b"".join(receiver.bodies)

    assert [200, 200] == [reply.status for reply in replies[:2]]
    assert b"MARK-ANSWER" in replies[0].body
    assert [404, 503] == [reply.status for reply in replies[2:]]
    assert shown_hash("MARK-SESSION").encode() in everything
    assert [] == [mark for mark in marks if mark.encode() in everything]


async def test_what_a_collector_gets_is_counted():
    """Exported spans by the exporter's thread."""
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver)) as sidecar:
        await sidecar.ask(headers=SAMPLED)
        await receiver.until(4)
        async with asyncio.timeout(10):
            while not (counted := await sidecar.metrics("spans_exported_total")):
                await asyncio.sleep(0.01)  # sleep: counted by a thread once the reply has come

    assert {(): 4.0} == counted


async def test_exemplars_name_the_traces_that_were_sampled_here():
    """Also where the sidecar itself began the trace."""
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver, 100.0)) as sidecar:
        await sidecar.ask()
        spans = await receiver.until(4)
        accept = {"accept": "application/openmetrics-text"}
        page = await exchange(
            sidecar.app.ports.admin, raw_request("GET", "/metrics", headers=accept)
        )

    assert f'trace_id="{spans[0].trace_id}"'.encode() in page.body


async def test_a_reload_changes_what_is_sampled(tmp_path):
    """The exporter stays."""
    async with otlp_receiver() as receiver, routed(tracing=traced(receiver)) as sidecar:
        await sidecar.ask()
        loaded = sidecar.app.generation.loaded
        file = tmp_path / "next.yaml"
        config = json.loads(loaded.files[0].read_text())
        config["tracing"]["random_sampling"] = 100
        file.write_text(json.dumps(config))
        sidecar.app.swap(load_config(file, {}))
        await sidecar.ask()
        spans = await receiver.until(4)

    assert 1 == len([span for span in spans if span.kind == "server"])

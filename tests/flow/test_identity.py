"""Who a call is, and what of it may be seen by whom."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from sidecar.demo.provider import DemoProvider
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request
from tests.support.sidecar_process import sidecar_config

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
MESSAGES = {"model": "claude-demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def _call(
    tmp_path, headers, *, path="/v1/chat/completions", body=None, **overrides
) -> tuple[RawReply, dict[str, list[str]]]:
    """One call through a sidecar: the reply, and the header values that the provider saw, by lower-case name."""
    async with DemoProvider() as provider:
        async with running_app(sidecar_config(provider.url, **overrides), tmp_path) as app:
            body = body or (MESSAGES if path.startswith("/v1/messages") else CHAT)
            reply = await exchange(app.ports.data, json_request(path, body, headers))
        seen: dict[str, list[str]] = {}
        for name, value in provider.requests[0].headers if provider.requests else ():
            seen.setdefault(name.decode().lower(), []).append(value.decode())
    return reply, seen


@pytest.mark.parametrize("sent", ["req-1", "A.b_c~d:e/f+g=h@i-j", "x" * 128])
async def test_a_request_id_is_kept_byte_for_byte(tmp_path, sent):
    """To the provider, and back to the app."""
    reply, seen = await _call(tmp_path, {"x-request-id": sent})

    assert ([sent], [sent]) == (seen["x-request-id"], reply.header_values("x-request-id"))


@pytest.mark.parametrize("sent", [None, "", "a b", "x" * 129])
async def test_an_unusable_request_id_is_replaced(tmp_path, sent):
    """By a UUID, the same on both sides."""
    reply, seen = await _call(tmp_path, {} if sent is None else {"x-request-id": sent})
    (minted,) = seen["x-request-id"]

    assert 4 == uuid.UUID(minted).version
    assert [minted] == reply.header_values("x-request-id")


async def test_errors_carry_the_request_id_too(tmp_path):
    """Whoever asks about an error has an id to ask with."""
    reply, _ = await _call(tmp_path, {"x-request-id": "req-1"}, body={"model": "nope"})

    assert (404, "req-1") == (reply.status, reply.header("x-request-id"))


async def test_a_valid_trace_is_carried_on_unchanged(tmp_path):
    """With tracing off nobody would export a span of ours."""
    _, seen = await _call(tmp_path, {"traceparent": TRACEPARENT, "tracestate": "a=1, b=2"})

    assert ([TRACEPARENT], ["a=1,b=2"]) == (seen["traceparent"], seen["tracestate"])


@pytest.mark.parametrize("sent", [{}, {"traceparent": TRACEPARENT.upper(), "tracestate": "a=1"}])
async def test_a_missing_or_invalid_trace_is_begun_anew(tmp_path, sent):
    """Unsampled, and without the tracestate of a trace that is none."""
    _, seen = await _call(tmp_path, sent)

    assert "0af7651916cd43dd8448eb211c80319c" not in seen["traceparent"][0]
    assert seen["traceparent"][0].endswith("-00")
    assert "tracestate" not in seen


SECRETS = {
    "authorization": "Bearer app-secret",
    "x-api-key": "app-secret",
    "cookie": "session=app-secret",
    "x-model-affinity": "session-7",
    "x-org-id": "acme",
    "x-plano-anything": "ours",
    "baggage": "user=7",
    "x-unknown": "internal",
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_what_is_the_pods_own_stays_in_the_pod(tmp_path, path):
    """Credentials, cookies, session, tenant and unknown headers reach no provider; its own key does."""
    cache = {"session_cache": {"type": "memory", "tenant_header": "x-org-id"}}
    _, seen = await _call(tmp_path, SECRETS, path=path, routing=cache)
    key = {"x-api-key": ["sk-ant-demo"]} if path == "/v1/messages" else {"authorization": ["Bearer sk-demo"]}

    assert key == {name: values for name, values in seen.items() if name in SECRETS}
    assert "app-secret" not in str(seen)


FAMILIES = {
    "openai-beta": "x",
    "x-codex-turn": "1",
    "anthropic-beta": "y",
    "x-app": "cli",
    "x-stainless-lang": "py",
    "idempotency-key": "k",
}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/chat/completions", {"openai-beta", "x-codex-turn", "x-stainless-lang", "idempotency-key"}),
        ("/v1/messages", {"anthropic-beta", "x-app", "x-stainless-lang", "idempotency-key"}),
    ],
)
async def test_header_families_stay_with_their_kind(tmp_path, path, names):
    """A beta flag of one provider means nothing, or something else, to another."""
    _, seen = await _call(tmp_path, FAMILIES, path=path)

    assert names == set(seen) & set(FAMILIES)


async def test_the_providers_needs_are_met(tmp_path):
    """Identity coding, so that usage can be read; a version where a messages call lacks one; the host that was configured."""
    _, seen = await _call(tmp_path, {"accept-encoding": "gzip, br"}, path="/v1/messages")

    assert (["identity"], ["2023-06-01"], 1) == (
        seen["accept-encoding"],
        seen["anthropic-version"],
        len(seen["host"]),
    )


def _config_of(provider_url: str, entry: dict[str, object]) -> dict[str, object]:
    config = sidecar_config(provider_url, model_providers=[entry])
    del config["model_aliases"]
    return config


async def test_passthrough_auth_forwards_the_callers_credential(tmp_path):
    """Exactly as it came, with the account headers that belong to it."""
    async with DemoProvider() as provider:
        entry = {"model": "openai/gpt-4o", "base_url": provider.url, "passthrough_auth": True}
        async with running_app(_config_of(provider.url, entry), tmp_path) as app:
            headers = {"authorization": "Bearer  mine ", "openai-organization": "org-1"}
            await exchange(app.ports.data, json_request("/v1/chat/completions", CHAT, headers))
        (request,) = provider.requests

    assert (["Bearer  mine"], ["org-1"]) == (
        [value.strip() for value in request.header_values("authorization")],
        request.header_values("openai-organization"),
    )


async def test_the_providers_own_answer_headers_come_back(tmp_path):
    """Rate limits, repeated headers and the provider's request id; ours say who answered and why."""
    reply, _ = await _call(tmp_path, {"x-request-id": "req-1"})

    assert ["req-1"] == reply.header_values("x-request-id")
    assert 1 == len(reply.header_values("x-plano-upstream-request-id"))
    assert [] != [name for name, _ in reply.headers if name.lower().startswith("x-ratelimit-")]
    assert ("openai/gpt-4o", "requested", "1") == tuple(
        reply.header(f"x-plano-{name}") for name in ("model", "source", "attempts")
    )
    assert len(reply.header_values("set-cookie")) > 1


async def test_a_query_is_carried_on(tmp_path):
    """`?beta=true` is Anthropic's."""
    async with DemoProvider() as provider:
        async with running_app(sidecar_config(provider.url), tmp_path) as app:
            await exchange(app.ports.data, json_request("/v1/messages?beta=true&x=%20", MESSAGES))
        (request,) = provider.requests

    assert ("/v1/messages", "?beta=true&x=%20") == (request.path, request.query)


async def test_200_chunks_arrive_one_by_one(tmp_path):
    """The provider writes a chunk only when the app has read the one before: nothing on the way waits for more."""
    turn = asyncio.Semaphore(1)

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(200):
            await turn.acquire()
            data = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        writer.close()

    provider = await asyncio.start_server(provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    async with running_app(sidecar_config(url), tmp_path) as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(json_request("/v1/chat/completions", {**CHAT, "stream": True}))
        async with asyncio.timeout(30):
            for number in range(200):
                await reader.readuntil(b"data: %d\n\n" % number)
                turn.release()
            await reader.readuntil(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        writer.close()
    provider.close()

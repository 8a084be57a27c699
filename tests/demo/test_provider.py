"""The demo provider behaves like a real one, and fails where a call asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.demo.provider import DemoProvider
from tests.support.net import RawReply, exchange, json_request, raw_request

PATH = "/v1/chat/completions"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
MESSAGE = {**CHAT, "model": "claude-demo", "max_tokens": 9}
VERSION = {"anthropic-version": "2023-06-01"}


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[DemoProvider]:
    async with DemoProvider() as provider:
        yield provider


async def call(
    provider: DemoProvider, body: object, path: str = PATH, headers: dict[str, str] | None = None
) -> RawReply:
    return await exchange(int(provider.url.rpartition(":")[2]), json_request(path, body, headers))


@pytest.mark.parametrize(
    ("model", "text", "status"),
    [
        ("error-529", "Hello", 529),
        ("gpt-4o", "Hello [[fail:400]]", 400),
        ("gpt-4o", "[[fail:503]]", 503),
        ("error-of-mine", "Hello", 200),
        ("gpt-4o", "[[fail:hang]]", 200),
    ],
)
async def test_a_call_fails_with_the_status_that_it_asks_for(
    provider: DemoProvider, model: str, text: str, status: int
) -> None:
    """By its model's name or by what it says; a streamed call too, in the words of its API."""
    turns = [{"role": "user", "content": text}]
    chat = await call(provider, {"model": model, "messages": turns, "stream": True})
    message = {"model": model, "messages": turns, "max_tokens": 9}
    anthropic = await call(provider, message, "/v1/messages", VERSION)

    assert (status, status) == (chat.status, anthropic.status)
    if status >= 400:
        assert "code" in chat.json()["error"]
        assert "error" == anthropic.json()["type"]


@pytest.mark.parametrize("body", [b"{", b'{"\xff": 1}', b'{"a": "\xff"}', b"[" * 100_000])
async def test_a_body_that_cannot_be_read(provider: DemoProvider, body: bytes) -> None:
    """A 400, as a real provider would say: its own failures are asked for."""
    port = int(provider.url.rpartition(":")[2])
    reply = await exchange(port, raw_request("POST", PATH, body))

    assert (400, "invalid_request_error") == (reply.status, reply.json()["error"]["type"])


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (PATH, {"messages": []}, "you must provide a model parameter"),
        (
            "/v1/messages",
            {"model": "claude-demo", "messages": []},
            "anthropic-version: header is required",
        ),
        ("/v1/nowhere", {}, "Unknown request URL: /v1/nowhere"),
    ],
)
async def test_what_a_provider_refuses_by_itself(
    provider: DemoProvider, path: str, body: dict[str, object], message: str
) -> None:
    """What a real provider would refuse is refused here too."""
    assert (await call(provider, body, path)).json()["error"]["message"] == message


async def test_cached_tokens_of_a_long_prompt(provider: DemoProvider) -> None:
    """A long prompt is reported as partly cached: inside OpenAI's input tokens, beside
    Anthropic's.
    """
    turns = [{"role": "user", "content": "word " * 4000}]
    chat = (await call(provider, {**CHAT, "messages": turns})).json()["usage"]
    anthropic = (
        await call(provider, {**MESSAGE, "messages": turns}, "/v1/messages", VERSION)
    ).json()["usage"]
    assert (chat["prompt_tokens"], chat["prompt_tokens_details"]["cached_tokens"]) == (5000, 2432)
    assert (anthropic["input_tokens"], anthropic["cache_read_input_tokens"]) == (2568, 2432)


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/v1beta/openai/chat/completions"])
async def test_any_prefix(provider: DemoProvider, path: str) -> None:
    """The APIs are served under any prefix, as compatible providers have them."""
    assert (await call(provider, CHAT, path)).status == 200

"""Names that callers invent: a wildcard's models, sessions, routes. What they cost is bounded, however
long they are and however many come.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sidecar.app import App
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

LONGEST = "m" * (256 - len("openai/"))
MIB = 1 << 20
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/routing/v1/chat/completions")


class Wild(NamedTuple):
    """A sidecar whose callers invent the models, and the provider behind it."""

    app: App
    provider: ScriptedProvider

    async def call(
        self,
        model: str,
        path: str = PATHS[0],
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> RawReply:
        """One call of a model."""
        said = [{"role": "user", "content": "hi"}]
        body = {"model": model, "messages": said, "input": "hi", **members}
        return await exchange(self.app.ports.data, json_request(path, body, headers))


@pytest.fixture
async def wild(tmp_path: Path) -> AsyncIterator[Wild]:
    """Wildcards of both dialects; routes, and a router model that has no opinion."""
    async with ScriptedProvider() as provider:
        key = {"access_key": "sk-demo", "base_url": provider.url}
        entries: list[dict[str, Any]] = [
            {"model": "openai/*", "dialects": ["chat", "responses", "embeddings"], **key},
            {"model": "anthropic/*", **key},
        ]
        config = {**sidecar_config(provider.url), "model_providers": entries, "model_aliases": {}}
        async with running_app(config, tmp_path) as app:
            yield Wild(app, provider)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "name", ["m" * 257, "\u00e9" * 129, "m" * MIB], ids=["1", "2 bytes", "MiB"]
)
async def test_a_model_over_256_bytes_is_refused_at_the_door(wild, path, name):
    """It would be kept by every cache of names; OpenAI's own API refuses it alike."""
    reply = await wild.call(name, path)

    error = reply.json()["error"]
    assert (400, "invalid_body", "model", 0) == (
        reply.status,
        reply.header("x-plano-error"),
        error["param"],
        wild.provider.seen,
    )
    assert "256 bytes" in error["message"]


async def test_a_model_over_256_bytes_is_refused_in_the_callers_dialect(wild):
    """An SDK raises what it knows."""
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        reply = await wild.call("anthropic/" + "m" * 256, path)

        assert 400 == reply.status
        assert "invalid_request_error" == reply.json()["error"]["type"]


async def test_a_model_of_256_bytes_is_served(wild):
    """In UTF-8; its name comes back in a header."""
    by_prefix, escaped = (
        await wild.call(f"openai/{LONGEST}"),
        await wild.call("openai/" + "\u00e9" * 124),
    )

    assert (200, f"openai/{LONGEST}") == (by_prefix.status, by_prefix.header("x-plano-model"))
    assert (200, "openai/" + "%C3%A9" * 124) == (escaped.status, escaped.header("x-plano-model"))


async def test_a_description_of_a_model_over_256_bytes_is_not_found(wild):
    """No model has such a name."""
    port = wild.app.ports.data
    found = await exchange(port, raw_request("GET", f"/v1/models/openai/{LONGEST}"))
    refused = await exchange(port, raw_request("GET", f"/v1/models/openai/{'m' * 257}"))

    assert (200, 404, "model_not_found") == (
        found.status,
        refused.status,
        refused.header("x-plano-error"),
    )


async def test_long_names_leave_no_memory_behind(wild):
    """Two hundred calls with names of 1 MB once left 819 MiB."""
    await wild.call("openai/warm")
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(12):
            await wild.call(f"openai/{number}" + "m" * MIB)
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert left < MIB

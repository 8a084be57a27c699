"""A sidecar in this process that routes: its provider, its router model, and what a scrape says."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from sidecar.app import App
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel
from tests.support.sidecar_process import sidecar_config

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
PREFERENCES: list[dict[str, Any]] = [
    {
        "name": "code generation",
        "description": "writing new functions, scripts or boilerplate",
        "models": ["anthropic/claude-demo", "openai/gpt-4o"],
    },
    {
        "name": "summaries",
        "description": "making long texts short",
        "models": ["openai/gpt-4o", "openai/gpt-4o-mini"],
    },
]


class Routed(NamedTuple):
    """A running sidecar, its provider and its router model."""

    app: App
    provider: ScriptedProvider
    router: ScriptedRouterModel

    async def ask(self, text: str = "Write a function", path: str = CHAT, **more: Any) -> RawReply:
        """Make one call whose newest user message is ``text``; ``more`` are ``headers`` and body
        members.
        """
        headers = more.pop("headers", {})
        body: dict[str, Any] = {"model": "gpt-4o-mini", "max_tokens": 9}
        body |= (
            {"input": text}
            if path.endswith(RESPONSES)
            else {"messages": [{"role": "user", "content": text}]}
        )
        if path == MESSAGES:
            body["model"] = "claude-demo"
        return await exchange(self.app.ports.data, json_request(path, body | more, headers))

    async def wait_for_calls(self, count: int) -> None:
        """Wait until so many calls are under way."""
        async with asyncio.timeout(20):
            while await self.metrics("in_flight") != {(): count}:
                await asyncio.sleep(0.005)  # sleep: sockets become readable in the kernel's time

    async def ejected(self) -> dict[tuple[str, str], str]:
        """Scrape which candidates are ejected. Returns: (entry, model) -> reason."""
        states = await self.metrics("candidate_state")
        return {
            (account, model): reason
            for account, model, _, reason, state in states
            if state == "ejected"
        }

    async def metrics(self, name: str) -> dict[tuple[str, ...], float]:
        """Scrape a metric. Returns: label values in the order of their names -> value, without
        zeros.
        """
        body = (await exchange(self.app.ports.admin, raw_request("GET", "/metrics"))).body.decode()
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
            if sample.name == f"plano_sidecar_{name}" and sample.value
        }


@contextlib.asynccontextmanager
async def routed(
    entries: dict[str, dict[str, Any]] | None = None,
    adapt: Callable[[str], dict[str, Any]] | None = None,
    **overrides: Any,
) -> AsyncIterator[Routed]:
    """Start a provider, a router model and a sidecar.

    Args: ``entries`` are members of the provider entries, by model; ``overrides`` replace keys of
        the config, and so does what ``adapt`` makes of the provider's URL.
    """
    async with ScriptedProvider() as provider, ScriptedRouterModel() as router:
        config = sidecar_config(provider.url)
        for entry in config["model_providers"]:
            entry.update((entries or {}).get(entry["model"], {}))
        config |= (
            {} if adapt is None else {"model_aliases": {}, "passthrough": [], **adapt(provider.url)}
        )
        config["model_providers"].append({"model": "plano/router", "base_url": router.url})
        config = (
            {"routing_preferences": PREFERENCES}
            | config
            | {"overrides": {"llm_routing_model": "plano/router"}}
        )
        config |= overrides
        with tempfile.TemporaryDirectory() as work:
            async with running_app(config, Path(work)) as app:
                yield Routed(app, provider, router)


def decision_of(reply: RawReply) -> tuple[int, str | None, str | None, str | None]:
    """Return a response's status, and what the sidecar says of it: source, route and model."""
    names = ("x-plano-source", "x-plano-route", "x-plano-model")
    source, route, model = (reply.header(name) for name in names)
    return reply.status, source, route, model


async def together(*calls: Any) -> list[RawReply]:
    """Make calls at the same time. Returns: their responses, in the order of the calls."""
    return list(await asyncio.gather(*calls))

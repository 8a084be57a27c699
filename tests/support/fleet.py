"""A fleet: several sidecar processes before one Redis; and a measure of whether calls that begin a
session through all of them at once get the same model.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.demo.completion import DemoCompletion
from sidecar.demo.request import DemoRequest
from tests.support.net import read_reply
from tests.support.redis_server import RedisServer, redis_server
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel
from tests.support.sidecar_process import SidecarProcess, sidecar_config

PROCESSES, AT_ONCE = 4, 8
MODELS = ("openai/gpt-4o", "openai/gpt-4o-mini", "openai/m3", "openai/m4")


class InconsistentRouterModel(ScriptedRouterModel):
    """Says another route each time it is asked, so that a call that does not use the session's pin
    goes to another model.
    """

    def complete(self, request: DemoRequest) -> DemoCompletion:
        return DemoCompletion((json.dumps({"route": f"route {self.seen % len(MODELS)}"}),))


class Fleet(NamedTuple):
    """Sidecar processes before one provider, one router model and one Redis."""

    sidecars: list[SidecarProcess]
    provider: ScriptedProvider
    router: InconsistentRouterModel
    redis: RedisServer


def shared_config(
    provider_url: str, router_url: str, redis_url: str, **overrides: Any
) -> dict[str, Any]:
    """Four routes of one model each, pins in Redis."""
    config = sidecar_config(provider_url)
    config["model_providers"] = [
        {"model": model, "access_key": "k", "base_url": provider_url} for model in MODELS
    ]
    config["model_providers"][0]["default"] = True
    config["model_providers"].append({"model": "plano/router", "base_url": router_url})
    routes = [
        {"name": f"route {number}", "description": f"work {number}", "models": [model]}
        for number, model in enumerate(MODELS)
    ]
    cache = {"type": "redis", "url": redis_url, "tenant_header": "x-org-id", "call_budget_ms": 2000}
    return config | {
        "routing_preferences": routes,
        "overrides": {"llm_routing_model": "plano/router"},
        "routing": {"session_cache": cache, "router_timeout_ms": 20_000},
        "passthrough": [],
        "model_aliases": {},
    } | overrides  # fmt: skip


@contextlib.asynccontextmanager
async def running_fleet(processes: int = PROCESSES, **overrides: Any) -> AsyncIterator[Fleet]:
    """Start a fleet and wait until every sidecar is ready."""
    async with (
        ScriptedProvider(record=4) as provider,
        InconsistentRouterModel(record=4) as router,
        redis_server() as redis,
    ):
        with tempfile.TemporaryDirectory() as work:
            sidecars = [
                SidecarProcess(
                    shared_config(provider.url, router.url, redis.url, **overrides), Path(work)
                )
                for _ in range(processes)
            ]
            try:
                for sidecar in sidecars:
                    await sidecar.wait_ready()
                yield Fleet(sidecars, provider, router, redis)
            finally:
                for sidecar in sidecars:
                    await sidecar.terminate()


class AppConnection:
    """One app's keep-alive connection to one sidecar."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def decide(self, session: str, text: str) -> str:
        """Return the model that a call of the session is sent to."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = json.dumps({"model": MODELS[0], "messages": [{"role": "user", "content": text}]})
        head = (
            f"POST /routing/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Org-Id: acme\r\nX-Model-Affinity: {session}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write((head + body).encode())
        reply = await read_reply(reader)
        assert reply.status == 200, reply
        model: str = reply.json()["models"][0]
        return model

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()


class Agreement(NamedTuple):
    """What `measure_agreement` found."""

    disagreements: int
    router_calls: int
    models: collections.Counter[str]


async def measure_agreement(
    fleet: Fleet, sessions: int, *, sessions_at_once: int = 16
) -> Agreement:
    """Make ``AT_ONCE`` concurrent first calls of each session, spread over all processes, then one
    more through each process; count the sessions' models.
    """
    models: collections.Counter[str] = collections.Counter()
    disagreements = 0
    left = iter(range(sessions))

    async def work() -> None:
        nonlocal disagreements
        connections = [
            AppConnection(fleet.sidecars[number % len(fleet.sidecars)].data_port)
            for number in range(AT_ONCE)
        ]
        for number in left:
            session = f"session-{number}"
            first = await asyncio.gather(
                *(connection.decide(session, session) for connection in connections)
            )
            later = await asyncio.gather(
                *(
                    connection.decide(session, "later")
                    for connection in connections[: len(fleet.sidecars)]
                )
            )
            disagreements += len({*first, *later}) - 1
            models[first[0]] += 1
        for connection in connections:
            connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(sessions_at_once):
            group.create_task(work())
    return Agreement(disagreements, fleet.router.seen, models)

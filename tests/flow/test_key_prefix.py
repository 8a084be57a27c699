"""Two installations share a Redis and not their pins."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from tests.flow.test_affinity_command import command
from tests.support.redis_server import RedisServer, redis_server
from tests.support.routed import CHAT, Routed, decision_of, routed

PRODUCTION, STAGING = "plano:affinity:", "staging[*]:"
GPT = "openai/gpt-4o"


@contextlib.asynccontextmanager
async def installation(redis: RedisServer, prefix: str) -> AsyncIterator[Routed]:
    cache = {"type": "redis", "url": redis.url, "key_prefix": prefix, "call_budget_ms": 5000}
    async with routed(routing={"session_cache": cache}) as sidecar:
        while not await sidecar.metrics("affinity_store_up"):
            await asyncio.sleep(0.02)  # sleep: the connection stands in its own time
        yield sidecar


async def test_two_prefixes_on_one_server_are_two_sets_of_pins():
    """The same session is pinned twice; lists and deletions see their own, also where a prefix holds
    a glob's characters.
    """
    async with redis_server() as redis:
        async with installation(redis, PRODUCTION) as one, installation(redis, STAGING) as other:
            for sidecar, route in ((one, "summaries"), (other, "code generation")):
                sidecar.router.text = json.dumps({"route": route})
                await sidecar.ask(headers={"x-model-affinity": "s1"})
            pinned = [
                decision_of(await sidecar.ask(headers={"x-model-affinity": "s1"}))[1:]
                for sidecar in (one, other)
            ]
            keys = await redis.key_names()
        file = Path(redis.folder) / "config.yaml"
        cache = {"type": "redis", "url": redis.url, "key_prefix": STAGING}
        file.write_text(
            json.dumps(
                {
                    "model_providers": [{"model": GPT, "access_key": "k"}],
                    "routing": {"session_cache": cache},
                }
            )
        )
        listed = await command("list", "--config", str(file))
        dropped = await command("delete", "s1", "--config", str(file))
        left = await redis.key_names()

    assert [
        ("pinned", "summaries", GPT),
        ("pinned", "code generation", "anthropic/claude-demo"),
    ] == pinned
    assert {PRODUCTION + "s1", STAGING + "s1"} == set(keys)
    assert (2, (0, "1 deleted\n")) == (len(listed[1].splitlines()), dropped[:2])
    assert [PRODUCTION + "s1"] == left


async def test_an_agents_key_is_its_sessions_and_its_name():
    """As plano's other readers and a fenced user's ACL see it."""
    headers = {"x-model-affinity": "s1", "x-claude-code-agent-id": "a7", "x-org-id": "acme"}
    async with redis_server() as redis:
        cache = {"type": "redis", "url": redis.url, "tenant_header": "x-org-id"}
        async with routed(routing={"session_cache": cache}) as sidecar:
            while not await sidecar.metrics("affinity_store_up"):
                await asyncio.sleep(0.02)  # sleep: the connection stands in its own time
            await sidecar.ask("Make this long text short", CHAT, headers=headers)
            keys = await redis.key_names()

    assert ["plano:affinity:acme:s1~a7"] == keys

"""A rollout: two configs at once, a model that only one of them knows."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.redis_server import redis_server
from tests.support.routed import PREFERENCES, Routed, decision_of, routed

# Thousands of calls that reach what others reach: counting branches doubles the time they take.
pytestmark = pytest.mark.no_cover

SESSIONS, BOUNCES = 1000, 4
NEW, OLD = "openai/gpt-5-demo", "openai/gpt-4o"
SUMMARY = "Make this long text short"


def config_of(redis_url: str, provider_url: str, *, is_new: bool) -> dict[str, Any]:
    """The new config has one model more, and prefers it."""
    names = [OLD, "openai/gpt-4o-mini", *([NEW] if is_new else [])]
    entries: list[dict[str, Any]] = [
        {"model": name, "access_key": "k", "base_url": provider_url} for name in names
    ]
    entries[1]["default"] = True
    models = [NEW, OLD] if is_new else [OLD, "openai/gpt-4o-mini"]
    cache = {"type": "redis", "url": redis_url, "call_budget_ms": 2000}
    return {
        "model_providers": entries,
        "routing_preferences": [{**PREFERENCES[1], "models": models}],
        "routing": {"session_cache": cache},
    }


@contextlib.asynccontextmanager
async def both(redis_url: str) -> AsyncIterator[tuple[Routed, Routed]]:
    """A sidecar of the new config and one of the old."""
    new_config, old_config = (
        functools.partial(config_of, redis_url, is_new=is_new) for is_new in (True, False)
    )
    async with routed(adapt=new_config) as new, routed(adapt=old_config) as old:
        for sidecar in (new, old):
            while not await sidecar.metrics("affinity_store_up"):
                await asyncio.sleep(0.01)  # sleep: the connection stands in its own time
        yield new, old


async def bounce(sidecar: Routed, session: str, **more: Any) -> tuple[int, str | None, str | None]:
    """One call of a session: (status, source, model)."""
    status, source, _, model = decision_of(
        await sidecar.ask(SUMMARY, headers={"x-model-affinity": session}, **more)
    )
    return status, source, model


async def test_sessions_that_bounce_between_two_configs_do_not_ping_pong():
    """No call fails; a pin that one pod cannot serve is served around there and stands: it is never
    rewritten.
    """
    async with redis_server() as redis, both(redis.url) as (new, old):
        seen: dict[str, list[tuple[int, str | None, str | None]]] = collections.defaultdict(list)
        gate = asyncio.Semaphore(16)

        async def run(number: int) -> None:
            session = f"s{number}"
            order = (new, old) if number % 2 else (old, new)
            for step in range(BOUNCES):
                async with gate:
                    seen[session].append(await bounce(order[step % 2], session))

        await asyncio.gather(*(run(number) for number in range(SESSIONS)))
        values = [
            json.loads(await redis.client.get(key) or "{}") for key in await redis.key_names()
        ]
        operations = await old.metrics("affinity_operations_total")

    assert {200} == {status for calls in seen.values() for status, _, _ in calls}
    assert SESSIONS == len(values)
    assert {1} == {value["generation"] for value in values}
    for number in range(SESSIONS):
        calls = seen[f"s{number}"]
        own, foreign = ([model for _, _, model in calls[at::2]] for at in (0, 1))
        assert 1 == len(set(own))
        assert {OLD} == set(
            foreign
        )  # the old pod routes around what it does not know; the new one knows both
    assert SESSIONS // 2 * BOUNCES // 2 == operations["bypass", "unknown_model"]


async def test_no_lane_of_a_session_that_bounces_between_two_configs_is_routed_twice():
    """The main loop and the side calls of an agent each keep their pin: as many as there are, the
    session is never rewritten.
    """
    lanes, sessions = ("gpt-4o", "gpt-4o-mini"), 100
    async with redis_server() as redis, both(redis.url) as (new, old):

        async def run(number: int) -> set[tuple[int, str | None]]:
            order = (new, old) if number % 2 else (old, new)
            return {
                (await bounce(order[step % 2], f"s{number}", model=lane))[:2]
                for step in range(BOUNCES)
                for lane in lanes
            }

        seen = await asyncio.gather(*(run(number) for number in range(sessions)))
        values = [
            json.loads(await redis.client.get(key) or "{}") for key in await redis.key_names()
        ]

    assert {200} == {status for calls in seen for status, _ in calls}
    assert sessions == len(values)
    assert {1} == {
        each["generation"] for value in values for each in (value, *value["lanes"].values())
    }

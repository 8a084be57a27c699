"""Redis fails in every way while calls run: none of them does, and afterwards all agree again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from sidecar.affinity.key import plain_key
from sidecar.affinity.value import decode
from sidecar.domain.ids import SessionKey
from tests.support.redis_server import RedisServer, redis_server
from tests.support.routed import Routed, routed, told

CALLS = 40
TEXT = "Make this long text short"
GPT = "openai/gpt-4o"


class Shared(NamedTuple):
    """Two sidecars and their Redis."""

    one: Routed
    other: Routed
    redis: RedisServer


@contextlib.asynccontextmanager
async def shared() -> AsyncIterator[Shared]:
    """Ready, and connected."""
    async with redis_server() as redis:
        cache = {"type": "redis", "url": redis.url, "tenant_header": "x-org-id", "call_budget_ms": 50}
        routing: dict[str, Any] = {"session_cache": cache}
        async with routed(routing=routing) as one, routed(routing=routing) as other:
            await back(one, other)
            yield Shared(one, other, redis)


async def back(*houses: Routed) -> None:
    """Until every sidecar asks Redis, and has written back what it pinned meanwhile."""
    async with asyncio.timeout(20):
        for house in houses:
            while not await house.metrics("affinity_store_up") or await house.metrics("affinity_shadow_entries"):
                await asyncio.sleep(0.02)  # sleep: a connection is tried once a second


async def calls(house: Routed, name: str) -> list[tuple[int, str | None]]:
    """One call in each of `CALLS` sessions, eight at a time: (status, model)."""
    gate = asyncio.Semaphore(8)

    async def once(number: int) -> tuple[int, str | None]:
        async with gate:
            headers = {"x-model-affinity": f"{name}-{number}", "x-org-id": "acme"}
            status, _, _, model = told(await house.ask(TEXT, headers=headers))
            return status, model

    return list(await asyncio.gather(*(once(number) for number in range(CALLS))))


async def _kill(redis: RedisServer) -> None:
    redis.kill()


async def _start(redis: RedisServer) -> None:
    await redis.start()


async def _stop(redis: RedisServer) -> None:
    redis.pause()


async def _go_on(redis: RedisServer) -> None:
    redis.resume()


async def _pause(redis: RedisServer) -> None:
    await redis.client.client_pause(1500)


async def _wait(redis: RedisServer) -> None:
    await redis.client.ping()


async def _replica(redis: RedisServer) -> None:
    await redis.client.replicaof("127.0.0.1", "1")


async def _master(redis: RedisServer) -> None:
    await redis.client.replicaof("NO", "ONE")


async def _fill(redis: RedisServer) -> None:
    await redis.client.config_set("maxmemory", "1")


async def _free(redis: RedisServer) -> None:
    await redis.client.config_set("maxmemory", "0")


Step = Callable[[RedisServer], Awaitable[None]]
OUTAGES: dict[str, tuple[Step, Step]] = {
    "killed, restarted empty": (_kill, _start),
    "SIGSTOP": (_stop, _go_on),
    "CLIENT PAUSE": (_pause, _wait),
    "READONLY": (_replica, _master),
    "full": (_fill, _free),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_no_call_fails_and_all_agree_afterwards(outage):
    """Before, during and after; sessions of before keep their model throughout, those of meanwhile are shared after."""
    begin, end = OUTAGES[outage]
    async with shared() as house:
        before = await calls(house.one, "before")
        await begin(house.redis)
        held = await calls(house.one, "before")
        meanwhile = await calls(house.one, "meanwhile")
        again = await calls(house.one, "meanwhile")
        await end(house.redis)
        await back(house.one, house.other)
        after = await calls(house.one, "meanwhile")
        elsewhere = await calls(house.other, "meanwhile")
        operations = await house.one.metrics("affinity_operations_total")
        router = await house.one.metrics("router_requests_total")

    assert {(200, GPT)} == {*before, *held, *meanwhile, *again, *after, *elsewhere}
    assert sum(router.values()) <= 3 * CALLS  # no storm: a session asks once
    failed = sum(count for (_, outcome), count in operations.items() if outcome in ("timeout", "error"))
    print(f"\n{outage}: {failed:.0f} operations failed in {6 * CALLS} calls")
    assert failed <= 2 * CALLS + 8  # at most one wait a call, and only until the breaker opens where Redis hangs
    if outage in ("killed, restarted empty", "SIGSTOP", "CLIENT PAUSE"):
        assert failed <= 16


async def test_a_redis_that_flaps():
    """Every half second, while calls run: none fails."""
    async with shared() as house:
        statuses = set()
        for number in range(3):
            house.redis.kill()
            statuses |= set(await calls(house.one, f"down-{number}"))
            await house.redis.start()
            statuses |= set(await calls(house.other, f"up-{number}"))
        await back(house.one, house.other)
        last = await calls(house.other, "down-2")

    assert {(200, GPT)} == {*statuses, *last}


async def test_a_redis_that_is_down_at_start():
    """The sidecar starts, is ready and serves; its pins are shared once there is somebody to share them with."""
    async with redis_server() as redis:
        redis.kill()
        cache = {"type": "redis", "url": redis.url}
        async with routed(routing={"session_cache": cache}) as house:
            headers = {"x-model-affinity": "s1"}
            first = await house.ask(TEXT, headers=headers)
            second = await house.ask("Xyzzy", headers=headers)
            await redis.start()
            await back(house)
            value = await redis.client.get(plain_key(SessionKey("s1", None)))

    assert ["routed", "pinned"] == [told(reply)[1] for reply in (first, second)]
    assert isinstance(value, bytes)
    binding = decode(value)
    assert binding is not None
    assert GPT == binding.model_name


async def test_tenants_are_kept_apart_and_a_missing_one_is_served_unpinned():
    """The header names the tenant; without it there is no session, and no key."""
    async with shared() as house:
        for tenant in ("acme", "zeta"):
            await house.one.ask(TEXT, headers={"x-model-affinity": "s1", "x-org-id": tenant})
        nobody = await house.one.ask(TEXT, headers={"x-model-affinity": "s1"})
        twice = await house.one.ask(TEXT, headers={"x-model-affinity": "s1", "x-org-id": "a\r\nx-org-id: b"})
        keys = await house.redis.key_names()

    assert ["plano:affinity:acme:s1", "plano:affinity:zeta:s1"] == keys
    assert (200, 400) == (nobody.status, twice.status)


async def test_agents_keep_their_main_loop_on_one_model():
    """One session id: a main loop on one model, side calls on another, counts and embeddings, subagents in parallel."""
    async with shared() as house:
        headers = {"x-claude-code-session-id": "c1", "x-org-id": "acme"}
        main: set[str | None] = set()
        side: set[str | None] = set()
        for number in range(5):
            both = (house.one, house.other)
            asked = [both[n % 2].ask(f"{TEXT} {number}-{n}", model="gpt-4o-mini", headers=headers) for n in range(4)]
            asked += [both[n % 2].ask(f"Xyzzy {number}-{n}", model="gpt-4o", headers=headers) for n in range(2)]
            replies = await asyncio.gather(*asked)
            main |= {told(reply)[3] for reply in replies[:4]}
            side |= {told(reply)[3] for reply in replies[4:]}
            counted = await house.one.ask("x", "/v1/messages/count_tokens", model="claude-demo", headers=headers)
            embedded = await house.one.ask("x", "/v1/embeddings", model="text-embedding-3-small", headers=headers)
            assert [200, 200] == [counted.status, embedded.status]
        keys = await house.redis.key_names()

    assert (1, 1) == (len(main), len(side))
    assert 2 == len(keys)

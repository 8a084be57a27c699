"""Redis fails in every way while calls run: no call fails, and afterwards all sidecars agree
again.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import pytest

from sidecar.affinity.session import make_session
from sidecar.affinity.value import decode
from tests.support.redis_server import RedisServer, redis_server
from tests.support.routed import Routed, decision_of, routed

# Thousands of calls that reach what others reach: counting branches doubles the time they take.
pytestmark = pytest.mark.no_cover

CALLS_PER_S = 200
AT_ONCE = 40
"""Calls under way, at most: a busy machine makes fewer a second, not ever more at once."""
LIMIT_S = 60.0
"""For what must happen some time, however busy the machine is."""
TEXT = "Make this long text short"
OTHER_TEXT = "Write new functions and boilerplate"
"""Without a pin it goes to another model than ``TEXT``: a call that does not find its session's pin
is noticed.
"""
GPT = "openai/gpt-4o"
TENANT = "acme"
FAILED = ("timeout", "error")
"""Outcomes of operations that waited for Redis in vain."""


class Pair(NamedTuple):
    """Two sidecars and their Redis."""

    one: Routed
    other: Routed
    redis: RedisServer

    def own(self, session: str) -> Routed:
        """The sidecar that makes a session's calls while the load runs."""
        return (self.one, self.other)[int(session.rpartition("-")[2]) % 2]

    async def failures(self) -> int:
        """Operations so far that waited for Redis in vain."""
        counts = await self.operations()
        return sum(count for (_, outcome), count in counts.items() if outcome in FAILED)

    async def operations(self) -> collections.Counter[tuple[str, ...]]:
        """Count both sidecars' operations so far, by name and outcome."""
        return await self.total_of("affinity_operations_total")

    async def total_of(self, metric: str) -> collections.Counter[tuple[str, ...]]:
        """Add up both sidecars' values of a metric, by its labels."""
        found: collections.Counter[tuple[str, ...]] = collections.Counter()
        for sidecar in (self.one, self.other):
            found.update({key: int(n) for key, n in (await sidecar.metrics(metric)).items()})
        return found


def routing_of(redis: RedisServer, call_budget_ms: int) -> dict[str, Any]:
    """The config of a sidecar that shares its pins.

    A router model that a busy machine is late for would make provisional pins, which may change
    their model: it gets all the time there is.
    """
    cache = {
        "type": "redis",
        "url": redis.url,
        "tenant_header": "x-org-id",
        "call_budget_ms": call_budget_ms,
    }
    return {"session_cache": cache, "router_timeout_ms": 20_000}


@contextlib.asynccontextmanager
async def running_pair() -> AsyncIterator[Pair]:
    """Start two sidecars and their Redis, and wait until both are connected."""
    async with redis_server() as redis:
        routing = routing_of(redis, 50)
        async with routed(routing=routing) as one, routed(routing=routing) as other:
            await wait_until_back(one, other)
            yield Pair(one, other, redis)


async def wait_until_back(*sidecars: Routed) -> None:
    """Wait until every sidecar asks Redis, and has written back what it pinned meanwhile."""
    async with asyncio.timeout(LIMIT_S):
        for sidecar in sidecars:
            while not await sidecar.metrics("affinity_store_up") or await sidecar.metrics(
                "affinity_shadow_entries"
            ):
                await asyncio.sleep(0.02)  # sleep: a connection is tried once a second


async def wait_until_given_up(*sidecars: Routed) -> None:
    """Wait until no sidecar asks Redis any more."""
    async with asyncio.timeout(LIMIT_S):
        for sidecar in sidecars:
            while await sidecar.metrics("affinity_store_up"):
                await asyncio.sleep(0.02)  # sleep: it takes some calls that wait in vain


class Outage(NamedTuple):
    """One way in which Redis fails."""

    begin: Callable[[RedisServer], Awaitable[object]]
    end: Callable[[RedisServer], Awaitable[object]]
    is_silent: bool
    """Redis says nothing until ``end``, so that a sidecar gives it up."""


async def _kill(redis: RedisServer) -> None:
    redis.kill()


async def _stop(redis: RedisServer) -> None:
    redis.pause()


async def _go_on(redis: RedisServer) -> None:
    redis.resume()


OUTAGES = {
    "killed, restarted empty": Outage(_kill, RedisServer.start, is_silent=True),
    "SIGSTOP": Outage(_stop, _go_on, is_silent=True),
    # It ends by itself: while all clients wait, none can end it.
    "CLIENT PAUSE": Outage(
        lambda redis: redis.client.client_pause(3000),
        lambda redis: redis.client.ping(),
        is_silent=False,
    ),
    "READONLY": Outage(
        lambda redis: redis.client.replicaof("127.0.0.1", "1"),
        lambda redis: redis.client.replicaof("NO", "ONE"),
        is_silent=False,
    ),
    "full": Outage(
        lambda redis: redis.client.config_set("maxmemory", "1"),
        lambda redis: redis.client.config_set("maxmemory", "0"),
        is_silent=False,
    ),
    "LOADING": Outage(RedisServer.restart_slowly, RedisServer.finish_loading, is_silent=True),
}


class Load:
    """Calls through two sidecars, eight to a session, all of a session's through one of them: no
    two sidecars can agree over a Redis that is gone. Notes what came of the calls, by phase.
    """

    def __init__(self, pair: Pair) -> None:
        self.phase = "before"
        self.models: dict[str, set[str | None]] = collections.defaultdict(set)
        """By session, which is called ``<phase>-<number>``."""
        self.statuses: collections.Counter[tuple[str, int]] = collections.Counter()
        self.slowest_s: dict[str, float] = collections.defaultdict(float)
        self._pair = pair
        self._begun = 0
        self._ended = 0
        self._is_over = False
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Make calls until `end`."""
        loop = asyncio.get_running_loop()
        slots = asyncio.Semaphore(AT_ONCE)
        began_s = loop.time()
        while not self._is_over:
            await slots.acquire()
            call = loop.create_task(self._call(self._begun, self.phase))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            call.add_done_callback(lambda _: slots.release())
            self._begun += 1
            ahead_s = began_s + self._begun / CALLS_PER_S - loop.time()
            await asyncio.sleep(max(0.0, ahead_s))  # sleep: the rate
        await asyncio.gather(*self._calls)

    def end(self) -> None:
        """Make no more calls."""
        self._is_over = True

    async def sessions(self, count: int) -> None:
        """Wait until the calls of so many more sessions have been replied to, beside those that are
        under way now.
        """
        wanted = self._begun + 8 * count
        while self._ended < wanted:
            await asyncio.sleep(0.01)  # sleep: the load goes on by itself

    async def _call(self, number: int, phase: str) -> None:
        session = f"{phase}-{number // 8}"
        text = (TEXT, OTHER_TEXT)[number % 2]
        began_s = time.monotonic()
        reply = await self._pair.own(session).ask(text, headers=headers_of(session))
        self.slowest_s[phase] = max(self.slowest_s[phase], time.monotonic() - began_s)
        status, _, _, model = decision_of(reply)
        self.statuses[phase, status] += 1
        self.models[session].add(model)
        self._ended += 1


def headers_of(session: str) -> dict[str, str]:
    return {"x-model-affinity": session, "x-org-id": TENANT}


async def models_elsewhere(pair: Pair, sessions: Iterable[str]) -> dict[str, set[str | None]]:
    """Ask a third sidecar, which has seen none of the sessions, for each one's model.

    Pins that Redis lost are written again by the sidecar that knows them, in the session's next
    call there. The third sidecar waits for Redis as long as it takes: a call that a busy machine is
    late for is served without its pin, which says nothing of where the pin is.
    """
    await wait_until_back(pair.one, pair.other)
    for session in sessions:
        key = make_session(session, TENANT).key
        async with asyncio.timeout(LIMIT_S):
            while not await pair.redis.client.exists(key):
                await pair.own(session).ask(TEXT, headers=headers_of(session))
    async with routed(routing=routing_of(pair.redis, 20_000)) as third:
        await wait_until_back(third)
        return {
            session: {
                decision_of(await third.ask(text, headers=headers_of(session)))[3]
                for text in (TEXT, OTHER_TEXT)
            }
            for session in sessions
        }


@pytest.mark.parametrize("outage", OUTAGES)
async def test_no_call_fails_and_all_agree_afterwards(outage):
    """At 200 calls a second: none fails, none waits for a Redis that is given up, and what was
    pinned meanwhile is everybody's once Redis is back. The times are printed.
    """
    begin, end, is_silent = OUTAGES[outage]
    async with running_pair() as pair:
        load = Load(pair)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await load.sessions(15)
            # What is pinned while the outage begins may be in Redis, and be lost with it: those
            # sessions are of before.
            await begin(pair.redis)
            load.phase = "meanwhile"
            if is_silent:
                await wait_until_given_up(pair.one, pair.other)
            failed_at_first = await pair.failures()
            await load.sessions(50)
            failed = await pair.failures()
            await end(pair.redis)
            load.phase = "after"
            began_s = time.monotonic()
            await wait_until_back(pair.one, pair.other)
            back_s = time.monotonic() - began_s
            await load.sessions(15)
            load.end()
        elsewhere = await models_elsewhere(pair, load.models)
        operations = await pair.operations()
        router = await pair.total_of("router_requests_total")

    slowest = (f"{phase} {slow_s * 1e3:.0f} ms" for phase, slow_s in load.slowest_s.items())
    print(
        f"\n{outage}: {sum(load.statuses.values())} calls, {failed} waits in vain, "
        f"back after {back_s:.1f} s; slowest call {', '.join(slowest)}"
    )
    assert {200} == {status for _, status in load.statuses}
    assert {} == {session: each for session, each in load.models.items() if len(each) != 1}
    assert load.models == elsewhere
    if is_silent:
        assert failed_at_first == failed
    # No storm: a session asks the router model once a sidecar.
    assert router.total() <= 2 * len(load.models)
    assert operations["get", "skipped"] or operations["claim", "skipped"]
    # A session is called through one sidecar here: no other can have been first.
    assert operations["write_back", "claimed"]
    assert not operations["write_back", "adopted"]


async def test_a_redis_that_flaps():
    """Every second, while calls run: none fails, and in the end all agree."""
    async with running_pair() as pair:
        load = Load(pair)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            for _ in range(3):
                pair.redis.kill()
                await asyncio.sleep(0.5)  # sleep: it flaps
                await pair.redis.start()
                await asyncio.sleep(0.5)  # sleep: it flaps
            await wait_until_back(pair.one, pair.other)
            load.end()
        elsewhere = await models_elsewhere(pair, load.models)

    assert {200} == {status for _, status in load.statuses}
    assert {} == {session: each for session, each in load.models.items() if len(each) != 1}
    assert load.models == elsewhere


async def test_a_redis_that_is_down_at_start():
    """The sidecar starts, is ready and serves; its pins are shared once there is somebody to share
    them with.
    """
    async with redis_server() as redis:
        redis.kill()
        cache = {"type": "redis", "url": redis.url}
        async with routed(routing={"session_cache": cache}) as sidecar:
            headers = {"x-model-affinity": "s1"}
            first = await sidecar.ask(TEXT, headers=headers)
            second = await sidecar.ask("Xyzzy", headers=headers)
            await redis.start()
            await wait_until_back(sidecar)
            value = await redis.client.get(make_session("s1", None).key)

    assert ["routed", "pinned"] == [decision_of(reply)[1] for reply in (first, second)]
    assert isinstance(value, bytes)
    lanes = decode(value)
    assert lanes is not None
    assert [GPT] == [binding.model_name for binding in lanes.bindings]


async def test_tenants_are_kept_apart_and_a_missing_one_is_served_unpinned():
    """The header names the tenant; without it there is no session, and no key."""
    async with running_pair() as pair:
        for tenant in ("acme", "zeta"):
            await pair.one.ask(TEXT, headers={"x-model-affinity": "s1", "x-org-id": tenant})
        nobody = await pair.one.ask(TEXT, headers={"x-model-affinity": "s1"})
        twice = await pair.one.ask(
            TEXT, headers={"x-model-affinity": "s1", "x-org-id": "a\r\nx-org-id: b"}
        )
        keys = await pair.redis.key_names()

    assert ["plano:affinity:acme:s1", "plano:affinity:zeta:s1"] == keys
    assert (200, 400) == (nobody.status, twice.status)


async def test_agents_keep_their_main_loop_on_one_model():
    """One session id: a main loop on one model, side calls on another, counts and embeddings,
    subagents in parallel.

    What the main loop says would go to two models if nothing were pinned, and to another one than
    the side calls.
    """
    async with running_pair() as pair:
        headers = {"x-claude-code-session-id": "c1", "x-org-id": "acme"}
        main: set[str | None] = set()
        side: set[str | None] = set()
        counts: set[str | None] = set()
        for number in range(5):
            both = (pair.one, pair.other)
            texts = [OTHER_TEXT if n % 2 or not number else TEXT for n in range(4)]
            asked = [
                both[n % 2].ask(f"{text} {n}", model="gpt-4o-mini", headers=headers)
                for n, text in enumerate(texts)
            ]
            asked += [
                both[n % 2].ask(f"Xyzzy {number}-{n}", model="gpt-4o", headers=headers)
                for n in range(2)
            ]
            replies = await asyncio.gather(*asked)
            main |= {decision_of(reply)[3] for reply in replies[:4]}
            side |= {decision_of(reply)[3] for reply in replies[4:]}
            counted = await pair.one.ask(
                TEXT, "/v1/messages/count_tokens", model="gpt-4o-mini", headers=headers
            )
            counts.add(decision_of(counted)[3])
            embedded = await pair.one.ask(
                "x", "/v1/embeddings", model="text-embedding-3-small", headers=headers
            )
            assert [200, 200] == [counted.status, embedded.status]
        alone = decision_of(
            await pair.one.ask(
                TEXT, model="gpt-4o-mini", headers={"x-model-affinity": "off", **headers}
            )
        )
        keys = await pair.redis.key_names()

    assert ({"anthropic/claude-demo"}, {"anthropic/claude-demo"}, {GPT}) == (main, counts, side)
    assert (200, "routed", "summaries", GPT) == alone
    assert ["plano:affinity:acme:c1"] == keys

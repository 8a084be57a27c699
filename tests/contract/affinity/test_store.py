"""What every affinity store promises: memory, Redis 6.2, Redis 7."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from sidecar.affinity.lanes import FIRST_LANE, MAX_LANES, Lanes
from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.redis.connect import connection_maker
from sidecar.affinity.redis.link import RedisLink
from sidecar.affinity.redis.queries import StorePolicy
from sidecar.affinity.redis.store import RedisStore
from sidecar.affinity.session import make_session
from sidecar.affinity.store import AffinityStore, StoreSettings
from sidecar.affinity.value import decode, encode
from sidecar.config.schema_routing import RedisTls, SessionCache
from sidecar.config.secret import Secret
from sidecar.domain.clock import SystemClock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation, Listeners
from sidecar.domain.observers import Observers
from tests.support.redis_server import KINDS, RedisServer, redis_server

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
MAIN, SIDE = make_session("s1", "acme", GPT), make_session("s1", "acme", MINI)


def a_pin(model: str = GPT, requested: str = GPT, **more: Any) -> Binding:
    return dataclasses.replace(Binding(model, "code", requested, 1, 1763900000.5), **more)


def pin_in(value: object, lane: str = GPT) -> Binding | None:
    """A lane's pin in the value of a key."""
    lanes = decode(value) if isinstance(value, bytes) else None
    return None if lanes is None else lanes.of(lane)


def value_of(*pins: Binding) -> bytes:
    """The value of a key with these pins."""
    return encode(Lanes(pins))


class Heard:
    """Counts operations by name and outcome."""

    def __init__(self) -> None:
        self.operations: collections.Counter[tuple[str, str]] = collections.Counter()

    def listeners(self) -> Listeners:
        return {AffinityOperation: self._count}

    def _count(self, event: AffinityOperation) -> None:
        self.operations[event.operation, event.outcome] += 1


@contextlib.asynccontextmanager
async def redis_store(
    server: RedisServer,
    heard: Heard | None = None,
    *,
    waits: bool = True,
    port: int | None = None,
    user: str | None = None,
    password: str | Secret | None = None,
    tls: RedisTls | None = None,
    **policy: object,
) -> AsyncIterator[RedisStore]:
    """A store on a server, connected unless it should not wait for that."""
    url = f"redis{'s' if tls else ''}://127.0.0.1:{port or server.port}/0"
    secret = password if isinstance(password, Secret) else None
    if secret is None and (password or user):
        secret = Secret(str(password or "any"))
    cache = SessionCache(
        type="redis",
        url=Secret(url),
        username=None if user is None else Secret(user),
        password=secret,
        tls=tls or RedisTls(),
    )
    link = functools.partial(RedisLink, connection_maker(cache))
    settings = msgspec.structs.replace(
        StorePolicy(ttl_s=600, budget_s=5.0, max_entries=1000), **policy
    )
    store = RedisStore(link, settings, SystemClock(), Observers([heard] if heard else []))
    store.start()
    async with asyncio.timeout(20):
        while waits and not store.is_up:
            await asyncio.sleep(0.005)  # sleep: the connection stands in its own time
    try:
        yield store
    finally:
        await store.aclose()


MakeStore = Callable[..., AbstractAsyncContextManager[AffinityStore]]


@pytest_asyncio.fixture(params=["memory", *(f"redis {kind}" for kind in KINDS)])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[MakeStore]:
    """Makes stores of one kind; two of Redis share what they hold."""
    kind: str = request.param
    if kind == "memory":
        shared = MemoryStore(SystemClock(), ttl_s=600, max_entries=1000)

        @contextlib.asynccontextmanager
        async def memory(**_: object) -> AsyncIterator[AffinityStore]:
            yield shared

        yield memory
        return
    async with redis_server(kind.split()[1]) as server:
        yield functools.partial(redis_store, server)


async def test_nothing_stands_at_first(make):
    """A miss is None, with and without waiting."""
    async with make() as store:
        assert (None, None) == (store.get_nowait(MAIN), await store.get(MAIN))


async def test_the_first_claim_stands_for_all(make):
    """The second writer adopts; every store reads the same."""
    async with make() as one, make() as other:
        assert a_pin() == await one.claim(MAIN, a_pin())
        assert a_pin() == await other.claim(MAIN, a_pin(MINI))
        assert [a_pin()] * 2 == [await one.get(MAIN), await other.get(MAIN)]


async def test_a_burst_of_claims_agrees(make):
    """Fifty at once, over two stores."""
    async with make() as one, make() as other:
        claims = [(one, other)[n % 2].claim(MAIN, a_pin(f"openai/m{n}")) for n in range(50)]

        assert 1 == len(set(await asyncio.gather(*claims)))


async def test_settings_may_change_under_a_store_at_work(make):
    """Pins made from then on live as long as is said then; those that stand keep their time."""
    async with make() as store:
        await store.claim(MAIN, a_pin())
        store.use(StoreSettings(60.0, False, 500, 1.0))
        later = make_session("later", "acme", GPT)
        await store.claim(later, a_pin())
        times = {pin.key: pin.left_s for pin in (await store.pins.page(None, None, 10)).pins}

    assert 60 < times[MAIN.key] <= 600
    assert 0 < times[later.key] <= 60


async def test_lanes_stay_apart(make):
    """The lane that claims first owns the session's key; another requested model has a pin of its
    own.
    """
    async with make() as one, make() as other:
        await one.claim(MAIN, a_pin())
        side = a_pin(MINI, MINI)
        assert side == await other.claim(SIDE, side)
        for store in (one, other):
            assert [a_pin(), side] == [await store.get(MAIN), await store.get(SIDE)]


async def test_the_first_lane_is_found_without_its_name(make):
    """By a call that names no model, also where another process has made the pins."""
    any_lane = make_session("s1", "acme", FIRST_LANE)
    async with make() as one, make() as other:
        assert None is await one.get(any_lane)
        first = await one.claim(MAIN, a_pin())
        await one.claim(SIDE, a_pin(MINI, MINI))

        assert [first] * 3 == [
            await other.get(any_lane), await one.get(any_lane), await one.get(MAIN)
        ]  # fmt: skip


async def test_tenants_and_sessions_stay_apart(make):
    """A colon in a name is a character."""
    keys = [
        make_session("b", "a", GPT),
        make_session("a:b", None, GPT),
        make_session("b", "a:", GPT),
        make_session("b", None, GPT),
    ]
    async with make() as store:
        for number, key in enumerate(keys):
            await store.claim(key, a_pin(f"openai/m{number}"))

        assert [f"openai/m{number}" for number in range(4)] == [
            (await store.get(key)).model_name for key in keys
        ]


async def test_replace_takes_the_place_of_what_was_seen(make):
    """And of nothing else: who saw an older one is told what stands."""
    async with make() as one, make() as other:
        await one.claim(MAIN, a_pin())
        await other.get(MAIN)
        moved = a_pin(MINI, generation=2, home=GPT, away_since_unix_s=1763900001.0)
        assert moved == await one.replace(MAIN, a_pin(), moved)
        assert moved == await other.replace(MAIN, a_pin(), a_pin("openai/x"))
        assert moved == await one.get(MAIN)


async def test_replace_in_a_second_lane(make):
    """The first lane keeps what it has."""
    async with make() as store:
        await store.claim(MAIN, a_pin())
        await store.claim(SIDE, a_pin(MINI, MINI))
        await store.replace(SIDE, a_pin(MINI, MINI), a_pin("openai/x", MINI))

        assert [GPT, "openai/x"] == [(await store.get(key)).model_name for key in (MAIN, SIDE)]


async def test_release_drops_what_was_seen(make):
    """Only that."""
    async with make() as store:
        await store.claim(MAIN, a_pin())
        await store.release(MAIN, a_pin("openai/x"))
        assert a_pin() == await store.get(MAIN)
        await store.release(MAIN, a_pin())

        assert await store.get(MAIN) is None


async def test_every_field_comes_back(make):
    """Route or none, provisional, home."""
    whole = a_pin(provisional=True, route_name=None, home=MINI, away_since_unix_s=1763900001.5)
    async with make() as one, make() as other:
        await one.claim(MAIN, whole)

        assert whole == await other.get(MAIN)


async def test_a_second_look_does_not_wait(make):
    """What was read once is at hand."""
    async with make() as one, make() as other:
        await one.claim(MAIN, a_pin())
        await other.get(MAIN)

        assert a_pin() == other.get_nowait(MAIN)


AGENT = make_session("s1", "acme", GPT, "a7")


async def test_a_sub_agent_has_pins_of_its_own(make):
    """It asks under the session id of the main loop, and moves it nowhere."""
    async with make() as one, make() as other:
        await one.claim(MAIN, a_pin())
        assert await other.get(AGENT) is None
        assert a_pin(MINI) == await other.claim(AGENT, a_pin(MINI))
        await other.replace(AGENT, a_pin(MINI), a_pin("openai/x", generation=2))

        assert [GPT, "openai/x"] == [(await one.get(each)).model_name for each in (MAIN, AGENT)]


async def test_lanes_that_are_claimed_at_once_all_stand(make):
    """Over two stores; within each lane the first one holds."""
    async with make() as one, make() as other:
        lanes = [make_session("s1", "acme", f"openai/l{n % 8}") for n in range(48)]
        claims = [
            (one, other)[n // 8 % 2].claim(lane, a_pin(f"openai/m{n}", lane.lane))
            for n, lane in enumerate(lanes)
        ]
        found = await asyncio.gather(*claims)

        for store in (one, other):
            assert found == [await store.get(lane) for lane in lanes]
        assert 8 == len(set(found))


async def test_changes_of_two_lanes_at_once_both_stand(make):
    """What is lost to another lane is tried again; what is lost to the same one is adopted."""
    async with make() as one, make() as other:
        await one.claim(MAIN, a_pin())
        await one.claim(SIDE, a_pin(MINI, MINI))
        await other.get(MAIN)
        side, moved = a_pin("openai/y", MINI, generation=2), a_pin("openai/x", generation=2)
        late = a_pin("openai/late", generation=2)
        said = await asyncio.gather(
            one.replace(MAIN, a_pin(), moved),
            other.replace(SIDE, a_pin(MINI, MINI), side),
            other.replace(MAIN, a_pin(), late),
        )

        assert side == said[1]
        assert said[0] == said[2] in (moved, late)
        assert [said[0], side] * 2 == [
            await store.get(each) for store in (one, other) for each in (MAIN, SIDE)
        ]


async def test_a_released_first_lane_is_succeeded_by_the_oldest(make):
    """The others stay, and the last one's release leaves nothing."""
    sessions = [make_session("s1", "acme", lane) for lane in ("openai/a", "openai/b", "openai/c")]
    pins = [
        a_pin("m/m", each.lane, bound_at_unix_s=float(10 - n)) for n, each in enumerate(sessions)
    ]
    async with make() as one, make() as other:
        for session, pin in zip(sessions, pins, strict=True):
            await one.claim(session, pin)
        await one.release(sessions[0], pins[0])
        shown = await other.pins.of_session("acme", "s1")
        assert [(None, pins[2]), ("openai/b", pins[1])] == [
            (pin.lane, pin.binding) for pin in shown
        ]
        for session, pin in zip(sessions[1:], pins[1:], strict=True):
            await other.release(session, pin)

        assert [] == await one.pins.of_session("acme", "s1")


async def test_the_pin_of_one_lane_can_be_looked_at(make):
    """Each lane's own; none where there is none."""
    async with make() as one, make() as other:
        assert await other.pins.of_lane(MAIN) is None
        await one.claim(MAIN, a_pin())
        assert (a_pin(), None) == (
            await other.pins.of_lane(MAIN),
            await other.pins.of_lane(SIDE),
        )


async def test_a_session_has_at_most_sixteen_lanes(make):
    """The first stays; of the others the one bound longest ago makes room."""
    lanes = [make_session("s1", "acme", f"openai/l{n}") for n in range(MAX_LANES + 2)]
    async with make() as one, make() as other:
        for n, lane in enumerate(lanes):
            await one.claim(lane, a_pin("m/m", lane.lane, bound_at_unix_s=float(n + 1)))
        held = [await other.get(lane) is not None for lane in lanes]

        assert [True, False, False, *[True] * (MAX_LANES - 1)] == held


KEY, TTL_MS = MAIN.key, 500_000
OLD, NEW = value_of(a_pin()), value_of(a_pin(MINI))


@pytest.mark.parametrize(
    ("standing", "seen", "value", "expected"),
    [
        (b"", b"", OLD, OLD),
        (OLD, OLD, NEW, NEW),
        (OLD, OLD, b"", b""),
        (OLD, b"", NEW, OLD),
        (OLD, NEW, b"", OLD),
        (b"", OLD, NEW, b""),
        (b"", b"", b"", b""),
        (b"garbage", b"garbage", NEW, NEW),
    ],
)
async def test_a_key_is_set_if_its_bytes_are_those_seen(make, standing, seen, value, expected):
    """What stands then is returned, with the time that is left of it, and seen by all."""
    async with make() as one, make() as other:
        if standing:
            await one.compare_and_set(KEY, b"", standing, TTL_MS)
        raw, left_ms = await one.compare_and_set(KEY, seen, value, TTL_MS)

        assert expected == raw
        assert (TTL_MS - 20_000 < left_ms <= TTL_MS) if expected else left_ms == -2
        found = await other.get(MAIN)
        assert pin_in(expected) == found


async def test_a_key_may_keep_its_time(make):
    """Where no other is told."""
    async with make() as store:
        await store.compare_and_set(KEY, b"", OLD, TTL_MS)
        _, left_ms = await store.compare_and_set(KEY, OLD, NEW, 0)

    assert TTL_MS - 20_000 < left_ms <= TTL_MS


async def test_of_many_that_set_a_key_at_once_one_does(make):
    """All are told which."""
    async with make() as one, make() as other:
        values = [value_of(a_pin(f"openai/m{n}")) for n in range(40)]
        said = await asyncio.gather(
            *(
                (one, other)[n % 2].compare_and_set(KEY, b"", each, TTL_MS)
                for n, each in enumerate(values)
            )
        )

    assert 1 == len({raw for raw, _ in said})


async def test_an_operator_sees_and_drops_one_agents_pins_or_all_of_a_session(make):
    """By tenant, session and agent, as the app names them."""
    names = [("s1", None), ("s1", "a 7"), ("s1", "a 8"), ("s10", None)]
    async with make() as store:
        for session_id, agent in names:
            await store.claim(make_session(session_id, "acme", GPT, agent), a_pin())
        shown = [
            sorted(str(pin.agent) for pin in await store.pins.of_session("acme", "s1", agent))
            for agent in (None, "a 7", "nobody")
        ]
        dropped = [await store.pins.drop("acme", "s1", agent) for agent in ("a 7", "a 7", None)]
        left = (await store.pins.page("acme", None, 100)).pins

    assert [["None", "a 7", "a 8"], ["a 7"], []] == shown
    assert ([1, 0, 2], ["s10"]) == (dropped, [pin.session_id for pin in left])

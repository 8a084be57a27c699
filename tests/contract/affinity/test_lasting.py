"""How long a pin holds: while it is used, over a Redis that comes back empty, and in what was made
without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.affinity.redis.store import RedisStore
from sidecar.affinity.session import lane_suffix, make_session
from sidecar.domain.ids import Session
from tests.contract.affinity.test_redis import KEY, model_of, until
from tests.contract.affinity.test_store import (
    GPT,
    MAIN,
    MINI,
    SIDE,
    Heard,
    a_pin,
    pin_in,
    redis_store,
    value_of,
)
from tests.support.holding_proxy import holding_proxy
from tests.support.redis_server import KINDS, RedisServer, redis_server

FOREIGN = b'{"model_name": "openai/x", "requested_model": "openai/gpt-4o"}'
OTHER = make_session("s1", "acme", "openai/other")


@pytest_asyncio.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RedisServer]:
    async with redis_server(request.param) as running:
        yield running


async def _use(store: RedisStore, session: Session) -> list[str | None]:
    """Twelve calls, over more than the TTL of 0.6 s."""
    models = []
    for _ in range(12):
        await asyncio.sleep(0.08)  # sleep: the TTL runs
        models.append(await model_of(store, session))
    return models


async def test_a_pin_that_is_used_lives_on_without_a_near_cache(server):
    """What is read in the second half of its time begins it anew."""
    async with redis_store(server, ttl_s=0.6, has_near_cache=False) as store:
        await store.claim(MAIN, a_pin())

        assert [GPT] * 12 == await _use(store, MAIN)


async def test_a_lane_that_is_used_keeps_the_session_alive(server):
    """The other lane is long silent; they have one time to live."""
    async with redis_store(server, ttl_s=0.6) as store:
        await store.claim(MAIN, a_pin())
        await store.claim(SIDE, a_pin(MINI, MINI))

        assert [MINI] * 12 == await _use(store, SIDE)
        assert GPT == await model_of(store)
        assert [KEY] == await server.key_names()


async def test_a_fixed_time_to_live_is_that_of_the_first_lane(server):
    """A lane that comes later, and a move, leave it as it is."""
    async with redis_store(server, ttl_s=600, is_sliding=False) as store:
        await store.claim(MAIN, a_pin())
        await server.client.pexpire(KEY, 90_000)
        await store.claim(SIDE, a_pin(MINI, MINI))
        await store.replace(MAIN, a_pin(), a_pin(MINI, generation=2))

        assert 80_000 < await server.client.pttl(KEY) <= 90_000


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("SET", ["openai/x", None]),
        ("plano", ["openai/x", MINI]),
        ("claim", [GPT, MINI]),
        ("FLUSHALL", [None, None]),
        ("lost", ["openai/x", None]),
    ],
)
async def test_all_lanes_are_at_hand_until_one_of_them_changes(server, how, expected):
    """Calls cost no round trip each; whoever writes the session's key is heard, and so is whoever
    empties the server.
    """
    async with redis_store(server) as store, redis_store(server) as other:
        await store.claim(MAIN, a_pin())
        await store.claim(SIDE, a_pin(MINI, MINI))
        assert [a_pin(), a_pin(MINI, MINI)] == [store.get_nowait(MAIN), store.get_nowait(SIDE)]
        if how == "SET":
            await server.client.set(KEY, FOREIGN)
        elif how == "plano":
            await server.client.set(KEY, b'{"model_name": "openai/x"}')
        elif how == "claim":
            await other.claim(OTHER, a_pin("openai/new", OTHER.lane))
        elif how == "FLUSHALL":
            await server.client.flushall()
        else:
            await server.client.client_kill_filter(_type="normal", skipme=True)
            await until(lambda: not store.is_up)
            await server.client.set(KEY, FOREIGN)
            await until(lambda: store.is_up)
        await until(lambda: store.get_nowait(SIDE) is None)

        assert expected == [await model_of(store, MAIN), await model_of(store, SIDE)]


async def test_a_pin_that_wanders_lives_on(server):
    """Each call on a pod that has not seen the session yet."""
    async with redis_store(server, ttl_s=0.6) as first:
        await first.claim(MAIN, a_pin())
    for _ in range(6):
        await asyncio.sleep(0.16)  # sleep: the TTL runs
        async with redis_store(server, ttl_s=0.6) as other:
            assert GPT == await model_of(other)


@pytest.mark.parametrize("write", ["claim", "replace", "refresh"])
async def test_what_was_just_written_is_at_hand(server, write):
    """Own writes come back as invalidations; the next call needs no Redis all the same."""
    async with redis_store(server, ttl_s=600 if write != "refresh" else 2) as store:
        pin = await store.claim(MAIN, a_pin())
        if write == "replace":
            pin = await store.replace(MAIN, pin, a_pin(MINI, generation=2))
        if write == "refresh":
            await server.client.pexpire(KEY, 900)
            await until(lambda: store.get_nowait(MAIN) is None)
            await store.get(MAIN)
            async with asyncio.timeout(20):
                while await server.client.pttl(KEY) < 1000:
                    await asyncio.sleep(0.002)  # sleep: nobody waits for a refresh
        await server.client.ping()
        await asyncio.sleep(0.05)  # sleep: what comes back has come
        server.kill()
        await until(lambda: not store.is_up)

        assert pin == store.get_nowait(MAIN)


@pytest.mark.parametrize("write", ["claim", "replace"])
async def test_what_was_just_written_is_at_hand_where_redis_stops_right_behind_it(server, write):
    """The script's own reply says what stands: nothing has to be read again."""
    async with holding_proxy(server.port) as wire, redis_store(server, port=wire.port) as store:
        pin = a_pin()
        if write == "replace":
            await store.claim(MAIN, pin)
            await store.get(MAIN)
            await server.client.ping()
            pin = a_pin(MINI, generation=2)
        wire.hold()
        async with asyncio.TaskGroup() as group:
            work = store.claim(MAIN, pin) if write == "claim" else store.replace(MAIN, a_pin(), pin)
            written = group.create_task(work)
            await wire.wait_for(b"bound_at")
            server.pause()
            wire.release()
        assert pin == written.result()
        await until(lambda: not store.is_up)
        server.resume()

        assert pin == store.get_nowait(MAIN)


async def test_a_key_without_expiry_gets_none(server):
    """Somebody put it there to stay."""
    await server.client.set(KEY, FOREIGN)
    async with redis_store(server, ttl_s=0.2) as store:
        for _ in range(6):
            await asyncio.sleep(0.05)  # sleep: the TTL runs
            assert "openai/x" == await model_of(store)

    assert -1 == await server.client.pttl(KEY)


async def test_what_expired_while_redis_was_gone_is_forgotten(server):
    """It is no shadow any more, and is not written."""
    async with redis_store(server, ttl_s=0.05) as store:
        server.kill()
        await until(lambda: not store.is_up)
        for number in range(50):
            await store.claim(make_session(f"e{number}", None, GPT), a_pin())
        await asyncio.sleep(0.06)  # sleep: the TTL runs
        await server.start()
        await until(lambda: store.is_up and store.snapshot().shadow_entries == 0)

        assert 0 == await server.client.dbsize()


@pytest.mark.parametrize("is_made_meanwhile", [False, True])
@pytest.mark.parametrize("comes_first", [MAIN, SIDE, OTHER])
async def test_all_lanes_survive_a_redis_that_comes_back_empty(
    server, comes_first, is_made_meanwhile
):
    """Whichever of them calls first, and whether they were pinned before or while it was gone."""
    async with redis_store(server) as store:
        if is_made_meanwhile:
            server.kill()
            await until(lambda: not store.is_up)
        await store.claim(MAIN, a_pin())
        await store.claim(SIDE, a_pin(MINI, MINI))
        if not is_made_meanwhile:
            await until(
                lambda: store.get_nowait(MAIN) is not None and store.get_nowait(SIDE) is not None
            )
            server.kill()
            await until(lambda: not store.is_up)
        await server.start()
        await until(lambda: store.is_up)
        if comes_first is OTHER:
            assert await store.get(OTHER) is None
            assert a_pin("openai/new", "openai/other") == await store.claim(
                OTHER, a_pin("openai/new", "openai/other")
            )
        else:
            await store.get(comes_first)

        assert [GPT, MINI] == [await model_of(store, MAIN), await model_of(store, SIDE)]
        assert a_pin() == pin_in(await server.client.get(KEY))


async def test_a_move_that_is_not_written_yet_holds_for_the_next_call(server):
    """The call that comes before the write-back does not go back to where the session left."""
    moved = a_pin(MINI, generation=2)
    async with redis_store(server) as store:
        await store.claim(MAIN, a_pin())
        await store.get(MAIN)
        await server.client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: not store.is_up)
        await store.replace(MAIN, a_pin(), moved)
        await until(lambda: store.is_up)
        assert moved == await store.get(MAIN)

        assert moved == pin_in(await server.client.get(KEY))


async def test_a_pin_that_is_not_written_yet_can_be_moved(server):
    """What is written back is the newer one."""
    moved = a_pin(MINI, generation=2)
    async with redis_store(server) as store:
        await server.client.config_set("maxmemory", "1")
        await store.claim(MAIN, a_pin())
        await server.client.config_set("maxmemory", "0")
        assert moved == await store.replace(MAIN, a_pin(), moved)
        assert moved == await store.get(MAIN)
        await until(lambda: store.snapshot().shadow_entries == 0)

        assert moved == pin_in(await server.client.get(KEY))


@pytest.mark.parametrize("agent", [None, "a7"])
async def test_a_pin_that_is_not_written_yet_can_be_dropped_by_an_operator(server, agent):
    """It is shown, and is not written back after that."""
    session = make_session(MAIN.session_id, MAIN.tenant, GPT, agent)
    async with redis_store(server) as store:
        await server.client.config_set("maxmemory", "1")
        await store.claim(session, a_pin())
        shown = await store.pins.of_session(MAIN.tenant, MAIN.session_id, agent)
        assert [(agent, GPT)] == [(pin.agent, pin.binding.model_name) for pin in shown]
        assert 1 == await store.pins.drop(MAIN.tenant, MAIN.session_id, agent)
        await server.client.config_set("maxmemory", "0")

        assert (None, 0) == (await store.get(session), store.snapshot().shadow_entries)
        assert not await server.client.exists(session.key)


@pytest.mark.parametrize("has_near_cache", [True, False])
async def test_a_move_that_redis_refuses_holds_here(server, has_near_cache):
    """With and without a near cache, and is written back."""
    moved = a_pin(MINI, generation=2)
    async with redis_store(server, has_near_cache=has_near_cache) as store:
        await store.claim(MAIN, a_pin())
        await server.client.config_set("maxmemory", "1")
        assert moved == await store.replace(MAIN, a_pin(), moved)
        assert moved == await store.get(MAIN)
        await server.client.config_set("maxmemory", "0")
        await until(lambda: store.snapshot().shadow_entries == 0)

        assert moved == pin_in(await server.client.get(MAIN.key))


async def test_pins_that_are_written_back_share_no_calls_budget(server):
    """A crowd of them takes longer than one call may wait; that is no outage."""
    heard = Heard()
    async with (
        holding_proxy(server.port) as wire,
        redis_store(server, heard, port=wire.port, budget_s=0.005) as store,
    ):
        server.kill()
        await until(lambda: not store.is_up)
        for number in range(300):
            await store.claim(make_session(f"c{number}", None, GPT), a_pin())
        await server.start()
        await until(lambda: store.is_up)
        wire.hold()
        await wire.wait_for(b"openai/gpt-4o")
        await asyncio.sleep(0.05)  # sleep: longer than the budget
        wire.release()
        await until(lambda: store.snapshot().shadow_entries == 0)

        assert 300 == await server.client.dbsize()
    assert not any(outcome == "timeout" for _, outcome in heard.operations)


async def test_a_key_that_another_lane_has_taken_meanwhile_tells_nothing(server):
    """A move that was made while Redis was gone, or one that comes too late: never another lane's
    model.
    """
    taken = value_of(a_pin("openai/x", MINI))
    moved = a_pin("openai/moved", generation=2)
    async with redis_store(server) as store, redis_store(server) as other:
        await store.claim(MAIN, a_pin())
        await store.get(MAIN)
        await server.client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: not store.is_up)
        await store.replace(MAIN, a_pin(), moved)
        await server.client.set(KEY, taken)
        await until(lambda: store.is_up and other.is_up)
        assert await store.get(MAIN) in (moved, None)  # None where the write-back was quicker
        assert a_pin() == await other.replace(MAIN, a_pin(MINI), a_pin())

        assert taken == await server.client.get(KEY)


def older_key(session: Session) -> str:
    """The key that the version before has given to a lane beside the first."""
    return session.key + lane_suffix(session.lane)


async def test_a_lane_that_has_a_key_of_its_own_is_taken_into_the_sessions(server):
    """The version before gave every lane but the first a key; it is read, and written no more."""
    side = a_pin("openai/side", MINI)
    await server.client.set(KEY, value_of(a_pin()))
    await server.client.set(older_key(SIDE), value_of(side))
    async with redis_store(server) as store, redis_store(server) as other:
        assert [GPT, "openai/side"] == [await model_of(store, MAIN), await model_of(store, SIDE)]
        assert side == await other.get(SIDE)
        moved = a_pin("openai/moved", MINI, generation=2)
        assert moved == await other.replace(SIDE, side, moved)

        assert [a_pin(), moved] == [pin_in(await server.client.get(KEY), n) for n in (GPT, MINI)]
        assert side == pin_in(await server.client.get(older_key(SIDE)), MINI)


async def test_a_lane_of_before_that_is_all_that_is_left_of_its_session_is_found(server):
    """The first lane has expired before it."""
    await server.client.set(older_key(SIDE), value_of(a_pin("openai/side", MINI)))
    async with redis_store(server) as store:
        assert [None, "openai/side"] == [await model_of(store, MAIN), await model_of(store, SIDE)]


async def test_a_lane_of_before_that_comes_or_moves_later_is_followed(server):
    """A process of that version knows of no other place; whoever has the session at hand, by
    whichever lane, is told.
    """
    own, late = a_pin(MINI, MINI), a_pin("openai/late", MINI, bound_at_unix_s=9.0)
    moved = a_pin("openai/moved", MINI, generation=2)
    async with redis_store(server) as store, redis_store(server) as other:
        await store.claim(MAIN, a_pin())
        await store.claim(SIDE, own)
        await other.get(MAIN)
        await until(lambda: own == other.get_nowait(SIDE))
        await server.client.ping()
        for pin in (late, moved):
            await server.client.set(older_key(SIDE), value_of(pin))
            for each in (store, other):
                async with asyncio.timeout(20):
                    while await each.get(SIDE) != pin:
                        await asyncio.sleep(0.002)  # sleep: the server says it in its own time
        here = a_pin("openai/here", MINI, generation=3)
        assert here == await store.replace(SIDE, moved, here)
        await server.client.set(older_key(SIDE), value_of(own))

        assert [GPT, "openai/here"] == [await model_of(store, MAIN), await model_of(store, SIDE)]


async def test_lanes_of_before_are_read_for_one_time_to_live(server):
    """Then none is left, and a lookup is that of one key."""
    async with redis_store(server, ttl_s=0.1) as store:
        await asyncio.sleep(0.11)  # sleep: the TTL runs
        await server.client.set(older_key(SIDE), value_of(a_pin("openai/side", MINI)))
        assert await store.get(SIDE) is None


async def test_a_lanes_key_that_holds_another_lanes_pin_is_no_pin(server):
    """Whoever wrote it there: it is read in the same way with and without waiting."""
    await server.client.set(KEY, value_of(a_pin()))
    await server.client.set(older_key(SIDE), value_of(a_pin("openai/x", "openai/other")))
    async with redis_store(server) as store:
        assert [None, None] == [await store.get(SIDE), store.get_nowait(SIDE)]

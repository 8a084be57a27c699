"""What makes a near cache stale, or a claim nobody's: each way in which it was seen to happen."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.affinity.session import make_session
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


@pytest_asyncio.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RedisServer]:
    async with redis_server(request.param) as running:
        yield running


async def test_an_invalidation_right_behind_its_reply_is_not_overtaken(server):
    """Reply and invalidation arrive in one segment: the caller gets the reply, and nobody keeps
    it.
    """
    await server.client.set(
        KEY, b'{"model_name": "openai/old", "requested_model": "openai/gpt-4o"}'
    )
    async with holding_proxy(server.port) as wire, redis_store(server, port=wire.port) as store:
        wire.hold()
        async with asyncio.TaskGroup() as group:
            lookup = group.create_task(store.get(MAIN))
            await wire.wait_for(b"openai/old")
            await server.client.set(KEY, FOREIGN)
            await wire.wait_for(b"invalidate")
            wire.release()
        found = lookup.result()

        assert found is not None
        assert ("openai/old", None) == (found.model_name, store.get_nowait(MAIN))
        assert "openai/x" == await model_of(store)


async def test_a_claim_and_a_foreign_write_right_behind_it(server):
    """The claim's reply was true when it was sent; it is not kept."""
    async with holding_proxy(server.port) as wire, redis_store(server, port=wire.port) as store:
        wire.hold()
        async with asyncio.TaskGroup() as group:
            claim = group.create_task(store.claim(MAIN, a_pin()))
            await wire.wait_for(b"openai/gpt-4o")
            await server.client.set(KEY, FOREIGN)
            await wire.wait_for(b"invalidate")
            wire.release()

        assert a_pin() == claim.result()
        await until(lambda: store.get_nowait(MAIN) is None)
        assert "openai/x" == await model_of(store)


async def test_a_late_reply_is_kept_for_the_next_call(server):
    """The call that asked has gone on without it."""
    await server.client.set(KEY, FOREIGN)
    heard = Heard()
    async with (
        holding_proxy(server.port) as wire,
        redis_store(server, heard, port=wire.port, budget_s=0.01) as store,
    ):
        wire.hold()
        assert await store.get(MAIN) is None
        await wire.wait_for(b"openai/x")
        wire.release()
        await until(lambda: store.get_nowait(MAIN) is not None)

    assert 1 == heard.operations["get", "timeout"]


async def test_a_claim_that_was_carried_out_too_late_is_the_truth_all_the_same(server):
    """The shadow served the call; what Redis says replaces it, once it is heard."""
    async with (
        holding_proxy(server.port) as wire,
        redis_store(server, port=wire.port, budget_s=0.01) as store,
    ):
        await server.client.set(KEY, FOREIGN)
        wire.hold()
        assert a_pin() == await store.claim(MAIN, a_pin())
        assert a_pin() == store.get_nowait(MAIN)
        await wire.wait_for(b"openai/x")
        wire.release()
        await until(lambda: store.get_nowait(MAIN) != a_pin())

        assert "openai/x" == await model_of(store)
        assert 0 == store.snapshot().shadow_entries


async def test_flushed_scripts_are_sent_anew(server):
    """No call notices, and the connection stays."""
    heard = Heard()
    async with redis_store(server, heard) as store:
        await server.client.script_flush()
        assert a_pin() == await store.claim(MAIN, a_pin())
        moved = a_pin(MINI, generation=2)
        assert moved == await store.replace(MAIN, a_pin(), moved)
        await server.client.script_flush()
        await store.release(MAIN, moved)
        assert await store.get(MAIN) is None

    assert {"claimed", "replaced", "released", "miss"} == {
        outcome for _, outcome in heard.operations
    } - {"near_hit"}


@pytest.mark.parametrize("has_near_cache", [True, False])
async def test_what_another_wrote_in_other_words_is_replaced_and_released(server, has_near_cache):
    """Compare-and-set is on the bytes that stand there, with and without a near cache."""
    async with redis_store(server, has_near_cache=has_near_cache) as store:
        await server.client.set(KEY, b'{"route_name":"code",  "model_name": "openai/gpt-4o"}')
        seen = await store.get(MAIN)
        assert seen is not None
        moved = dataclasses.replace(seen, model_name=MINI, generation=1)
        assert moved == await store.replace(MAIN, seen, moved)
        assert moved == await store.get(MAIN)
        await server.client.set(KEY, b'{"model_name":   "openai/gpt-4o"}')
        await until(lambda: store.get_nowait(MAIN) is None)
        await store.release(MAIN, await store.get(MAIN) or moved)

        assert not await server.client.exists(KEY)


async def test_without_a_near_cache_nothing_is_kept(server):
    """Every lookup goes to Redis, and nothing is tracked."""
    heard = Heard()
    async with redis_store(server, heard, has_near_cache=False) as store:
        await store.claim(MAIN, a_pin())
        assert [a_pin()] * 2 == [await store.get(MAIN), await store.get(MAIN)]
        assert (None, 0, False) == (
            store.get_nowait(MAIN),
            store.snapshot().near_entries,
            store.snapshot().is_tracking,
        )

    assert 2 == heard.operations["get", "hit"]


@pytest.mark.parametrize(
    "value",
    [
        b'{"model_name": "a\\u0000b"}',
        b'{"model_name": "m", "x": NaN}',
        b'{"model_name": "\xff"}',
        b'{"model_name": "m"} x',
    ],
)
async def test_what_only_one_side_can_read_is_replaced_once_for_all(server, value):
    """The server's JSON and ours differ at the edges: two claims agree all the same."""
    await server.client.set(KEY, value)
    async with redis_store(server) as one, redis_store(server) as other:
        claims = await asyncio.gather(one.claim(MAIN, a_pin()), other.claim(MAIN, a_pin(MINI)))

        assert 1 == len(set(claims))
        assert claims[0] == pin_in(await server.client.get(KEY))


@pytest.mark.parametrize("requested", ["", "a\nb", "\u0000", "x" * 600, ["openai/x"], 3, None])
async def test_whose_lane_a_foreign_value_is_scripts_and_readers_agree(server, requested):
    """Claimed before it was read, or after: one model for the lane, on every pod."""
    await server.client.set(
        KEY, json.dumps({"model_name": "openai/x", "requested_model": requested})
    )
    async with redis_store(server) as one, redis_store(server) as other:
        claimed = await one.claim(MAIN, a_pin())

        assert [claimed] * 3 == [
            await other.claim(MAIN, a_pin(MINI)),
            await other.get(MAIN),
            await one.get(MAIN),
        ]


async def test_lanes_pinned_while_redis_was_gone_stand_beside_one_that_came_meanwhile(server):
    """All in the session's one value."""
    async with redis_store(server) as store:
        server.kill()
        await until(lambda: not store.is_up)
        await store.claim(MAIN, a_pin())
        await store.claim(SIDE, a_pin(MINI, MINI))
        await server.start()
        await server.client.set(MAIN.key, value_of(a_pin("openai/y", "openai/y")))
        await until(lambda: store.is_up and store.snapshot().shadow_entries == 0)

        assert [GPT, MINI] == [await model_of(store, key) for key in (MAIN, SIDE)]
        value = await server.client.get(KEY)
        lanes = (GPT, MINI, "openai/y")
        assert lanes == tuple((pin_in(value, lane) or a_pin("?")).model_name for lane in lanes)


async def test_a_move_made_while_redis_was_gone_is_written_back(server):
    """In the place of what was seen; a foreign move of meanwhile wins."""
    kept, lost = make_session("kept", None, GPT), make_session("lost", None, GPT)
    moved = a_pin(MINI, generation=2)
    async with redis_store(server) as store:
        for key in (kept, lost):
            await store.claim(key, a_pin())
            await store.get(key)
        await server.client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: not store.is_up)
        for key in (kept, lost):
            assert moved == await store.replace(key, a_pin(), moved)
        await server.client.set(lost.key, FOREIGN)
        await until(lambda: store.is_up and store.snapshot().shadow_entries == 0)

        assert [MINI, "openai/x"] == [await model_of(store, key) for key in (kept, lost)]


async def test_pins_made_while_redis_was_full_are_written_back(server):
    """Without any edge of the connection: it looks again and again."""
    heard = Heard()
    async with redis_store(server, heard) as store:
        await server.client.config_set("maxmemory", "1")
        assert a_pin() == await store.claim(MAIN, a_pin())
        assert (1, True) == (store.snapshot().shadow_entries, store.is_up)
        await server.client.config_set("maxmemory", "0")
        await until(lambda: store.snapshot().shadow_entries == 0)

        assert a_pin() == pin_in(await server.client.get(KEY))
    assert heard.operations["claim", "skipped"] >= 1


async def test_a_replica_serves_reads_and_takes_writes_once_it_is_promoted(server):
    """READONLY skips writes; within seconds of the promotion all is back."""
    await server.client.set(KEY, FOREIGN)
    async with redis_store(server) as store:
        await server.client.replicaof("127.0.0.1", "1")
        assert "openai/x" == await model_of(store)
        other = make_session("s2", None, GPT)
        assert a_pin() == await store.claim(other, a_pin())
        assert a_pin() == await store.get(other)
        await server.client.replicaof("NO", "ONE")
        await until(lambda: store.is_up and store.snapshot().shadow_entries == 0)

        assert a_pin() == pin_in(await server.client.get(other.key))


async def test_a_pin_that_was_evicted_while_it_was_used_is_not_believed(server):
    """A refresh that finds nothing says so."""
    async with redis_store(server, ttl_s=0.6) as store:
        await store.claim(MAIN, a_pin())
        await store.get(MAIN)
        await server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.sleep(0.35)  # sleep: half of the TTL
        server.pause()
        assert a_pin() == store.get_nowait(MAIN)
        server.resume()
        await server.client.delete(KEY)
        await until(lambda: store.get_nowait(MAIN) is None)


async def test_tracking_that_is_refused_makes_entries_old_after_a_second(server):
    """Some proxies do not pass it on: what was read is believed for a moment, and holds where Redis
    is gone.
    """
    await server.client.acl_setuser(
        "app",
        enabled=True,
        nopass=True,
        keys=["*"],
        categories=["+@all"],
        commands=["-client|tracking"] if server.kind == "7" else ["-client"],
    )
    async with redis_store(server, user="app") as store:
        assert not store.snapshot().is_tracking
        await store.claim(MAIN, a_pin())
        assert a_pin() == store.get_nowait(MAIN)
        await server.client.set(KEY, FOREIGN)
        await until(lambda: store.get_nowait(MAIN) is None)
        assert "openai/x" == await model_of(store)
        server.kill()
        await until(lambda: not store.is_up)
        assert "openai/x" == await model_of(store)


async def forbid_tracking(server: RedisServer) -> None:
    """The user `app` may do all but what is needed for it."""
    await server.client.acl_setuser(
        "app", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-client"]
    )


@pytest.mark.parametrize("asked", [MAIN, SIDE], ids=["its own lane", "another lane"])
@pytest.mark.parametrize("drop", ["DEL", "release"])
async def test_what_was_dropped_stays_dropped_where_nobody_tells_of_it(server, drop, asked):
    """Who still knows the pin asks for it after a second, and does not claim it anew: an operator's
    delete, or the release of a pin under which nobody served, would never hold. Nor does a call of
    another lane claim it.
    """
    await forbid_tracking(server)
    async with redis_store(server, user="app") as store, redis_store(server, user="app") as other:
        await store.claim(MAIN, a_pin())
        assert a_pin() == await other.get(MAIN)
        if drop == "DEL":
            await server.client.delete(KEY)
        else:
            await store.release(MAIN, a_pin())
        await until(lambda: other.get_nowait(MAIN) is None)

        assert await other.get(asked) is None
        assert [] == await server.key_names()


async def test_what_is_only_old_holds_where_redis_does_not_answer(server):
    """Nobody tells of changes, and nobody answers in time: the pin that was read is better than
    none.
    """
    await forbid_tracking(server)
    async with redis_store(server, user="app", budget_s=0.02) as store:
        await store.claim(MAIN, a_pin())
        await until(lambda: store.get_nowait(MAIN) is None)
        server.pause()
        try:
            assert a_pin() == await store.get(MAIN)
        finally:
            server.resume()


async def test_a_wrong_password_is_said_once_and_serves_on(server, caplog):
    """Pins live here; the log says why, without the password."""
    await server.client.config_set("requirepass", "right-secret")
    async with redis_store(server, waits=False, password="wrong-secret") as store:
        await until(lambda: any("cannot be used" in record.message for record in caplog.records))
        assert a_pin() == await store.claim(MAIN, a_pin())
        messages = [
            record.message for record in caplog.records if "cannot be used" in record.message
        ]

    assert 1 == len(messages)
    assert "wrong password" in messages[0]
    assert "secret" not in caplog.text

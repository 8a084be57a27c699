"""The connection to Redis: what comes between replies, what comes never, and what nobody
expects.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from sidecar.affinity.redis import health
from sidecar.affinity.redis import link as redis_link
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

OLD = b'{"model_name": "openai/old", "requested_model": "openai/gpt-4o"}'
FOREIGN = b'{"model_name": "openai/x", "requested_model": "openai/gpt-4o"}'


@pytest_asyncio.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RedisServer]:
    async with redis_server(request.param) as running:
        yield running


async def test_a_foreign_write_between_the_replies_of_one_lookup(server):
    """The lookup's commands arrive in two segments, and another writes between them: what was read
    first is used once and not kept, since its invalidation came before the last reply.
    """
    await server.client.set(KEY, OLD)
    async with holding_proxy(server.port) as wire, redis_store(server, port=wire.port) as store:
        wire.split_at(b"*2\r\n$4\r\nPTTL")
        async with asyncio.TaskGroup() as group:
            lookup = group.create_task(store.get(MAIN))
            async with asyncio.timeout(20):
                while not (await server.client.info("stats"))["tracking_total_keys"]:
                    await asyncio.sleep(0.002)  # sleep: the first segment arrives in its own time
            await server.client.set(KEY, FOREIGN)
            wire.join()

        assert ("openai/old", None) == (
            (lookup.result() or a_pin()).model_name,
            store.get_nowait(MAIN),
        )
        assert "openai/x" == await model_of(store)


async def test_a_path_that_is_gone_without_a_word_is_noticed(server, monkeypatch):
    """No call asks, no packet comes: within seconds nothing is believed that others may have
    changed.
    """
    monkeypatch.setattr(redis_link, "TICK_S", 0.02)
    async with holding_proxy(server.port) as wire, redis_store(server, port=wire.port) as store:
        await store.claim(MAIN, a_pin())
        wire.hold()
        await server.client.set(KEY, FOREIGN)
        await until(lambda: not store.is_up)
        wire.release()
        await until(lambda: store.is_up)

        assert "openai/x" == await model_of(store)


async def test_a_quiet_connection_stays(server, monkeypatch):
    """A sign of life is asked for, and heard."""
    monkeypatch.setattr(redis_link, "TICK_S", 0.01)
    async with redis_store(server) as store:
        before = (await server.client.info("commandstats")).get("cmdstat_ping", {"calls": 0})[
            "calls"
        ]
        await asyncio.sleep(1)  # sleep: it is quiet
        after = (await server.client.info("commandstats"))["cmdstat_ping"]["calls"]

        assert store.is_up
    assert after - before >= 3


async def test_writes_that_are_paused_keep_everybody_away(server):
    """Redis 7 answers reads and pings meanwhile: who is let in again by them would wait in vain for
    each write.
    """
    heard = Heard()
    async with redis_store(server, heard, budget_s=0.02) as store:
        await server.client.client_pause(4000, all=False)
        for number in range(20):
            key, budget = make_session(f"h{number}", None, GPT), store.budget()
            await store.get(key, budget)
            await store.claim(key, a_pin(), budget)
        assert not store.is_up
        before = heard.operations.copy()
        await until(lambda: store.is_up)
        await store.claim(MAIN, a_pin())
        waited = heard.operations - before

        assert 0 == waited["get", "timeout"] + waited["claim", "timeout"]
        await until(lambda: store.snapshot().shadow_entries == 0)


@pytest.mark.parametrize("missing", ["getrange", "pttl", "type", "set", "evalsha", "pexpire"])
async def test_a_user_without_a_right_is_no_outage(server, missing, caplog):
    """What it may do is done, the rest is kept here and counted; said once, and the connection
    stays.
    """
    await server.client.set(SIDE.key, b'{"model_name": "openai/old"}')
    await server.client.acl_setuser(
        "app", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=[f"-{missing}"]
    )
    heard = Heard()
    async with redis_store(server, heard, user="app") as store:
        for number in range(30):
            key = make_session(f"f{number}", None, GPT)
            assert await store.get(key) is None
            assert a_pin() == await store.claim(key, a_pin())
            assert a_pin() == await store.get(key)
        read = await store.get(SIDE)
        assert store.is_up

    assert (missing in ("getrange", "pttl")) == (read is None)
    assert not any(outcome in ("error", "timeout") for _, outcome in heard.operations)
    assert (0 if missing == "pexpire" else 1) == sum(
        "does not let" in record.message for record in caplog.records
    )
    assert not any(record.exc_info for record in caplog.records)


async def test_a_key_that_is_fenced_off_is_not_in_the_way_of_others(server):
    """An app claims a tenant that this user may not touch: its pins stay here, those of others are
    written back.
    """
    await server.client.acl_setuser(
        "app",
        enabled=True,
        nopass=True,
        keys=["plano:affinity:acme:*"],
        categories=["+@all"],
        channels=["*"],
    )
    foreign = make_session("s1", "zeta", GPT)
    async with redis_store(server, user="app") as store:
        server.kill()
        await until(lambda: not store.is_up)
        await store.claim(foreign, a_pin())
        await store.claim(MAIN, a_pin())
        await server.start()
        await server.client.acl_setuser(
            "app",
            enabled=True,
            nopass=True,
            keys=["plano:affinity:acme:*"],
            categories=["+@all"],
            channels=["*"],
        )
        await until(lambda: store.is_up and store.snapshot().shadow_entries == 1)

        assert a_pin() == pin_in(await server.client.get(KEY))
        assert [KEY] == await server.key_names()
        assert a_pin() == await store.get(foreign)


@pytest.mark.parametrize("refusal", ["full", "read-only"])
async def test_a_server_that_takes_no_writes_is_no_outage(server, refusal):
    """Reads go on for as long as it lasts, and no breaker opens."""
    heard = Heard()
    await server.client.set(SIDE.key, value_of(a_pin("openai/x", MINI)))
    async with redis_store(server, heard) as store:
        if refusal == "full":
            await server.client.config_set("maxmemory", "1")
        else:
            await server.client.replicaof("127.0.0.1", "1")
        for number in range(30):
            await store.claim(make_session(f"f{number}", None, GPT), a_pin())
        assert (True, 30) == (store.is_up, store.snapshot().shadow_entries)
        assert "openai/x" == await model_of(store, SIDE)

    assert 30 <= heard.operations["claim", "skipped"]
    assert not any(outcome in ("error", "timeout") for _, outcome in heard.operations)


Script = Callable[[list[bytes]], bytes]


@contextlib.asynccontextmanager
async def scripted(answer: Script) -> AsyncIterator[int]:
    """A server that answers each command as the test says; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words = []
                for _ in range(count):
                    size = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                writer.write(answer(words))
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


def polite(words: list[bytes]) -> bytes:
    """A Redis without values."""
    word = words[0].upper()
    if word == b"HELLO":
        return b"%1\r\n$5\r\nproto\r\n:3\r\n"
    if word == b"GETRANGE":
        return b"$0\r\n\r\n"
    return b":60000\r\n" if word == b"PTTL" else b"+OK\r\n"


async def test_a_push_that_nobody_asked_for_is_no_reply():
    """Else all replies behind it would be those of other sessions."""

    def answer(words: list[bytes]) -> bytes:
        if words[0] == b"GETRANGE" and b"s1" in words[1] and b"~" not in words[1]:
            value = b'{"model_name":"openai/of-s1"}'
            return (
                b">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n>3\r\n$6\r\nMOVING\r\n:1\r\n:2\r\n$%d\r\n%b\r\n"
                % (
                    len(value),
                    value,
                )
            )
        return polite(words)

    async with scripted(answer) as port, redis_server() as any_server:
        async with redis_store(any_server, port=port) as store:
            one, other = await asyncio.gather(
                store.get(MAIN), store.get(make_session("s2", "acme", GPT))
            )

    assert ("openai/of-s1", None) == (one and one.model_name, other)


async def test_an_answer_that_makes_no_sense_costs_one_connection():
    """Nobody connected again after it."""
    seen: list[list[bytes]] = []

    def answer(words: list[bytes]) -> bytes:
        if words[0] == b"PTTL" and len(seen) < 2:
            seen.append(words)
            return b"$4\r\nsoon\r\n"
        if words[0] == b"GETRANGE":
            return b"$%d\r\n%b\r\n" % (len(OLD), OLD)
        return polite(words)

    async with scripted(answer) as port, redis_server() as any_server:
        async with redis_store(any_server, port=port) as store:
            assert await store.get(MAIN) is None
            await until(lambda: not store.is_up)
            await until(lambda: store.is_up)
            assert "openai/old" == await model_of(store)


async def test_a_server_that_may_not_be_given_scripts_beforehand_gets_them_when_needed(server):
    """Some proxies know EVAL and not SCRIPT."""
    await server.client.acl_setuser(
        "app", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-script"]
    )
    async with redis_store(server, user="app") as store:
        assert a_pin() == await store.claim(MAIN, a_pin())
        moved = dataclasses.replace(a_pin(), model_name=MINI)
        assert moved == await store.replace(MAIN, a_pin(), moved)

    assert moved == pin_in(await server.client.get(KEY))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_knows_no_resp3_shares_pins_all_the_same(kind, caplog):
    """Some proxies speak the older protocol alone: pins are shared, and believed for a second at a
    time. Such servers repeat what they were told, the password too: the log does not.
    """
    async with redis_server(kind, more=("--rename-command", "HELLO", "")) as server:
        await server.client.acl_setuser(
            "app",
            enabled=True,
            passwords=["+word-of-honour"],
            keys=["*"],
            categories=["+@all"],
            channels=["*"],
        )
        async with redis_store(server, user="app", password="word-of-honour") as store:
            assert not store.snapshot().is_tracking
            assert a_pin() == await store.claim(MAIN, a_pin())
            await server.client.set(KEY, FOREIGN)
            await until(lambda: store.get_nowait(MAIN) is None)
            assert "openai/x" == await model_of(store)
            await server.client.client_kill_filter(_type="normal", skipme=True)
            await until(lambda: not store.is_up)
            await until(lambda: store.is_up)
            assert "openai/x" == await model_of(store)

    assert "HELLO" in caplog.text
    assert "word-of-honour" not in caplog.text


@pytest.mark.parametrize("sessions", [1, 20])
async def test_a_server_that_is_late_once_is_no_outage(server, sessions):
    """For twenty calls at once, of one session or of as many: each of them waits, and Redis is
    asked on.
    """
    heard = Heard()
    keys = [make_session(f"l{number % sessions}", None, GPT) for number in range(20)]
    async with redis_store(server, heard, budget_s=0.02) as store:
        server.pause()
        assert {None} == set(await asyncio.gather(*(store.get(key) for key in keys)))
        is_asked_still = store.is_up
        server.resume()

    assert is_asked_still
    assert 20 == heard.operations["get", "timeout"]


async def test_a_server_that_stays_read_only_is_looked_into_ever_more_rarely(server, monkeypatch):
    """A replica that nobody promotes: its reads are worth more than a new connection every other
    second.
    """
    monkeypatch.setattr(health, "AT_LEAST_S", 0.05)
    monkeypatch.setattr(health, "SHARE", 1e9)  # the second look would come after a minute
    monkeypatch.setattr(redis_link, "TICK_S", 0.02)
    monkeypatch.setattr(redis_link, "PROBE_S", 0.02)
    async with redis_store(server) as store:
        await server.client.replicaof("127.0.0.1", "1")
        before = (await server.client.info("stats"))["total_connections_received"]
        for number in range(30):
            await store.claim(make_session(f"f{number}", None, GPT), a_pin())
            await asyncio.sleep(0.03)  # sleep: time in which connections would come
        after = (await server.client.info("stats"))["total_connections_received"]

    assert 1 == after - before

"""What a pin costs: warm and cold lookups, how soon other sidecars see a change, and many strange
names.

python -m tests.bench.bench_affinity [TRIALS] [NAMES]
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.session import make_session
from sidecar.affinity.store import AffinityStore
from sidecar.domain.clock import SystemClock
from tests.contract.affinity.test_store import GPT, MAIN, MINI, a_pin, redis_store
from tests.support.redis_server import RedisServer, redis_server

LOOKUPS, ROUNDS = 100_000, 5
AT_ONCE = 200


def us_each(work: Callable[[], None], count: int) -> float:
    """The best of some rounds, in microseconds."""
    best_s = min(_timed(work) for _ in range(ROUNDS))
    return best_s * 1e6 / count


def _timed(work: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


async def warm(name: str, store: AffinityStore) -> None:
    """A session whose pin is at hand."""
    await store.claim(MAIN, a_pin())
    assert await store.get(MAIN) == a_pin()
    get_nowait = store.get_nowait

    def look_up() -> None:
        for _ in range(LOOKUPS):
            get_nowait(MAIN)

    print(f"warm lookup, {name}: {us_each(look_up, LOOKUPS):.2f} us")


async def cold(server: RedisServer) -> None:
    """Round trips and time of a first lookup, alone and many at once."""
    async with redis_store(server) as store:
        before = (await server.client.info("stats"))["total_reads_processed"]
        took_s = []
        for number in range(200):
            began_s = time.perf_counter()
            await store.get(make_session(f"alone-{number}", "acme", GPT))
            took_s.append(time.perf_counter() - began_s)
        after = (await server.client.info("stats"))["total_reads_processed"]
        print(
            f"cold lookup alone: {statistics.median(took_s) * 1e6:.0f} us (median), "
            f"{(after - before - 1) / 200:.2f} round trips"
        )
        began_s = time.perf_counter()
        await asyncio.gather(
            *(store.get(make_session(f"crowd-{number}", "acme", GPT)) for number in range(1000))
        )
        print(
            f"cold lookups, 1,000 in one turn: {(time.perf_counter() - began_s) * 1e3:.0f} us each"
        )


async def reads_of(server: RedisServer) -> int:
    """How often the server has read a socket."""
    return int((await server.client.info("stats"))["total_reads_processed"])


async def sessions(server: RedisServer, count: int = 2000) -> None:
    """Round trips of a session's first call, and of its first one elsewhere; what a session takes,
    with one lane and with two, in Redis and here; how many are looked up in a second.
    """
    for lanes in ([GPT], [GPT, MINI]):
        await server.client.flushall()
        known = [make_session(f"session-{n}", "acme", lane) for n in range(count) for lane in lanes]
        async with redis_store(server, max_entries=10 * count) as one:
            await asyncio.sleep(0.1)  # sleep: the greetings are over
            before = await reads_of(server)
            for session in known:
                await one.get(session)
                await one.claim(session, a_pin(session.lane, session.lane))
            new = (await reads_of(server) - before - 1) / count
        async with redis_store(server, max_entries=10 * count) as other:
            await asyncio.sleep(0.1)  # sleep: likewise
            before = await reads_of(server)
            tracemalloc.start()
            for session in known:
                await other.get(session)
            held_bytes = tracemalloc.get_traced_memory()[0] / count
            tracemalloc.stop()
            elsewhere = (await reads_of(server) - before - 1) / count
        sizes = [await server.client.memory_usage(key) or 0 for key in await server.key_names()]
        async with redis_store(server, max_entries=10 * count) as third:
            began_s = time.perf_counter()
            for first in range(0, len(known), AT_ONCE):
                await asyncio.gather(*(third.get(each) for each in known[first : first + AT_ONCE]))
            took_s = time.perf_counter() - began_s
        print(
            f"sessions of {len(lanes)} lanes: {new:.2f} round trips when new, {elsewhere:.2f} "
            f"elsewhere; {sum(sizes) / count:.0f} bytes in Redis, {held_bytes:.0f} here; "
            f"{len(known) / took_s:.0f} cold lookups/s"
        )


async def seen(server: RedisServer, trials: int) -> None:
    """How soon another sidecar's `replace` and a `DEL` are seen."""
    async with redis_store(server) as one, redis_store(server) as other:
        for what in ("replace", "delete"):
            took_s = []
            pin = a_pin()
            for number in range(trials):
                key = make_session(f"{what}-{number % 50}", "acme", GPT)
                pin = await one.claim(key, a_pin())
                await other.get(key)
                await other.get(key)
                began_s = time.perf_counter()
                if what == "replace":
                    await one.replace(key, pin, a_pin(generation=pin.generation + 1))
                else:
                    await one.pins.drop("acme", f"{what}-{number % 50}")
                while other.get_nowait(key) == pin:
                    await asyncio.sleep(0)
                took_s.append(time.perf_counter() - began_s)
            took_s.sort()
            p50, p99 = (took_s[int(len(took_s) * share)] * 1e3 for share in (0.5, 0.99))
            print(
                f"{what} seen by another sidecar, {trials} trials: p50 {p50:.2f} ms, p99 {p99:.2f} ms"
            )


async def names(server: RedisServer, count: int) -> int:
    """Claims of that many strange (tenant, session) pairs; how many got another pair's pin."""
    dice = random.Random(20)
    alphabet = "ab:~%{}/\\ \n\0é漢*?[]" + "0123456789"
    pairs: set[tuple[str | None, str]] = set()
    while len(pairs) < count:
        tenant, session = ("".join(dice.choices(alphabet, k=dice.randint(1, 9))) for _ in range(2))
        pairs.add(
            (None if dice.random() < 0.2 else tenant, session * (30 if dice.random() < 0.02 else 1))
        )
    keys = [make_session(session, tenant, GPT) for tenant, session in pairs]
    crossed = 0
    async with (
        redis_store(server, max_entries=count) as one,
        redis_store(server, max_entries=count) as other,
    ):
        for first in range(0, count, AT_ONCE):
            batch = range(first, min(first + AT_ONCE, count))
            pins = [a_pin(f"openai/m{number}") for number in batch]
            claimed = await asyncio.gather(
                *(one.claim(keys[n], pin) for n, pin in zip(batch, pins, strict=True))
            )
            read = await asyncio.gather(*(other.get(keys[n]) for n in batch))
            crossed += sum(pin != mine for pin, mine in zip(claimed, pins, strict=True))
            crossed += sum(pin != mine for pin, mine in zip(read, pins, strict=True))
        held = await server.client.dbsize()
    print(f"{count} strange pairs: {crossed} crossings, {held} keys")
    return crossed + abs(held - count)


async def main(trials: int, pairs: int) -> int:
    """Run all. Returns: the exit status."""
    await warm("memory", MemoryStore(SystemClock(), ttl_s=600, max_entries=1000))
    async with redis_server() as server:
        async with redis_store(server) as store:
            await warm("redis", store)
        await cold(server)
        await sessions(server)
        await seen(server, trials)
        await server.client.flushall()
        return int(await names(server, pairs) != 0)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    sys.exit(asyncio.run(main(*(given + [1000, 100_000][len(given) :]))))

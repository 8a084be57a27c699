"""Four sidecars' stores on one Redis that fails in every way at random: nobody is ever told another
session's pin, or another lane's, and once it is well again all of them tell what stands in Redis.

python -m tests.bench.bench_chaos [SECONDS] [SEED]
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import logging
import random
import sys

from redis.exceptions import ResponseError

from sidecar.affinity.redis.store import RedisStore
from sidecar.affinity.session import make_session
from sidecar.affinity.value import decode
from sidecar.domain.decision import Binding
from sidecar.domain.ids import Session
from tests.contract.affinity.test_store import redis_store
from tests.support.redis_server import KINDS, RedisServer, redis_server

STORES, CALLERS, SESSIONS = 4, 8, 150
LANES = ("openai/a", "openai/b", "openai/c")
TENANTS = (None, "acme")
AGENTS = (None, "a7")


class Chaos:
    """The callers, what fails under them, and what they were told that they should not have
    been.
    """

    def __init__(self, server: RedisServer, stores: list[RedisStore], seed: int) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.faults: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.is_over = False
        self._server = server
        self._stores = stores
        self._random = random.Random(seed)

    async def call(self, store: RedisStore) -> None:
        """Calls of random sessions, one after another: look up, claim where there is nothing, now
        and then move or drop.
        """
        while not self.is_over:
            session, budget = self._session(), store.budget()
            found = await store.get(session, budget)
            self._check("get", session, found)
            if found is None:
                mine = self._pin(session, 1)
                found = await store.claim(session, mine, budget)
                self._check("claim", session, found)
            dice = self._random.random()
            if dice < 0.05:
                moved = self._pin(session, found.generation + 1)
                self._check("replace", session, await store.replace(session, found, moved))
            elif dice < 0.07:
                await store.release(session, found)
                self.outcomes["release"] += 1
            await asyncio.sleep(self._random.random() * 0.004)

    async def fail(self) -> None:
        """One fault after another, each for a while."""
        faults = (
            self._kill,
            self._stop,
            self._pause,
            self._fill,
            self._demote,
            self._flush,
            self._cut,
            self._meddle,
        )
        while not self.is_over:
            fault = self._random.choice(faults)
            self.faults[fault.__name__.strip("_")] += 1
            await fault()
            await asyncio.sleep(self._random.random() * 2)

    async def heal(self) -> None:
        """Until every store has asked Redis for a while, and owes it nothing: a server that has
        refused writes is still left for another connection after two seconds.
        """
        async with asyncio.timeout(60):
            well = 0
            while well < 80:
                await asyncio.sleep(0.05)
                is_well = all(
                    each.is_up and not each.snapshot().shadow_entries for each in self._stores
                )
                well = well + 1 if is_well else 0

    async def compare(self) -> int:
        """What each store tells of each session against what stands in Redis; how many pins there
        are.
        """
        pins = 0
        for n, tenant, agent, lane in itertools.product(range(SESSIONS), TENANTS, AGENTS, LANES):
            session = make_session(f"s{n}", tenant, lane, agent)
            for store in self._stores:
                believed, standing = store.get_nowait(session), await self._standing(session)
                if believed is not None and believed != standing:
                    self.wrong.append(f"stale: {session} {believed} where {standing} stands")
                # What was in doubt is claimed by this, and stands from then on.
                found, standing = await store.get(session), await self._standing(session)
                if found != standing:
                    self.wrong.append(f"wrong: {session} {found} where {standing} stands")
            pins += standing is not None
        return pins

    async def _standing(self, session: Session) -> Binding | None:
        raw = None
        with contextlib.suppress(ResponseError):  # it holds no text
            raw = await self._server.client.get(session.key)
        lanes = decode(raw) if isinstance(raw, bytes) else None
        return None if lanes is None else lanes.of(session.lane)

    def _session(self) -> Session:
        number, choice = self._random.randrange(SESSIONS), self._random.choice
        return make_session(f"s{number}", choice(TENANTS), choice(LANES), choice(AGENTS))

    def _pin(self, session: Session, generation: int) -> Binding:
        name = f"{_name(session)}/{session.lane}/{self._random.getrandbits(32)}"
        return Binding(name, "route", generation=generation, requested_model=session.lane)

    def _check(self, operation: str, session: Session, found: Binding | None) -> None:
        self.outcomes[operation if found is not None else f"{operation}, nothing"] += 1
        own = (f"{_name(session)}/{session.lane}/", f"{_name(session)}/any/")
        if found is not None and not found.model_name.startswith(own):
            self.wrong.append(f"crossing: {operation} of {session} was told {found}")

    async def _kill(self) -> None:
        self._server.kill()
        await self._wait()
        await self._server.start()

    async def _stop(self) -> None:
        self._server.pause()
        await self._wait()
        self._server.resume()

    async def _pause(self) -> None:
        await self._server.client.client_pause(int(self._random.random() * 1500))

    async def _fill(self) -> None:
        await self._server.client.config_set("maxmemory", "1")
        await self._wait()
        await self._server.client.config_set("maxmemory", "0")

    async def _demote(self) -> None:
        await self._server.client.replicaof("127.0.0.1", "1")
        await self._wait()
        await self._server.client.replicaof("NO", "ONE")

    async def _flush(self) -> None:
        await self._server.client.flushall()

    async def _cut(self) -> None:
        with contextlib.suppress(Exception):  # our own connection may be among them
            await self._server.client.execute_command(
                "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"
            )

    async def _meddle(self) -> None:
        """Somebody deletes pins, writes plano's or garbage by hand."""
        for _ in range(20):
            session = self._session()
            value = f'{{"model_name": "{_name(session)}/any/x"}}'
            match self._random.randrange(4):
                case 0:
                    await self._server.client.delete(session.key)
                    await self._server.client.hset(session.key, "not", "a value")
                case 1:
                    await self._server.client.set(session.key, value, ex=600)
                case 2:
                    await self._server.client.set(session.key, b"\xff{", ex=600)
                case _:
                    await self._server.client.delete(session.key)

    async def _wait(self) -> None:
        await asyncio.sleep(self._random.random() * 1.5)


def _name(session: Session) -> str:
    return f"{session.tenant}/{session.session_id}/{session.agent}"


async def main(seconds: float, seed: int) -> int:
    """Run it on each Redis; how much was wrong."""
    logging.disable(logging.WARNING)  # each edge, for each store
    wrong = 0
    for kind in KINDS:
        async with redis_server(kind) as server, contextlib.AsyncExitStack() as stack:
            stores = [
                await stack.enter_async_context(redis_store(server, budget_s=0.02))
                for _ in range(STORES)
            ]
            chaos = Chaos(server, stores, seed)
            async with asyncio.TaskGroup() as group:
                for number in range(STORES * CALLERS):
                    group.create_task(chaos.call(stores[number % STORES]))
                fails = group.create_task(chaos.fail())
                await asyncio.sleep(seconds)
                chaos.is_over = True
                await fails
            await chaos.heal()
            pins = await chaos.compare()
        print(
            f"Redis {kind}: {dict(chaos.outcomes)}; faults {dict(chaos.faults)}; {pins} lanes pinned; {len(chaos.wrong)} wrong"
        )
        for line in chaos.wrong[:10]:
            print(" ", line)
        wrong += len(chaos.wrong)
    return wrong


if __name__ == "__main__":
    arguments = [float(each) for each in sys.argv[1:]] + [30.0, 1.0][len(sys.argv) - 1 :]
    sys.exit(asyncio.run(main(arguments[0], int(arguments[1]))) > 0)

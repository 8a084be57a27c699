"""1,000 agent conversations of 20 turns with tool loops, over sidecars that share one Redis, on
accounts that fail at random and one that refuses everything for 30 s.

python -m tests.bench.bench_agents [CONVERSATIONS] [SIDECARS] [SEED] [keep|strip]
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from sidecar.demo.router_model import DemoRouterModel
from tests.support.agents.proof import RATES, Proof
from tests.support.agents.world import BY_NAME, simulator, world_config
from tests.support.redis_server import redis_server
from tests.support.sidecar_process import SidecarProcess

TURNS, THROTTLE_AFTER_S, THROTTLE_S, HOME_WITHIN_S, THINK_S = 20, 30.0, 30.0, 60.0, 3.0
SHARES = {"claudework": 35, "opuswork": 15, "gptwork": 20, "geminiwork": 10, "codexwork": 15, "storedwork": 5}  # fmt: skip
"""Of a hundred conversations."""


async def main(conversations: int, sidecars: int, seed: int, signed_state: str) -> None:
    """Run the conversations and print what became of them."""
    routing = {} if signed_state == "keep" else {"signed_state": signed_state}
    async with contextlib.AsyncExitStack() as stack:
        simulated = await stack.enter_async_context(simulator(seed=seed, rates=RATES))
        router = await stack.enter_async_context(DemoRouterModel())
        redis = await stack.enter_async_context(redis_server())
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        running = [
            SidecarProcess(world_config(simulated.url, router.url, redis.url, **routing), work)
            for _ in range(sidecars)
        ]
        for each in running:
            stack.push_async_callback(each.terminate)
        for each in running:
            await each.wait_ready()
        proof = Proof(simulated, [each.data_url for each in running], http, seed)
        names = [name for name, share in SHARES.items() for _ in range(share)]
        for number in range(conversations):
            proof.add(BY_NAME[names[number % len(names)]], number, think_s=THINK_S)
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(proof.throttle("east", THROTTLE_AFTER_S, THROTTLE_S))
            group.create_task(proof.run(TURNS, spread_s=THROTTLE_AFTER_S / 2))
        report(proof, time.monotonic() - began_s)
        for (account, model), results in sorted(simulated.ledger.results.items()):
            print(f"  {model} at {account}: {dict(results)}")


def report(proof: Proof, took_s: float) -> None:
    """Print what became of the conversations."""
    calls = sum(each.calls for each in proof.agents)
    back, able = proof.returned(HOME_WITHIN_S)
    away = sum(each.was_away for each in proof.tracks.values())
    print(f"{len(proof.agents)} conversations, {calls} calls served in {took_s:.0f} s")
    print(f"refused: {proof.refusals.total()} {dict(proof.refusals)}")
    print(f"refused though a candidate would have served: {len(proof.refused_in_vain)}")
    for text, count in collections.Counter(proof.refused_in_vain).most_common(8):
        print(f"  {count} x {text[:300]}")
    stuck = collections.Counter(each.split()[0] for each in proof.stuck)
    print(f"stuck: {len(proof.stuck)} {dict(stuck)}")
    print(f"cut streams, asked again: {sum(each.cut for each in proof.agents)}")
    print(f"replies without their thinking: {sum(each.lost for each in proof.agents)}")
    for name in SHARES:
        print(f"  {name}: {proof.returned(HOME_WITHIN_S, name)}")
    unrouted = [session for session, each in proof.tracks.items() if not each.is_routed]
    print(f"at the end without a route: {len(unrouted)}")
    share = 100 * back / able if able else 100
    print(f"driven away by the throttle: {away}; home again within {HOME_WITHIN_S:.0f} s where their "
          f"history allows: {back} of {able} ({share:.1f} %)")  # fmt: skip


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(
        main(
            int(given[0]) if given else 1000,
            int(given[1]) if len(given) > 1 else 4,
            int(given[2]) if len(given) > 2 else 1,
            given[3] if len(given) > 3 else "keep",
        )
    )

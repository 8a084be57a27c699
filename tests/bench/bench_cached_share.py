"""The cached share of input tokens before and after one 429 at one of two accounts, over sidecars
that share one Redis.

python -m tests.bench.bench_cached_share [SIDECARS] [CONVERSATIONS] [TURNS]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from tests.support.agents.cached import Shares, measure, two_accounts_config
from tests.support.agents.world import simulator
from tests.support.redis_server import redis_server
from tests.support.sidecar_process import SidecarProcess
from tests.support.simulator.faults import REFUSALS, Fault

RETRY_AFTERS_S = (None, "1", "30")


async def run(sidecars: int, conversations: int, turns: int, fault: Fault | None) -> Shares:
    """Start everything anew, and measure."""
    async with contextlib.AsyncExitStack() as stack:
        simulated = await stack.enter_async_context(simulator())
        redis = await stack.enter_async_context(redis_server())
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = []
        for _ in range(sidecars):
            running.append(SidecarProcess(two_accounts_config(simulated.url, redis.url), work))
            stack.push_async_callback(running[-1].terminate)
        for each in running:
            await each.wait_ready()
        urls = [each.data_url for each in running]
        shares = await measure(
            simulated, urls, conversations=conversations, turns=turns, fault=fault
        )
        print({key: dict(value) for key, value in simulated.ledger.results.items()})
        return shares


async def main(sidecars: int, conversations: int, turns: int) -> None:
    """Measure without a refusal, and with one that names different times."""
    control = await run(sidecars, conversations, turns, None)
    print(f"without a refusal: {control.before:.3f}, then {control.after:.3f}")
    for after_s in RETRY_AFTERS_S:
        headers = () if after_s is None else (("retry-after", after_s),)
        REFUSALS[Fault.RATE_LIMITED] = REFUSALS[Fault.RATE_LIMITED]._replace(headers=headers)
        found = await run(sidecars, conversations, turns, Fault.RATE_LIMITED)
        print(f"one 429, retry-after {after_s}: {found.before:.3f}, then {found.after:.3f}: "
              f"{100 * found.after / control.after:.1f} % of that without")  # fmt: skip


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    asyncio.run(main(*(given + [20, 60, 20][len(given) :])))

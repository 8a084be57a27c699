"""One refusal at one of two accounts costs the prompt caches of a model next to nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.support.agents.cached import Shares, measure, two_accounts_config
from tests.support.agents.world import simulator
from tests.support.in_process import running_app
from tests.support.redis_server import redis_server
from tests.support.simulator.faults import Fault

SIDECARS, CONVERSATIONS, TURNS = 8, 16, 8


async def _shares(work: Path, fault: Fault | None) -> Shares:
    async with contextlib.AsyncExitStack() as stack:
        simulated = await stack.enter_async_context(simulator())
        redis = await stack.enter_async_context(redis_server())
        config = two_accounts_config(simulated.url, redis.url)
        apps = [await stack.enter_async_context(running_app(config, work)) for _ in range(SIDECARS)]
        urls = [f"http://127.0.0.1:{app.ports.data}" for app in apps]
        return await measure(simulated, urls, conversations=CONVERSATIONS, turns=TURNS, fault=fault)


async def test_the_cached_share_stays_after_one_429_at_one_of_two_accounts(tmp_path):
    """At least 95 % of what it is without: each session stays at its account, on every sidecar."""
    without = await _shares(tmp_path, None)
    found = await _shares(tmp_path, Fault.RATE_LIMITED)

    assert without.after > 0.9
    assert found.after >= 0.95 * without.after

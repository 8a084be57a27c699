"""How much of what agents send is read from providers' prompt caches, before and after one refusal
at one of two accounts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import aiohttp

from tests.support.agents.agent import Agent
from tests.support.agents.histories import MessagesHistory
from tests.support.net import free_port
from tests.support.simulator.faults import Fault
from tests.support.simulator.ledger import cached_share
from tests.support.simulator.server import Simulator


class Shares(NamedTuple):
    """Shares of the input tokens that were read from a cache, 0 to 1."""

    before: float
    after: float


def two_accounts_config(
    simulator_url: str, redis_url: str | None, model: str = "claude"
) -> dict[str, Any]:
    """Return the config of a sidecar with one model at two accounts, and neither routes nor a
    router model.
    """
    cache = {"type": "redis", "url": redis_url} if redis_url else {"type": "memory"}
    return {
        "version": "v0.4.0",
        "listeners": [{"type": "model", "name": "llm", "address": "127.0.0.1", "port": free_port()}],
        "admin": {"address": "127.0.0.1", "port": free_port(), "operator_address": "off"},
        "model_providers": [
            {
                "model": f"anthropic/{model}",
                "name": account,
                "access_key": f"sk-{account}",
                "base_url": simulator_url,
            }
            for account in ("east", "west")
        ],
        "routing": {"session_cache": cache | {"call_budget_ms": 500}},
        "drain": {"quiet_s": 0, "grace_s": 10},
    }  # fmt: skip


async def measure(
    simulated: Simulator,
    base_urls: Sequence[str],
    *,
    conversations: int,
    turns: int,
    fault: Fault | None = Fault.RATE_LIMITED,
) -> Shares:
    """Hold conversations whose calls go to all sidecars in turn; after ``turns`` turns let one
    request at the first account fail, and go on for as many.

    A conversation's prompts grow, and so does the share that was sent before: a run without a
    ``fault`` says what to compare with.
    """
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        agents = [
            Agent(
                MessagesHistory("anthropic/claude"),
                f"cached {number}",
                [*base_urls[number % len(base_urls) :], *base_urls[: number % len(base_urls)]],
                http,
            )
            for number in range(conversations)
        ]
        for agent in agents:
            agent.think_s = 0.1
        await asyncio.gather(*(agent.converse(turns) for agent in agents))
        middle = simulated.ledger.all_tokens()
        if fault is not None:
            simulated.faults.script["east"].append(fault)
        await asyncio.gather(*(agent.converse(turns) for agent in agents))
    end = simulated.ledger.all_tokens()
    return Shares(cached_share(middle), cached_share(end, middle))

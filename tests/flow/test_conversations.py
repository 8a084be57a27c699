"""A conversation survives a switch: agents with tool loops, on accounts that remember and fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from sidecar.demo.router_model import DemoRouterModel
from tests.support.agents.agent import Agent
from tests.support.agents.histories import HISTORIES, MessagesHistory
from tests.support.agents.proof import RATES, Proof
from tests.support.agents.sdk_agents import anthropic_turn, chat_turn, responses_turn
from tests.support.agents.world import BY_NAME, KINDS, simulator, world_config
from tests.support.in_process import running_app
from tests.support.sdks import open_sdks
from tests.support.simulator.faults import Throttle
from tests.support.simulator.server import Simulator

# Thousands of calls that reach what others reach: counting branches doubles the time they take.
pytestmark = pytest.mark.no_cover

FOREVER = float("inf")


class World(NamedTuple):
    """A simulator and a sidecar before it."""

    simulated: Simulator
    url: str
    http: aiohttp.ClientSession

    def agent(self, kind: str, session: str = "s") -> Agent:
        """Return an agent that does a kind of work."""
        work = BY_NAME[kind]
        history = HISTORIES[work.history](f"{work.prefix}/{work.places[0].model}")
        agent = Agent(history, f"{kind} {session}", [self.url], self.http)
        agent.retry_s = 0.001
        return agent

    def throttle(self, *accounts: str) -> None:
        """Let these accounts refuse everything, and only these."""
        throttles = self.simulated.faults.throttles
        throttles.clear()
        throttles.update((each, Throttle(FOREVER)) for each in accounts)


@contextlib.asynccontextmanager
async def world(
    work: Path, seed: int = 1, rates: Any = None, **routing: Any
) -> AsyncIterator[World]:
    async with (
        simulator(seed=seed, rates=rates) as simulated,
        DemoRouterModel() as router,
        running_app(world_config(simulated.url, router.url, **routing), work) as app,
        aiohttp.ClientSession() as http,
    ):
        yield World(simulated, f"http://127.0.0.1:{app.ports.data}", http)


@pytest.mark.parametrize("kind", ["claudework", "opuswork"])
async def test_a_failover_from_one_claude_to_another_makers_model_and_back_refuses_no_call(
    tmp_path, kind
):
    """Its history then holds thinking of both. Eight further calls of eight are served."""
    async with world(tmp_path) as here:
        agent = here.agent(kind)
        assert await agent.turn(f"{kind}: begin.")
        here.throttle("east", "west")
        assert await agent.turn(f"{kind}: away.")
        here.throttle()
        agent.refused.clear()

        for number in range(8):
            assert await agent.turn(f"{kind}: further {number}.")

    assert agent.refused == []


@pytest.mark.parametrize("kind", [each.name for each in KINDS])
async def test_no_call_is_refused_that_a_candidate_would_have_served(tmp_path, kind):
    """At random failures and a throttle of the account that serves most; nobody gets stuck."""
    async with world(tmp_path, rates=RATES) as here:
        proof = Proof(here.simulated, [here.url], here.http, seed=3)
        for number in range(16):
            agent = proof.add(BY_NAME[kind], number, think_s=0.01)
            agent.retry_s = 0.05
        async with asyncio.TaskGroup() as group:
            group.create_task(proof.throttle("east", 0.5, 1.0))
            group.create_task(proof.run(8))

    assert proof.refused_in_vain == []
    assert proof.stuck == []
    assert sum(each.calls for each in proof.agents) > 16 * 8


async def test_sessions_come_home_after_a_throttle(tmp_path):
    """Where the newest turn holds no signed thinking: that keeps a session where it is."""
    async with world(tmp_path) as here:
        proof = Proof(here.simulated, [here.url], here.http, seed=5)
        for number in range(24):
            kind = ("claudework", "opuswork", "gptwork", "codexwork")[number % 4]
            proof.add(BY_NAME[kind], number, think_s=0.2, thinks=number % 8 < 4)
        async with asyncio.TaskGroup() as group:
            group.create_task(proof.throttle("east", 1.0, 2.0))
            group.create_task(proof.run(200, for_s=16.0))
        back, able = proof.returned(12.0)

    assert able >= 8
    assert back >= 0.95 * able


@pytest.mark.parametrize(("turn", "kind", "sdk"), [
    (anthropic_turn, "claudework", "anthropic"), (anthropic_turn, "opuswork", "anthropic"),
    (responses_turn, "codexwork", "openai"),
    (chat_turn, "gptwork", "openai"), (chat_turn, "geminiwork", "openai"),
])  # fmt: skip
async def test_the_real_sdks_see_no_error_over_a_failover_and_back(tmp_path, turn, kind, sdk):
    """Without a retry of their own: 20 turns, the middle ones at another maker's model."""
    work = BY_NAME[kind]
    async with world(tmp_path) as here, open_sdks(here.url, "async") as sdks:
        client = getattr(sdks, sdk).with_options(default_headers={"x-model-affinity": kind})
        history: list[Any] = []
        for number in range(20):
            if number in (6, 12):
                here.throttle(*{6: ("east", "west"), 12: ()}[number])
            await turn(client, f"{work.prefix}/{work.places[0].model}", history, f"{kind} {number}")

    assert len(history) > 40


async def _signed_elsewhere(here: World) -> Agent:
    """Return an agent at home whose history holds another maker's thinking."""
    agent = here.agent("claudework")
    assert await agent.turn("claudework: begin.")
    here.throttle("east", "west")
    assert await agent.turn("claudework: away.")
    here.throttle("north")
    return agent


async def test_a_call_that_no_candidate_can_read_is_served_without_its_foreign_thinking(tmp_path):
    """Where the config says ``signed_state: strip``, and the response says so."""
    async with world(tmp_path, signed_state="strip") as here:
        agent = await _signed_elsewhere(here)
        agent.refused.clear()
        before = agent.calls

        for number in range(4):
            assert await agent.turn(f"claudework: further {number}.")

    assert agent.refused == []
    assert agent.lost == agent.calls - before >= 4


async def test_bytes_stay_untouched_where_nothing_else_is_asked_for(tmp_path):
    """By default the app gets the provider's refusal."""
    async with world(tmp_path) as here:
        agent = await _signed_elsewhere(here)
        agent.refused.clear()
        agent.most_tries = 3

        assert not await agent.turn("claudework: on.")

    assert {each.status for each in agent.refused} <= {400, 429}
    assert agent.lost == 0


async def test_an_open_tool_loop_keeps_its_thinking(tmp_path):
    """A turn whose tools' results are sent needs it: the app gets the refusal, also with
    ``strip``.
    """
    async with world(tmp_path, signed_state="strip") as here:
        agent = here.agent("claudework")
        here.throttle("east", "west")
        history = agent.history
        assert isinstance(history, MessagesHistory)
        history.say("claudework: 1.")
        wanted = await agent.call()
        assert wanted
        agent.most_tries = 3
        history.give(wanted)
        here.throttle("north")

        assert await agent.call() is None

    assert agent.lost == 0

"""How much of what a session sends is read from its provider's prompt cache: where the app speaks
the provider's API, and where its calls are translated.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.support.agents.agent import Agent
from tests.support.agents.histories import HISTORIES
from tests.support.in_process import running_app
from tests.support.simulator.server import Simulator
from tests.support.simulator.values import ModelRules, Usage
from tests.support.translated import MODELS, config

LEAST_TOKENS = 1024
"""Both makers keep no shorter prefix of the models that are simulated here."""
INSTRUCTIONS = "You are a careful programmer. Read before you write. " * 120
"""1,590 tokens: all sessions begin with them."""


class Session(NamedTuple):
    """What a session is like."""

    turns: int
    parallel_calls: int
    """How many tools are called at a time, up to three times a turn."""


SESSIONS = {
    "one call at a time": Session(turns=8, parallel_calls=1),
    "three calls side by side": Session(turns=8, parallel_calls=3),
    "a dozen calls side by side": Session(turns=4, parallel_calls=12),
}


async def usage_of(source: str, target: str, session: Session, work: Path) -> Usage:
    """Hold two conversations of an app of one API with a model of another, or of the same, one after
    the other. Returns: the tokens that the provider counted.
    """
    rules = [
        ModelRules(
            model.partition("/")[2],
            dialect,
            least_cached_tokens=LEAST_TOKENS,
            parallel_calls=session.parallel_calls,
        )
        for dialect, model in MODELS.items()
    ]
    async with (
        Simulator(rules, {"k": "account"}, now_s=lambda: 0.0) as simulated,
        running_app(config(simulated.url), work) as app,
        aiohttp.ClientSession() as http,
    ):
        for name in ("first", "second"):
            history = HISTORIES[source](MODELS[target], instructions=INSTRUCTIONS)
            agent = Agent(history, name, [f"http://127.0.0.1:{app.ports.data}"], http)
            await agent.converse(session.turns)
            assert (agent.is_stuck, agent.refused) == (False, []), agent.refused
        return simulated.ledger.all_tokens()

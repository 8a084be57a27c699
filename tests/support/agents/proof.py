"""Many agents at once, on accounts that fail: whether any call was refused that a candidate would
have served, any conversation got stuck, and who came home again after a throttle.
"""

from __future__ import annotations

import asyncio
import collections
import math
import random
import time
from collections.abc import Sequence

import aiohttp

from sidecar.dialects.registry import DIALECTS
from tests.support.agents.agent import Agent, Refused, Served
from tests.support.agents.histories import HISTORIES
from tests.support.agents.world import Kind, could_serve
from tests.support.simulator.faults import Fault, Throttle
from tests.support.simulator.server import Simulator
from tests.support.steps import is_signed_in

RATES = {
    Fault.SERVER_ERROR: 0.01,
    Fault.OVERLOADED: 0.005,
    Fault.RATE_LIMITED: 0.005,
    Fault.RESET_BEFORE: 0.005,
    Fault.RESET_IN_STREAM: 0.003,
    Fault.ERROR_EVENT_FIRST: 0.005,
    Fault.ERROR_EVENT_LATER: 0.003,
    Fault.SLOW_FIRST_BYTE: 0.01,
}


class Track:
    """Where one session was served, and whether its history could be read at home."""

    def __init__(self) -> None:
        self.home: tuple[str, str] | None = None
        self.was_away = False
        self.back_s: float | None = None
        """When it was served at home again after the throttle."""
        self.could_return = False
        """Whether a call of it came, after the throttle, that home would have taken and whose newest
        turn nobody had signed: signed turns keep a session where it is.
        """
        self.last_s = 0.0
        self.is_routed = False
        """Whether its newest served call was of a route, whose models are then its candidates."""


class Proof:
    """One run."""

    def __init__(
        self, simulated: Simulator, base_urls: Sequence[str], http: aiohttp.ClientSession, seed: int
    ) -> None:
        self.refused_in_vain: list[str] = []
        """Calls that were refused though a candidate would have served them."""
        self.refusals: collections.Counter[str] = collections.Counter()
        self.agents: list[Agent] = []
        self.tracks: dict[str, Track] = {}
        self.throttle_s: tuple[float, float] | None = None
        """From when till when the throttle held."""
        self._simulated = simulated
        self._base_urls = base_urls
        self._http = http
        self._random = random.Random(seed)

    def add(self, kind: Kind, number: int, *, think_s: float = 0.0, thinks: bool = True) -> Agent:
        """Add an agent that does a kind of work, half of them with streams."""
        history = HISTORIES[kind.history](f"{kind.prefix}/{kind.places[0].model}", thinks=thinks)
        history.wants_stream = number % 8 != 0
        agent = Agent(history, f"{kind.name} {number}", self._base_urls, self._http)
        agent.think_s = think_s * (0.5 + self._random.random())
        track = self.tracks[agent.session] = Track()
        agent.on_served = lambda served: self._on_served(kind, track, served)
        agent.on_refused = lambda refused: self._on_refused(kind, track, refused)
        self.agents.append(agent)
        return agent

    async def run(self, turns: int, *, spread_s: float = 0.0, for_s: float = math.inf) -> None:
        """Let all agents hold their conversations; they begin within ``spread_s``, and begin no
        turn after ``for_s``.
        """
        until_s = time.monotonic() + for_s

        async def begin(agent: Agent) -> None:
            await asyncio.sleep(self._random.random() * spread_s)
            await agent.converse(turns, until_s)

        async with asyncio.TaskGroup() as group:
            for agent in self.agents:
                group.create_task(begin(agent))

    async def throttle(self, account: str, after_s: float, for_s: float) -> None:
        """Let an account refuse everything for a while."""
        await asyncio.sleep(after_s)
        began_s = time.monotonic()
        self._simulated.faults.throttles[account] = Throttle(began_s + for_s)
        self.throttle_s = began_s, began_s + for_s

    def returned(self, within_s: float, kind: str = "") -> tuple[int, int]:
        """Return how many sessions that the throttle drove away were home again so soon after it,
        and of how many whose history could be read there; of one kind of work, or of all.
        """
        assert self.throttle_s is not None
        end_s = self.throttle_s[1]
        able = [
            each
            for session, each in self.tracks.items()
            if each.was_away
            and session.startswith(kind)
            and each.could_return
            and (each.back_s is not None or each.last_s >= end_s + within_s)
        ]
        back = [
            each for each in able if each.back_s is not None and each.back_s <= end_s + within_s
        ]
        return len(back), len(able)

    @property
    def stuck(self) -> list[str]:
        """Sessions whose conversation could not go on."""
        return [each.session for each in self.agents if each.is_stuck]

    def _on_refused(self, kind: Kind, track: Track, refused: Refused) -> None:
        self.refusals[f"{refused.status} {kind.name}"] += 1
        path = HISTORIES[kind.history].path
        places = kind.places
        if not refused.is_routed and not track.is_routed:
            # The router model was not asked: the requested model's entries were all there was.
            places = tuple(each for each in places if each.model == places[0].model)
        place = could_serve(self._simulated, places, path, refused.raw, refused.request_id)
        if place is not None:
            self.refused_in_vain.append(f"{kind.name}: {refused.text} though {place} would serve")

    def _on_served(self, kind: Kind, track: Track, served: Served) -> None:
        attempts = self._simulated.ledger.attempts.get(served.request_id)
        if not attempts:
            return
        at, track.last_s, track.is_routed = attempts[-1][:2], served.at_s, served.is_routed
        if track.home is None:
            track.home = at
        if self.throttle_s is None or served.at_s < self.throttle_s[0]:
            return
        if served.at_s < self.throttle_s[1]:
            track.was_away = track.was_away or at != track.home
        elif track.was_away and track.back_s is None:
            if not track.could_return:
                path = HISTORIES[kind.history].path
                dialect = DIALECTS.by_name[DIALECTS.endpoints[path].dialect]
                is_signed = is_signed_in(dialect, served.raw)
                track.could_return = not is_signed and self._simulated.would_serve(
                    path, served.raw, *track.home
                )
            if at == track.home:
                track.back_s = served.at_s

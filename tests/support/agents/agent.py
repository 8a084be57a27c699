"""An agent: it holds a conversation through a sidecar, tries again as SDKs and agents do, and says
how it fared.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import aiohttp

from tests.support.agents.histories import History
from tests.support.agents.reading import Incomplete

_MOST_TRIES = 18
"""An agent asks so often where trying again may help: an SDK with two retries, asked six times."""
_USER_RETRIES = 2
"""A person asks again so often where it cannot."""


class Served(NamedTuple):
    """A call that was served."""

    at_s: float
    request_id: str
    raw: bytes
    is_routed: bool
    """Whether it was served within a route."""


class Refused(NamedTuple):
    """A reply that is no answer."""

    status: int
    request_id: str
    raw: bytes
    text: str
    may_retry: bool
    is_routed: bool
    """Whether candidates of a route were asked; false too where no provider replied."""
    at_s: float


class Agent:
    """One conversation."""

    def __init__(
        self,
        history: History,
        session: str,
        base_urls: Sequence[str],
        http: aiohttp.ClientSession,
    ) -> None:
        """Args: ``base_urls`` are the sidecars, asked in turn."""
        self.history = history
        self.session = session
        self.calls = 0
        """How many were served."""
        self.refused: list[Refused] = []
        self.cut = 0
        """Streams that ended before their end."""
        self.is_stuck = False
        self.lost = 0
        """Replies that say ``x-plano-lost``."""
        self.think_s = 0.0
        """Pause between a reply and the next call."""
        self.retry_s = 0.2
        """First pause before a call is made again; doubled each time."""
        self.most_tries = _MOST_TRIES
        self.on_served: Callable[[Served], None] = lambda _served: None
        self.on_refused: Callable[[Refused], None] = lambda _refused: None
        self._base_urls = base_urls
        self._http = http

    async def converse(self, turns: int, until_s: float = math.inf) -> None:
        """Hold a conversation of so many turns of the user's, or as many as can be, or as begin
        before ``until_s``.
        """
        for turn in range(turns):
            if time.monotonic() > until_s:
                return
            if not await self.turn(f"{self.session}, step {turn}: go on."):
                self.is_stuck = True
                return

    async def turn(self, text: str) -> bool:
        """Say something, and do what the model wants until it is done. Returns: whether it was."""
        self.history.say(text)
        while True:
            if self.think_s:
                await asyncio.sleep(self.think_s)
            wanted = await self.call()
            if wanted is None:
                return False
            if not wanted:
                return True
            self.history.give(wanted)

    async def call(self) -> list[str] | None:
        """Make one call until it is served. Returns: the tool calls that the model wants; None where
        nothing helps.
        """
        hopeless = 0
        for attempt in range(self.most_tries):
            try:
                found = await self._try(attempt)
            except (Incomplete, aiohttp.ClientError, TimeoutError):
                self.cut += 1
            else:
                if isinstance(found, list):
                    return found
                hopeless += not found.may_retry
                if hopeless > _USER_RETRIES:
                    return None
            await asyncio.sleep(min(self.retry_s * 2**attempt, 5.0))
        return None

    async def _try(self, attempt: int) -> list[str] | Refused:
        raw = self.history.raw()
        base_url = self._base_urls[(self.calls + attempt) % len(self._base_urls)]
        headers = {
            "content-type": "application/json",
            "x-model-affinity": self.session,
            "anthropic-version": "2023-06-01",
        }
        async with self._http.post(
            base_url + self.history.path, data=raw, headers=headers
        ) as reply:
            body = await reply.read()
            if reply.status >= 400:
                refused = Refused(
                    reply.status,
                    reply.headers.get("x-request-id", ""),
                    raw,
                    body[:300].decode(errors="replace"),
                    _may_retry(reply.status),
                    "x-plano-route" in reply.headers,
                    time.monotonic(),
                )
                self.refused.append(refused)
                self.on_refused(refused)
                return refused
            wanted = self.history.take(body)
            self.lost += "x-plano-lost" in reply.headers
            self.calls += 1
            self.on_served(
                Served(
                    time.monotonic(),
                    reply.headers.get("x-request-id", ""),
                    raw,
                    "x-plano-route" in reply.headers,
                )
            )
            return wanted


def _may_retry(status: int) -> bool:
    return status in (408, 409, 429) or status >= 500

"""Pins that were made while Redis was gone, or took no writes, on their way back into it.

The first writer still wins: an entry is claimed, or replaces the bytes that it was made from.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from sidecar.affinity.call_budget import CallBudget, PerOperationBudget
from sidecar.affinity.near_cache import Entry, NearCache, is_of_lane
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.link import STALL_TICKS, TICK_S
from sidecar.affinity.redis.queries import PinQueries, Script, StorePolicy
from sidecar.affinity.session import lane_suffix
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.ids import Session
from sidecar.domain.vocabulary import PinOperation, PinOutcome

EVERY_S: Final = 0.5
"""Between two looks, with jitter; a Redis that is back is whole again within seconds."""
_AT_ONCE: Final = 50
"""Entries that are written together: calls wait while their replies are read, for milliseconds and
not for a whole budget."""
_WAIT_S: Final = STALL_TICKS * TICK_S
"""For a crowd of entries; a server that takes longer for them is hanging."""


class WriteBack:
    """Writes dirty entries of the near cache to Redis."""

    def __init__(
        self,
        near: NearCache,
        health: StoreHealth,
        queries: PinQueries,
        policy: StorePolicy,
        clock: Clock,
    ) -> None:
        self._near = near
        self._health = health
        self._queries = queries
        self._policy = policy
        self._clock = clock

    async def keep_on(self) -> None:
        """Write again and again, for the life of the store, so that no moment can be missed."""
        while True:
            await asyncio.sleep(EVERY_S * (0.5 + random.random()))
            if not self._near.is_alone and self._near.dirty_entries:
                await self._write()

    def confirm_other_lane(self, session: Session) -> None:
        """If the plain key's cached owner is another lane and unverified, claim it for that lane
        first: a Redis that came back empty would give the key to whichever lane comes first, and
        the other one's pin would be forgotten.
        """
        entry = self._near.unverified(session.key)
        if entry is not None and not is_of_lane(entry.binding, session):
            self._queries.begin(self._script_of(session.key, entry))

    async def move(self, key: str, entry: Entry, budget: CallBudget) -> Binding:
        """Write a move that was made while Redis was gone, unless another pod has moved the pin.
        Return the binding that now stands.
        """
        began_s = self._clock.monotonic_s()
        stored = await self._queries.run(self._script_of(key, entry), budget)
        if stored is None or stored.binding is None:
            return entry.binding
        is_moved = stored.binding == entry.binding
        outcome = PinOutcome.REPLACED if is_moved else PinOutcome.LOST
        self._queries.report(PinOperation.REPLACE, outcome, began_s)
        return stored.binding

    async def _write(self) -> None:
        left = self._near.dirty()
        # One goes ahead: a server that takes no writes says so once, not for every pin.
        sizes = [1] + [_AT_ONCE] * (len(left) // _AT_ONCE + 1)
        for size in sizes:
            batch, left = left[:size], left[size:]
            batch = [(key, entry) for key, entry in batch if self._near.holds(key, entry)]
            if batch and not await self._write_batch(batch):
                return

    async def _write_batch(self, batch: Sequence[tuple[str, Entry]]) -> bool:
        """Write some entries, which then are as Redis has them; return whether to go on."""
        budget = PerOperationBudget(max(self._policy.budget_s, _WAIT_S), self._clock.monotonic_s)
        scripts = [self._script_of(key, entry) for key, entry in batch]
        replies = await asyncio.gather(*(self._queries.run(each, budget) for each in scripts))
        for (_, entry), stored in zip(batch, replies, strict=True):
            if stored is not None:
                is_ours = stored.binding == entry.binding
                outcome = PinOutcome.CLAIMED if is_ours else PinOutcome.ADOPTED
                self._queries.report(PinOperation.WRITE_BACK, outcome)
        are_written = None not in replies
        if are_written:
            self._health.wrote()
        return are_written

    def _script_of(self, key: str, entry: Entry) -> Script:
        """Return the script that writes an entry unless another one stands in its place."""
        ttl_ms = self._policy.ttl_ms
        if entry.base:
            return Script(PinOperation.REPLACE, (key,), (entry.base, entry.raw, ttl_ms, 1))
        lane = entry.binding.requested_model or ""
        lane_key = key if "~" in key else key + lane_suffix(lane)
        return Script(PinOperation.CLAIM, (key, lane_key), (lane, entry.raw, ttl_ms, b""))

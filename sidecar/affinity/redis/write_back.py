"""Sessions that were changed while Redis was gone, or took no writes, on their way back into it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from sidecar.affinity.call_budget import PerOperationBudget
from sidecar.affinity.lanes import Lanes
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.errors import is_forbidden
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.link import STALL_TICKS, TICK_S
from sidecar.affinity.redis.queries import PinQueries, StorePolicy
from sidecar.domain.clock import Clock
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.runtime.bounded import BoundedMap

EVERY_S: Final = 0.5
"""Between two looks, with jitter; a Redis that is back is whole again within seconds."""
_AT_ONCE: Final = 50
"""Sessions that are written together: calls wait while their replies are read, for milliseconds and
not for a whole budget."""
_HELD_BACK_S: Final = 30.0
"""A session that this user may not write is not tried again for so long, so that it is not in the
way of others."""
_MAX_HELD_BACK: Final = 1024
_WAIT_S: Final = STALL_TICKS * TICK_S
"""For a crowd of sessions; a server that takes longer for them is hanging."""


class WriteBack:
    """Writes to Redis what the near cache owes it."""

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
        self._held_back_until_s: BoundedMap[str, float] = BoundedMap(_MAX_HELD_BACK)

    async def keep_on(self) -> None:
        """Write again and again, for the life of the store, so that no moment can be missed."""
        while True:
            await asyncio.sleep(EVERY_S * (0.5 + random.random()))
            if not self._near.is_alone and self._near.owed:
                await self.write()

    async def write(self) -> None:
        """Write all that is owed, until Redis does not take it."""
        left = self._owed()
        # One goes ahead: a server that takes no writes says so once, not for every session.
        for size in [1] + [_AT_ONCE] * (len(left) // _AT_ONCE + 1):
            batch, left = [key for key in left[:size] if key in self._near.owed], left[size:]
            if batch and not await self._write_batch(batch):
                return

    def _owed(self) -> list[str]:
        """Return the keys that are to be written now."""
        near, now_s = self._near, self._clock.monotonic_s()
        return [
            key
            for key in list(near.owed)
            if near.known(key) is not None
            and not self._queries.is_writing(key)
            and self._held_back_until_s.get(key, 0.0) <= now_s
        ]

    def _count(self, key: str, mine: Lanes, write: asyncio.Future[Any]) -> None:
        """Report a write, or hold its session back where the write is forbidden."""
        error = write.exception() if write.done() else None
        if isinstance(error, ResponseError) and is_forbidden(error):
            self._held_back_until_s.add(key, self._clock.monotonic_s() + _HELD_BACK_S)
        if write.done() and error is None:
            outcome = PinOutcome.CLAIMED if write.result() == mine else PinOutcome.ADOPTED
            self._queries.report(PinOperation.WRITE_BACK, outcome)

    async def _write_batch(self, keys: Sequence[str]) -> bool:
        """Write some sessions, which then are as Redis has them; return whether to go on."""
        budget = PerOperationBudget(max(self._policy.budget_s, _WAIT_S), self._clock.monotonic_s)
        queries = self._queries
        own = [self._near.lanes_of(self._near.owed[key]) for key in keys]
        writes = [queries.write(key) for key in keys]
        replies = await asyncio.gather(
            *(queries.wait(PinOperation.WRITE_BACK, write, budget) for write in writes)
        )
        for key, mine, write in zip(keys, own, writes, strict=True):
            self._count(key, mine, write)
        if None in replies:
            return False
        self._health.wrote()
        return True

"""Pins shared by all pods through one Redis, with a coherent cache in front of it, which serves as
a shadow while Redis is gone. No call fails because of it, or waits longer than its budget.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sidecar.affinity.call_budget import CallBudget, PerOperationBudget
from sidecar.affinity.near_cache import NearCache, is_of_lane
from sidecar.affinity.redis.browse import RedisPins
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.link import RedisLink
from sidecar.affinity.redis.queries import PinQueries, Script, StorePolicy
from sidecar.affinity.redis.write_back import WriteBack
from sidecar.affinity.store import PinBrowser
from sidecar.affinity.value import encode
from sidecar.config.schema_routing import Routing
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.ports import StoreSnapshot
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.runtime.lifecycle import Tasks

_NEAR_HIT: Final = AffinityOperation(PinOperation.GET, PinOutcome.NEAR_HIT)
_TRIES: Final = 2
"""Of a claim; the second one replaces the unreadable bytes that the first one found."""


def store_policy(routing: Routing) -> StorePolicy:
    """Return what the config says of pins in Redis."""
    cache = routing.session_cache
    return StorePolicy(
        ttl_s=routing.session_ttl_s,
        budget_s=cache.call_budget_ms / 1e3,
        max_entries=routing.session_max_entries,
        is_sliding=routing.session_ttl_mode == "sliding",
        has_near_cache=cache.near_cache,
        key_prefix=cache.key_prefix,
    )


class RedisStore:
    """Implements `AffinityStore`.

    Args: ``make_link`` makes the one connection, for the events of this store.
    """

    is_shared = True

    def __init__(
        self,
        make_link: Callable[..., RedisLink],
        policy: StorePolicy,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._observers = observers
        self._near = NearCache(policy.max_entries, clock.monotonic_s)
        self._health = StoreHealth(self._near, clock.monotonic_s)
        self._link: RedisLink = make_link(self._health, tracks=policy.has_near_cache)
        self._queries = PinQueries(self._near, self._health, self._link, policy, clock, observers)
        self._write_back = WriteBack(self._near, self._health, self._queries, policy, clock)
        self._tasks = Tasks()
        self.key_prefix = policy.key_prefix
        self.pins: PinBrowser = RedisPins(self._link.submit, self._near.forget, policy.key_prefix)

    def start(self) -> None:
        """Connect in the background."""
        self._link.start()
        self._tasks.spawn(self._write_back.keep_on(), name="write pins back")

    @property
    def is_up(self) -> bool:
        """Whether Redis is asked at all."""
        return not self._near.is_alone

    async def wait_until_up(self) -> None:
        """Return once Redis is asked."""
        await self._health.is_asked.wait()

    def snapshot(self) -> StoreSnapshot:
        """Return what the near cache holds now."""
        return StoreSnapshot(
            near_entries=len(self._near) - self._near.dirty_entries,
            shadow_entries=self._near.dirty_entries,
            is_up=self.is_up,
            is_tracking=self._link.is_up and self._link.is_tracking,
        )

    def budget(self) -> CallBudget:
        """Return what a new call may wait for Redis."""
        return CallBudget(self._policy.budget_s, self._clock.monotonic_s)

    def get_nowait(self, session: Session) -> Binding | None:
        """Return the lane's binding if the near cache has it and may be believed."""
        found = self._near.find(session)
        if found is None:
            return None
        key, entry = found
        self._observers.emit(_NEAR_HIT)
        is_renewed = self._policy.is_sliding and self._near.renew(entry, self._policy.ttl_s)
        if is_renewed and not entry.is_dirty and not entry.is_lasting:
            self._queries.refresh(key)
        return entry.binding

    async def get(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Return the lane's binding from the near cache, else from Redis."""
        return self.get_nowait(session) or await self.read(session, budget)

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Ask Redis for the lane's binding."""
        budget = budget or self.budget()
        key, known = self._near.place(session)
        if self._near.is_alone or budget.is_spent:
            self._queries.report(PinOperation.GET, PinOutcome.SKIPPED)
            return None if known is None else known.binding
        if known is not None and known.base:
            standing = await self._write_back.move(key, known, budget)
            if is_of_lane(standing, session):
                return standing
        if known is not None and self._near.is_in_doubt(known):
            # A claim confirms it, and repairs a Redis that came back empty.
            return await self.claim(session, known.binding, budget)
        began_s = self._clock.monotonic_s()
        if key != session.key:
            self._write_back.confirm_other_lane(session)
        looked_up = await self._queries.wait(
            PinOperation.GET, self._queries.look_up(session), budget
        )
        if looked_up is None:
            return None if known is None else known.binding  # better than nothing
        own, outcome = looked_up
        self._queries.report(PinOperation.GET, outcome, began_s)
        return own[0].binding if own else None

    async def claim(
        self, session: Session, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """Bind the lane in Redis unless another call was first; here where Redis is not asked."""
        budget = budget or self.budget()
        keys, unreadable, began_s = (session.key, session.lane_key), b"", self._clock.monotonic_s()
        value = encode(binding)
        self._write_back.confirm_other_lane(session)
        for _ in range(_TRIES):
            if self._near.is_alone or budget.is_spent:
                self._queries.report(PinOperation.CLAIM, PinOutcome.SKIPPED)
                break
            arguments = (session.lane, value, self._policy.ttl_ms, unreadable)
            stored = await self._queries.run(Script(PinOperation.CLAIM, keys, arguments), budget)
            if stored is not None and stored.binding is not None:
                is_ours = stored.binding == binding
                made = PinOutcome.CLAIMED if is_ours else PinOutcome.ADOPTED
                self._queries.report(PinOperation.CLAIM, made, began_s)
                return stored.binding
            unreadable = b"" if stored is None else stored.raw
        return self._near.claim(session, binding, self._policy.ttl_s)

    async def replace(
        self, session: Session, seen: Binding, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """Replace the lane's binding in Redis if it still is ``seen``; here where that fails."""
        budget = budget or PerOperationBudget(self._policy.budget_s, self._clock.monotonic_s)
        key, known = self._near.place(session)
        if known is not None and known.is_dirty:
            # Redis does not have it yet: what is written back is the newer one.
            self._queries.report(PinOperation.REPLACE, PinOutcome.SKIPPED)
            return self._near.replace(session, seen, binding, self._policy.ttl_s)
        began_s = self._clock.monotonic_s()
        if known is not None and known.binding == seen:
            raw = known.raw
        else:
            key, raw = await self._queries.place_of(session, seen, budget)
        stored = None
        if not self._near.is_alone and not budget.is_spent:
            arguments = (raw, encode(binding), self._policy.ttl_ms, 0)
            script = Script(PinOperation.REPLACE, (key,), arguments)
            stored = await self._queries.run(script, budget)
        if stored is None:
            self._queries.report(PinOperation.REPLACE, PinOutcome.SKIPPED)
            return self._keep_move(session, seen, binding, (key, raw))
        standing = stored.binding
        outcome = PinOutcome.REPLACED if standing == binding else PinOutcome.LOST
        self._queries.report(PinOperation.REPLACE, outcome, began_s)
        # The key may hold another lane's pin by now: then nothing stands for this one.
        return standing if standing is not None and is_of_lane(standing, session) else binding

    async def release(self, session: Session, seen: Binding) -> None:
        """Drop the lane's binding, here and in Redis, if it still is ``seen``."""
        budget = PerOperationBudget(self._policy.budget_s, self._clock.monotonic_s)
        began_s = self._clock.monotonic_s()
        key, raw = await self._queries.place_of(session, seen, budget)
        self._near.release(session, seen)
        if self._near.is_alone:
            return
        stored = await self._queries.run(Script(PinOperation.RELEASE, (key,), (raw,)), budget)
        if stored is not None:
            outcome = PinOutcome.RELEASED if stored.binding is None else PinOutcome.LOST
            self._queries.report(PinOperation.RELEASE, outcome, began_s)

    async def aclose(self) -> None:
        """End the background tasks and close the connection."""
        await self._tasks.aclose()
        await self._link.aclose()

    def _keep_move(
        self, session: Session, seen: Binding, binding: Binding, place: tuple[str, bytes]
    ) -> Binding:
        """Make a move here that cannot be written, also where the moved pin was not kept."""
        key, raw = place
        if self._near.place(session) == (key, None):
            self._near.put(key, seen, self._policy.ttl_s, raw)
        return self._near.replace(session, seen, binding, self._policy.ttl_s)

"""Pins shared by all pods through one Redis, with a coherent cache in front of it and a shadow for
when it is gone.

Source: affinity.md. Nothing here raises for an outage; no call waits longer than its budget.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sidecar.affinity.call_budget import CallBudget, PerOperationBudget
from sidecar.affinity.near_cache import is_of_lane
from sidecar.affinity.redis.browse import RedisPins
from sidecar.affinity.redis.link import RedisLink
from sidecar.affinity.redis.queries import PinQueries, StorePolicy
from sidecar.affinity.redis.write_back import WriteBack
from sidecar.affinity.store import PinBrowser
from sidecar.affinity.value import encode
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
"""The second one in the place of what the first one found and nobody can read."""


class RedisStore:
    """Implements `AffinityStore`."""

    def __init__(
        self,
        make_link: Callable[..., RedisLink],
        policy: StorePolicy,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self._policy = policy
        self._monotonic_s = clock.monotonic_s
        self._observers = observers
        self._tasks = Tasks()
        self._redis = PinQueries(make_link, policy, clock, observers)
        self._near = self._redis.near
        self._write_back = WriteBack(self._near, self._redis.restore)
        self.is_shared = True
        self.pins: PinBrowser = RedisPins(self._redis.link.submit, self._near.forget)

    def start(self) -> None:
        """See `AffinityStore.start`."""
        self._redis.link.start()
        self._tasks.spawn(
            self._write_back.keep_on(lambda: not self._near.is_alone), name="write pins back"
        )

    @property
    def is_up(self) -> bool:
        """See `AffinityStore.is_up`."""
        return not self._near.is_alone

    async def wait_until_up(self) -> None:
        """See `AffinityStore.wait_until_up`."""
        await self._redis.edges.is_asked.wait()

    def snapshot(self) -> StoreSnapshot:
        """See `AffinityStore.snapshot`."""
        return StoreSnapshot(
            near_entries=len(self._near) - self._near.dirty_entries,
            shadow_entries=self._near.dirty_entries,
            is_up=self.is_up,
            is_tracking=self._redis.link.is_up and self._redis.link.is_tracking,
        )

    def budget(self) -> CallBudget:
        """See `AffinityStore.budget`."""
        return CallBudget(self._policy.budget_s, self._monotonic_s)

    def get_nowait(self, session: Session) -> Binding | None:
        """See `AffinityStore.get_nowait`."""
        found = self._near.find(session)
        if found is None:
            return None
        key, entry = found
        self._observers.emit(_NEAR_HIT)
        is_renewed = self._policy.is_sliding and self._near.renew(entry, self._policy.ttl_s)
        if is_renewed and not entry.is_dirty and not entry.is_lasting:
            self._redis.refresh(key)
        return entry.binding

    async def get(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """See `AffinityStore.get`."""
        return self.get_nowait(session) or await self.read(session, budget)

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """See `AffinityStore.read`."""
        budget = budget or self.budget()
        key, held = self._near.place(session)
        if self._near.is_alone or budget.is_spent:
            self._redis.report(PinOperation.GET, PinOutcome.SKIPPED)
            return None if held is None else held.binding
        if held is not None and held.base:
            standing = await self._redis.move(key, held, budget)
            if is_of_lane(standing, session):
                return standing
        if held is not None and self._near.is_in_doubt(held):
            # A claim confirms it, and repairs a Redis that came back empty.
            return await self.claim(session, held.binding, budget)
        began_s = self._monotonic_s()
        self._redis.confirm_other_lane(session)
        own, outcome = await self._redis.wait(
            PinOperation.GET, self._redis.look_up(session), budget
        ) or ((), None)
        if outcome is None:
            return None if held is None else held.binding  # nobody knows better
        self._redis.report(PinOperation.GET, outcome, began_s)
        return own[0].binding if own else None

    async def claim(
        self, session: Session, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """See `AffinityStore.claim`."""
        budget = budget or self.budget()
        keys, raw, began_s = (session.key, session.lane_key), b"", self._monotonic_s()
        self._redis.confirm_other_lane(session)
        for _ in range(_TRIES):
            if self._near.is_alone or budget.is_spent:
                self._redis.report(PinOperation.CLAIM, PinOutcome.SKIPPED)
                break
            arguments = session.lane, encode(binding), self._policy.ttl_ms, raw
            standing, raw = await self._redis.run(PinOperation.CLAIM, keys, arguments, budget) or (
                None,
                b"",
            )
            if standing is not None:
                is_ours = standing == binding
                made = PinOutcome.CLAIMED if is_ours else PinOutcome.ADOPTED
                self._redis.report(PinOperation.CLAIM, made, began_s)
                return standing
        return self._near.claim(session, binding, self._policy.ttl_s)

    async def replace(
        self, session: Session, seen: Binding, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """See `AffinityStore.replace`."""
        budget = budget or PerOperationBudget(self._policy.budget_s, self._monotonic_s)
        _, held = self._near.place(session)
        if held is not None and held.is_dirty:
            # Redis has not heard of it yet: what is written back is the newer one.
            self._redis.report(PinOperation.REPLACE, PinOutcome.SKIPPED)
            return self._near.replace(session, seen, binding, self._policy.ttl_s)
        began_s = self._monotonic_s()
        key, raw = await self._redis.seen(session, seen, budget)
        told = None
        if not self._near.is_alone and not budget.is_spent:
            told = await self._redis.run(
                PinOperation.REPLACE,
                (key,),
                (raw, encode(binding), self._policy.ttl_ms, 0),
                budget,
            )
        if told is None:
            self._redis.report(PinOperation.REPLACE, PinOutcome.SKIPPED)
            return self._keep_move(session, seen, binding, (key, raw))
        outcome = PinOutcome.REPLACED if told[0] == binding else PinOutcome.LOST
        self._redis.report(PinOperation.REPLACE, outcome, began_s)
        # What stands there may be another lane's by now: then nothing stands for this one.
        return told[0] if told[0] is not None and is_of_lane(told[0], session) else binding

    def _keep_move(
        self, session: Session, seen: Binding, binding: Binding, place: tuple[str, bytes]
    ) -> Binding:
        """A move that cannot be written holds here, also where what it moves was not kept."""
        key, raw = place
        if self._near.place(session) == (key, None):
            self._near.put(key, seen, self._policy.ttl_s, raw)
        return self._near.replace(session, seen, binding, self._policy.ttl_s)

    async def release(self, session: Session, seen: Binding) -> None:
        """See `AffinityStore.release`."""
        budget, began_s = (
            PerOperationBudget(self._policy.budget_s, self._monotonic_s),
            self._monotonic_s(),
        )
        key, raw = await self._redis.seen(session, seen, budget)
        self._near.release(session, seen)
        told = (
            None
            if self._near.is_alone
            else await self._redis.run(PinOperation.RELEASE, (key,), (raw,), budget)
        )
        if told is not None:
            outcome = PinOutcome.RELEASED if told[0] is None else PinOutcome.LOST
            self._redis.report(PinOperation.RELEASE, outcome, began_s)

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._tasks.aclose()
        await self._redis.link.aclose()

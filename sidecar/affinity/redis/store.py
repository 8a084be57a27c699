"""Pins shared by all pods through one Redis, with a coherent cache in front of it, which serves as
a shadow while Redis is gone. No call fails because of it, or waits longer than its budget.

A change is made in the near cache first, then written; what stands after that is what holds.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Final

from sidecar.affinity import lanes as changes
from sidecar.affinity.call_budget import CallBudget, PerOperationBudget
from sidecar.affinity.entry import EntryEvent, EntryState
from sidecar.affinity.lanes import NO_LANES, Lanes
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.browse import RedisPins
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.link import RedisLink
from sidecar.affinity.redis.queries import PinQueries, StorePolicy
from sidecar.affinity.redis.write_back import WriteBack
from sidecar.affinity.store import StorePins, StoreSettings
from sidecar.affinity.value import as_written, encode
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.ports import StoreSnapshot
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.memory_budget import MemoryShare

_NEAR_HIT: Final = AffinityOperation(PinOperation.GET, PinOutcome.NEAR_HIT)
_UNTRACKED_S: Final = 1.0
"""An entry is believed for so long where the server does not track."""
_ASKED_AGAIN: Final = frozenset({EntryState.UNVERIFIED, EntryState.LOST})
_SURE: Final = frozenset({EntryState.VERIFIED, EntryState.ABSENT})
_WRITTEN_FIRST: Final = frozenset({EntryState.PENDING, EntryState.LOST})


class RedisStore:
    """Implements `AffinityStore`. ``make_link`` makes its one connection, for its events."""

    is_shared = True

    def __init__(
        self,
        make_link: Callable[..., RedisLink],
        policy: StorePolicy,
        clock: Clock,
        observers: Observers,
        memory: MemoryShare | None = None,
    ) -> None:
        """Args: ``memory`` is what pins may take in this process; None: without a limit."""
        self._policy = policy
        self._clock = clock
        self._observers = observers
        self._near = NearCache(policy.max_entries, clock.monotonic_s, memory)
        untracked_s = _UNTRACKED_S if policy.has_near_cache else 0.0
        self._health = StoreHealth(self._near, clock.monotonic_s, untracked_s)
        self._link = make_link(self._health, tracks=policy.has_near_cache, probe=policy.probed_key)
        self._queries = PinQueries(self._near, self._health, self._link, policy, clock, observers)
        self._renews_s = policy.ttl_s if policy.is_sliding else 0.0
        self._older_until_s = clock.monotonic_s() + policy.ttl_s
        self._write_back = WriteBack(self._near, self._health, self._queries, policy, clock)
        self._tasks = Tasks()
        self.key_prefix = policy.key_prefix
        self.pins: StorePins = RedisPins(self._link.submit, self._near, policy.key_prefix)

    def start(self) -> None:
        """Connect in the background."""
        self._link.start()
        self._tasks.spawn(self._write_back.keep_on(), name="write pins back")

    def use(self, settings: StoreSettings) -> None:
        """Go by other settings from the next operation on."""
        policy = self._policy
        policy.ttl_s, policy.is_sliding = settings.ttl_s, settings.is_sliding
        policy.budget_s = settings.budget_s
        self._renews_s = policy.ttl_s if policy.is_sliding else 0.0
        self._near.resize(settings.max_entries)

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
            near_entries=len(self._near) - len(self._near.owed),
            shadow_entries=len(self._near.owed),
            is_up=self.is_up,
            is_tracking=self._link.is_up and self._link.is_tracking,
        )

    def budget(self) -> CallBudget:
        """Return what a new call may wait for Redis."""
        return CallBudget(self._policy.budget_s, self._clock.monotonic_s)

    def get_nowait(self, session: Session) -> Binding | None:
        """Return the lane's binding if the near cache has it and may be believed."""
        near = self._near
        binding = near.binding_at_hand(session, self._renews_s)
        if binding is not None:
            self._observers.emit(_NEAR_HIT)
        while near.renewed:
            self._queries.refresh(near.renewed.pop())
        return binding

    async def get(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Return the lane's binding from the near cache, else from Redis."""
        return self.get_nowait(session) or await self.read(session, budget)

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Ask Redis for the lane's binding."""
        budget = budget or self.budget()
        began_s = self._clock.monotonic_s()
        looked_up = None
        if not (self._near.is_alone or budget.is_spent):
            looked_up = await self._look_up(session, budget)
        else:
            self._queries.report(PinOperation.GET, budget.skipped())
        if looked_up is not None:
            lanes, outcome = looked_up
            self._queries.report(PinOperation.GET, outcome, began_s, budget)
        else:
            lanes = self._known_lanes(session.key)  # better than nothing
        binding = lanes.of(session.lane)
        free = lanes.of(None) if binding is None and lanes.bindings else None
        if free is not None:
            # Plano's own: it is the lane's that asks first.
            own = as_written(dataclasses.replace(free, requested_model=session.lane))
            return free if own is None else await self.claim(session, own, budget)
        if not self._policy.has_near_cache:
            self._forget(session.key)
        return binding

    async def claim(
        self, session: Session, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """Bind the lane in Redis unless another call was first; here where Redis is not asked."""
        lane, began_s, budget = session.lane, self._clock.monotonic_s(), budget or self.budget()
        standing, is_said = await self._change(
            PinOperation.CLAIM,
            session,
            functools.partial(changes.claim, lane=lane, binding=binding),
            budget,
        )
        if is_said:
            made = PinOutcome.CLAIMED if standing == binding else PinOutcome.ADOPTED
            self._queries.report(PinOperation.CLAIM, made, began_s, budget)
        return standing or binding

    async def replace(
        self, session: Session, seen: Binding, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """Replace the lane's binding in Redis if it still is ``seen``; here where that fails."""
        budget = budget or PerOperationBudget(self._policy.budget_s, self._clock.monotonic_s)
        lane, began_s = session.lane, self._clock.monotonic_s()
        standing, is_said = await self._change(
            PinOperation.REPLACE,
            session,
            functools.partial(changes.replace, lane=lane, seen=seen, binding=binding),
            budget,
            seen,
        )
        if is_said:
            outcome = PinOutcome.REPLACED if standing == binding else PinOutcome.LOST
            self._queries.report(PinOperation.REPLACE, outcome, began_s, budget)
        return standing or binding

    async def release(self, session: Session, seen: Binding) -> None:
        """Drop the lane's binding, here and in Redis, if it still is ``seen``."""
        budget = PerOperationBudget(self._policy.budget_s, self._clock.monotonic_s)
        lane, began_s = session.lane, self._clock.monotonic_s()
        standing, is_said = await self._change(
            PinOperation.RELEASE,
            session,
            functools.partial(changes.release, lane=lane, seen=seen),
            budget,
            seen,
        )
        if is_said:
            outcome = PinOutcome.RELEASED if standing is None else PinOutcome.LOST
            self._queries.report(PinOperation.RELEASE, outcome, began_s)

    async def compare_and_set(
        self, key: str, seen: bytes, value: bytes, ttl_ms: int
    ) -> tuple[bytes, int]:
        """Set a key if its bytes are those seen, as `PinQueries.compare_and_set`; return what
        stands now, and the milliseconds that are left of it. Raises: ResponseError, LinkDown.
        """
        stood = await self._queries.compare_and_set(key, seen, value, ttl_ms)
        return stood.raw, stood.left_ms

    async def aclose(self) -> None:
        """End the background tasks and close the connection."""
        await self._tasks.aclose()
        await self._queries.aclose()
        await self._link.aclose()

    def _has_older(self) -> bool:
        """Return whether the version before may run beside this one: for one time to live."""
        return self._clock.monotonic_s() < self._older_until_s

    def _known_lanes(self, key: str) -> Lanes:
        entry = self._near.known(key)
        return NO_LANES if entry is None else self._near.lanes_of(entry)

    async def _look_up(
        self, session: Session, budget: CallBudget
    ) -> tuple[Lanes, PinOutcome] | None:
        """Return the session's lanes as Redis has them, and how to count that; None where it did
        not say.
        """
        key, near = session.key, self._near
        entry = near.known(key)
        state = None if entry is None else entry.state
        lanes = NO_LANES if entry is None else entry.lanes or near.lanes_of(entry)
        outcome = PinOutcome.MISS
        has_older = self._has_older()
        is_sure = state in _SURE and not has_older
        if not is_sure and state not in _WRITTEN_FIRST:
            looked_up = await self._queries.wait(
                PinOperation.GET, self._queries.look_up(session, has_older=has_older), budget
            )
            if looked_up is None:
                return None
            (lanes, outcome), entry = looked_up, near.known(key)
            if entry is not None:  # several replies may have come before this call runs again
                lanes = near.lanes_of(entry)
        if entry is not None and entry.state in _WRITTEN_FIRST:
            lanes = await self._queries.wait(PinOperation.GET, self._queries.write(key), budget)
            if lanes is None:
                near.happened(EntryEvent.KEPT, key)
                return None
            if has_older and len(lanes.bindings) > 1:
                self._queries.look_for_older(key, lanes)
            if lanes.of(session.lane) is not None:
                outcome = PinOutcome.HIT
        return lanes, outcome

    async def _change(
        self,
        operation: PinOperation,
        session: Session,
        change: Callable[[Lanes], Lanes],
        budget: CallBudget,
        seen: Binding | None = None,
    ) -> tuple[Binding | None, bool]:
        """Change a session's lanes, here and in Redis.

        Args: ``seen`` is the binding that is to be changed; None for a new one.
        Returns: the binding of the session's lane that stands then, and whether Redis said so.
        """
        key, near, policy = session.key, self._near, self._policy
        entry = near.known(key)
        is_known = seen is None if entry is None else entry.state not in _ASKED_AGAIN
        if not is_known and not (near.is_alone or budget.is_spent):
            await self._look_up(session, budget)
            entry = near.known(key)
        if entry is None and seen is not None:
            entry = near.put(key, encode(Lanes((seen,))), policy.ttl_s)
        former = NO_LANES if entry is None else entry.lanes or near.lanes_of(entry)
        lanes = change(former)
        if lanes != former:
            is_renewed = policy.is_sliding or entry is None or not entry.raw
            entry = near.change(key, lanes, policy.ttl_s if is_renewed else None)
        is_said = not (near.is_alone or budget.is_spent)
        if is_said and entry is not None and entry.state is EntryState.PENDING:
            written = await self._queries.wait(operation, self._queries.write(key), budget)
            is_said = written is not None
            lanes = written or self._known_lanes(key)
            if len(lanes.bindings) > 1 and self._has_older():
                self._queries.look_for_older(key, lanes)
        if not is_said:
            near.happened(EntryEvent.KEPT, key)
            self._queries.report(operation, budget.skipped())
        if not policy.has_near_cache:
            self._forget(key)
        return lanes.of(session.lane), is_said

    def _forget(self, key: str) -> None:
        """Drop what was read of a session, where nothing is to be kept."""
        if key not in self._near.owed:
            self._near.forget(key)

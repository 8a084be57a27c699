"""Pins in this process, for one pod and for tests: an LRU with a time to live."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from sidecar.affinity import lanes as changes
from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.entry import Entry
from sidecar.affinity.lanes import NO_LANES, Lanes
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.session import KEY_PREFIX, key_of_shown
from sidecar.affinity.store import Pin, PinPage, StorePins, StoreSettings, pins_of
from sidecar.affinity.value import decode, fit
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.ports import StoreSnapshot
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.runtime.memory_budget import MemoryShare

_NOTHING: Final = b"", -2
_NEAR_HIT: Final = AffinityOperation(PinOperation.GET, PinOutcome.NEAR_HIT)
_MISS: Final = AffinityOperation(PinOperation.GET, PinOutcome.MISS)
_CLAIMED: Final = AffinityOperation(PinOperation.CLAIM, PinOutcome.CLAIMED)
_ADOPTED: Final = AffinityOperation(PinOperation.CLAIM, PinOutcome.ADOPTED)
_REPLACED: Final = AffinityOperation(PinOperation.REPLACE, PinOutcome.REPLACED)
_LOST: Final = AffinityOperation(PinOperation.REPLACE, PinOutcome.LOST)
_RELEASED: Final = AffinityOperation(PinOperation.RELEASE, PinOutcome.RELEASED)


class MemoryStore:
    """Implements `AffinityStore` for one process: a cache with nothing behind it. Nothing here
    waits.
    """

    is_shared = False
    key_prefix = KEY_PREFIX

    def __init__(
        self,
        clock: Clock,
        *,
        ttl_s: float,
        max_entries: int,
        is_sliding: bool = True,
        observers: Observers | None = None,
        memory: MemoryShare | None = None,
    ) -> None:
        """Args: ``memory`` is what pins may take; None: without a limit but ``max_entries``."""
        self._monotonic_s = clock.monotonic_s
        self._ttl_s = ttl_s
        self._is_sliding = is_sliding
        self._observers = observers or Observers()
        self._near = NearCache(max_entries, clock.monotonic_s, memory)
        self.pins: StorePins = MemoryPins(self._near)

    def __len__(self) -> int:
        return len(self._near)

    def start(self) -> None:
        """Do nothing: there is nothing to connect to."""

    def use(self, settings: StoreSettings) -> None:
        """Go by other settings from the next operation on; no operation waits."""
        self._ttl_s, self._is_sliding = settings.ttl_s, settings.is_sliding
        self._near.resize(settings.max_entries)

    @property
    def is_up(self) -> bool:
        """Always true: there is no other store."""
        return True

    async def wait_until_up(self) -> None:
        """Return at once."""

    def snapshot(self) -> StoreSnapshot | None:
        """Return None: nothing is shared."""
        return None

    def get_nowait(self, session: Session) -> Binding | None:
        """Return the lane's binding, and begin its time anew in its second half."""
        near = self._near
        binding = near.binding_at_hand(session, self._ttl_s if self._is_sliding else 0.0)
        if binding is not None:
            self._observers.emit(_NEAR_HIT)
        return binding

    async def get(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Return the lane's binding; nothing is waited for."""
        return self.get_nowait(session) or await self.read(session, budget)

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:  # noqa: ARG002
        """Count a miss: there is no other store to ask."""
        self._observers.emit(_MISS)
        return None

    async def claim(
        self,
        session: Session,
        binding: Binding,
        budget: CallBudget | None = None,  # noqa: ARG002
    ) -> Binding:
        """Bind the lane unless another call was first."""
        lane = session.lane
        standing = await self._change(
            session, functools.partial(changes.claim, lane=lane, binding=binding)
        )
        self._observers.emit(_CLAIMED if standing == binding else _ADOPTED)
        return standing or binding

    async def replace(
        self,
        session: Session,
        seen: Binding,
        binding: Binding,
        budget: CallBudget | None = None,  # noqa: ARG002
    ) -> Binding:
        """Replace the lane's binding if it still is ``seen``."""
        lane = session.lane
        standing = await self._change(
            session, functools.partial(changes.replace, lane=lane, seen=seen, binding=binding)
        )
        self._observers.emit(_REPLACED if standing == binding else _LOST)
        return standing or binding

    async def release(self, session: Session, seen: Binding) -> None:
        """Drop the lane's binding if it still is ``seen``."""
        lane = session.lane
        await self._change(session, functools.partial(changes.release, lane=lane, seen=seen))
        self._observers.emit(_RELEASED)

    async def compare_and_set(
        self, key: str, seen: bytes, value: bytes, ttl_ms: int
    ) -> tuple[bytes, int]:
        """Set a key, or delete it where ``value`` is empty, if its bytes are those seen; empty:
        there are none. ``ttl_ms`` of 0 leaves its time as it is.

        Returns: the bytes that stand now, and the milliseconds that are left of them; -2 where
            there are none.
        """
        entry = self._near.known(key)
        left_s = self._ttl_s if entry is None else self._near.left_s(entry)
        if seen == (b"" if entry is None else entry.raw):
            if not value:
                self._near.forget(key)
                return _NOTHING
            left_s = ttl_ms / 1e3 or left_s
            entry = self._near.put(key, value, left_s)
        return _NOTHING if entry is None else (entry.raw, round(left_s * 1e3))

    def budget(self) -> CallBudget:
        """Return a budget of nothing: no operation waits."""
        return CallBudget(0.0, self._monotonic_s)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    async def _change(self, session: Session, change: Callable[[Lanes], Lanes]) -> Binding | None:
        """Make a change; return the binding of the session's lane that stands then."""
        key, near = session.key, self._near
        entry = near.known(key)
        former = NO_LANES if entry is None else near.lanes_of(entry)
        lanes, value = fit(change(former))
        if lanes != former:
            is_renewed = self._is_sliding or entry is None
            ttl_ms = round(self._ttl_s * 1e3) if is_renewed else 0
            await self.compare_and_set(key, b"" if entry is None else entry.raw, value, ttl_ms)
        return lanes.of(session.lane)


class MemoryPins:
    """Implements `StorePins` over a near cache."""

    def __init__(self, near: NearCache) -> None:
        self._near = near

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> PinPage:
        """Return the pins of some sessions, from a cursor on. It is a count: sessions that come and
        go meanwhile may be seen twice or not at all.
        """
        start = int(cursor or 0)
        prefix = KEY_PREFIX if tenant is None else key_of_shown(tenant, "")
        # Calls wait while this runs: only the page itself is decoded.
        wanted = [(key, entry) for key, entry in self._near.items() if key.startswith(prefix)]
        end = start + limit
        pins = [pin for key, entry in wanted[start:end] for pin in self._pins_of(key, entry)]
        return PinPage(pins, str(end) if end < len(wanted) else None)

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Pin]:
        """Return the pins of a session, or of one of its agents."""
        wanted = key_of_shown(tenant, session_id, agent)
        return [
            pin
            for key, entry in self._near.items()
            if key == wanted or (agent is None and key.startswith(f"{wanted}~"))
            for pin in self._pins_of(key, entry)
        ]

    async def of_lane(self, session: Session) -> Binding | None:
        """Return the binding of a session's lane."""
        entry = self._near.known(session.key)
        lanes = NO_LANES if entry is None else decode(entry.raw) or NO_LANES
        return lanes.of(session.lane) or lanes.of(None)

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        """Drop the pins of a session, or of one of its agents."""
        pins = await self.of_session(tenant, session_id, agent)
        for pin in pins:
            self._near.forget(pin.key)
        return len(pins)

    def _pins_of(self, key: str, entry: Entry) -> list[Pin]:
        return pins_of(key, KEY_PREFIX, decode(entry.raw), self._near.left_s(entry))

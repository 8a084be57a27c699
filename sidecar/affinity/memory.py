"""Pins in this process, for one pod and for tests: an LRU with a time to live."""

from __future__ import annotations

from typing import Final

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.near_cache import Entry, NearCache
from sidecar.affinity.session import KEY_PREFIX, escape_part, parse_key, plain_key
from sidecar.affinity.store import Pin, PinBrowser, PinPage
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.ports import StoreSnapshot
from sidecar.domain.vocabulary import PinOperation, PinOutcome

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

    def __init__(
        self,
        clock: Clock,
        *,
        ttl_s: float,
        max_entries: int,
        is_sliding: bool = True,
        observers: Observers | None = None,
    ) -> None:
        self._monotonic_s = clock.monotonic_s
        self._ttl_s = ttl_s
        self._is_sliding = is_sliding
        self._observers = observers or Observers()
        self._near = NearCache(max_entries, clock.monotonic_s)
        self.key_prefix = KEY_PREFIX
        self.is_shared = False
        self.pins: PinBrowser = MemoryPins(self._near)

    def __len__(self) -> int:
        return len(self._near)

    def start(self) -> None:
        """Do nothing: there is nothing to connect to."""

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
        found = self._near.find(session)
        if found is None:
            return None
        entry = found[1]
        if self._is_sliding:
            self._near.renew(entry, self._ttl_s)
        self._observers.emit(_NEAR_HIT)
        return entry.binding

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
        standing = self._near.claim(session, binding, self._ttl_s)
        self._observers.emit(_CLAIMED if standing is binding else _ADOPTED)
        return standing

    async def replace(
        self,
        session: Session,
        seen: Binding,
        binding: Binding,
        budget: CallBudget | None = None,  # noqa: ARG002
    ) -> Binding:
        """Replace the lane's binding if it still is ``seen``."""
        standing = self._near.replace(session, seen, binding, self._ttl_s)
        self._observers.emit(_REPLACED if standing is binding else _LOST)
        return standing

    async def release(self, session: Session, seen: Binding) -> None:
        """Drop the lane's binding if it still is ``seen``."""
        self._near.release(session, seen)
        self._observers.emit(_RELEASED)

    def budget(self) -> CallBudget:
        """Return a budget of nothing: no operation waits."""
        return CallBudget(0.0, self._monotonic_s)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


class MemoryPins:
    """Implements `PinBrowser` over a near cache."""

    def __init__(self, near: NearCache) -> None:
        self._near = near

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> PinPage:
        """Return pins from a cursor on. It is a count: pins that come and go meanwhile may be seen
        twice or not at all.
        """
        start = int(cursor or 0)
        prefix = KEY_PREFIX if tenant is None else f"{KEY_PREFIX}{escape_part(tenant)}:"
        # Calls wait while this runs: only the page itself is decoded.
        wanted = [(key, entry) for key, entry in self._near.items() if key.startswith(prefix)]
        end = start + limit
        return PinPage(self._pins(wanted[start:end]), str(end) if end < len(wanted) else None)

    async def of_session(self, tenant: str | None, session_id: str) -> list[Pin]:
        """Return the pins of all lanes of a session."""
        return self._pins(self._entries(tenant, session_id))

    async def drop(self, tenant: str | None, session_id: str) -> int:
        """Drop the pins of all lanes of a session."""
        entries = self._entries(tenant, session_id)
        for key, _ in entries:
            self._near.forget(key)
        return len(entries)

    def _entries(self, tenant: str | None, session_id: str) -> list[tuple[str, Entry]]:
        plain = plain_key(tenant, session_id)
        return [(key, entry) for key, entry in self._near.items() if key.partition("~")[0] == plain]

    def _pins(self, entries: list[tuple[str, Entry]]) -> list[Pin]:
        pins: list[Pin] = []
        for key, entry in entries:
            parts = parse_key(key)
            if parts is not None:
                pins.append(Pin(key, *parts, entry.binding, self._near.left_s(entry)))
        return pins

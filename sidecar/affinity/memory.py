"""Pins in this process: an LRU with a time to live, for one pod and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.near_cache import Entry, NearCache
from sidecar.affinity.session import KEY_PREFIX, escape_part, parse_key, plain_key
from sidecar.affinity.store import Page, Pin
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
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
        self._pins = NearCache(max_entries, clock.monotonic_s)

    def __len__(self) -> int:
        return len(self._pins)

    def get_nowait(self, session: Session) -> Binding | None:
        """See `AffinityStore.get_nowait`."""
        found = self._pins.find(session)
        if found is None:
            return None
        entry = found[1]
        if self._is_sliding:
            self._pins.renew(entry, self._ttl_s)
        self._observers.emit(_NEAR_HIT)
        return entry.binding

    async def get(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """See `AffinityStore.get`."""
        return self.get_nowait(session) or await self.read(session, budget)

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:  # noqa: ARG002
        """See `AffinityStore.read`. There is no other store to ask."""
        self._observers.emit(_MISS)
        return None

    async def claim(
        self,
        session: Session,
        binding: Binding,
        budget: CallBudget | None = None,  # noqa: ARG002
    ) -> Binding:
        """See `AffinityStore.claim`."""
        standing = self._pins.claim(session, binding, self._ttl_s)
        self._observers.emit(_CLAIMED if standing is binding else _ADOPTED)
        return standing

    async def replace(
        self,
        session: Session,
        seen: Binding,
        binding: Binding,
        budget: CallBudget | None = None,  # noqa: ARG002
    ) -> Binding:
        """See `AffinityStore.replace`."""
        standing = self._pins.replace(session, seen, binding, self._ttl_s)
        self._observers.emit(_REPLACED if standing is binding else _LOST)
        return standing

    async def release(self, session: Session, seen: Binding) -> None:
        """See `AffinityStore.release`."""
        self._pins.release(session, seen)
        self._observers.emit(_RELEASED)

    def budget(self) -> CallBudget:
        """See `AffinityStore.budget`."""
        return CallBudget(0.0, self._monotonic_s)

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> Page:
        """See `AffinityStore.page`. The cursor is a count: pins that come and go meanwhile may be
        told twice or not.
        """
        start = int(cursor or 0)
        prefix = KEY_PREFIX if tenant is None else f"{KEY_PREFIX}{escape_part(tenant)}:"
        # Calls wait while this runs: only the page itself is looked into.
        wanted = [(key, entry) for key, entry in self._pins.items() if key.startswith(prefix)]
        end = start + limit
        pins = [self._pin(key, entry) for key, entry in wanted[start:end]]
        return Page(
            [pin for pin in pins if pin is not None], str(end) if end < len(wanted) else None
        )

    async def of_session(self, tenant: str | None, session_id: str) -> list[Pin]:
        """See `AffinityStore.of_session`."""
        plain = plain_key(tenant, session_id)
        own = [(key, entry) for key, entry in self._pins.items() if key.startswith(plain)]
        pins = [self._pin(key, entry) for key, entry in own if key.partition("~")[0] == plain]
        return [pin for pin in pins if pin is not None]

    async def drop(self, keys: Sequence[str]) -> int:
        """See `AffinityStore.drop`."""
        before = len(self._pins)
        for key in keys:
            self._pins.forget(key)
        return before - len(self._pins)

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _pin(self, key: str, entry: Entry) -> Pin | None:
        parts = parse_key(key)
        return None if parts is None else Pin(key, *parts, entry.binding, self._pins.left_s(entry))

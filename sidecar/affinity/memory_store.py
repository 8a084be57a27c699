"""Pins in this process: an LRU with a time to live, for one pod and for tests."""

from __future__ import annotations

from collections import OrderedDict

from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.ids import SessionKey

_Key = tuple[str | None, str] | tuple[str | None, str, str]
"""(tenant, session), and the requested model for a lane beside the first. No escaping: tuples cannot run together."""


class MemoryStore:
    """The affinity store of one process. First writer wins; a hit in the second half of the TTL renews it."""

    def __init__(self, clock: Clock, *, ttl_s: float, max_entries: int) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._max_entries = max_entries
        self._entries: OrderedDict[_Key, tuple[Binding, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get_now(self, session: SessionKey) -> Binding | None:
        """See `AffinityStore.get_now`: memory never waits."""
        return self._standing(session)[1]

    async def get(self, session: SessionKey) -> Binding | None:
        """See `AffinityStore.get`."""
        return self.get_now(session)

    async def claim(self, session: SessionKey, binding: Binding) -> Binding:
        """See `AffinityStore.claim`."""
        standing = self.get_now(session)
        if standing is not None:
            return standing
        key: _Key = (session.tenant, session.session_id)
        if self._read(key) is not None:
            key = (session.tenant, session.session_id, session.requested_model)
        self._entries[key] = (binding, self._clock.monotonic_s() + self._ttl_s)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return binding

    async def replace(self, session: SessionKey, seen: Binding, binding: Binding) -> Binding:
        """See `AffinityStore.replace`."""
        key, standing = self._standing(session)
        if standing is None or standing != seen:
            return binding if standing is None else standing
        self._entries[key] = (binding, self._clock.monotonic_s() + self._ttl_s)
        return binding

    async def release(self, session: SessionKey, seen: Binding) -> None:
        """See `AffinityStore.release`."""
        key, standing = self._standing(session)
        if standing == seen:
            del self._entries[key]

    def _standing(self, session: SessionKey) -> tuple[_Key, Binding | None]:
        """The key of the session's lane, and what stands there."""
        key: _Key = (session.tenant, session.session_id)
        binding = self._read(key)
        if binding is None or binding.requested_model in (None, session.requested_model):
            return key, binding
        key = (*key, session.requested_model)
        return key, self._read(key)

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _read(self, key: _Key) -> Binding | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        binding, expires_s = entry
        left_s = expires_s - self._clock.monotonic_s()
        if left_s <= 0:
            del self._entries[key]
            return None
        if left_s < self._ttl_s / 2:
            self._entries[key] = (binding, expires_s - left_s + self._ttl_s)
        self._entries.move_to_end(key)
        return binding

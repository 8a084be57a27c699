"""What this process knows of keys: read from Redis and kept coherent, or made while Redis was gone (the shadow).

An LRU with a time to live. Every entry belongs to an epoch: the connection under whose tracking it was read. Entries of
an earlier one are unverified, and hold only while there is no Redis to ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from sidecar.affinity.key import lane_key, plain_key
from sidecar.affinity.value import encode
from sidecar.domain.decision import Binding
from sidecar.domain.ids import SessionKey


class Entry:
    """What is known of one key."""

    __slots__ = ("binding", "epoch", "expires_s", "is_dirty", "raw")

    def __init__(self, binding: Binding, raw: bytes, expires_s: float, epoch: int, *, is_dirty: bool) -> None:
        self.binding = binding
        self.raw = raw
        """The bytes that stand there, for compare-and-set."""
        self.expires_s = expires_s
        self.epoch = epoch
        self.is_dirty = is_dirty
        """Made while Redis was gone: to be written back."""


class NearCache:
    """Entries by key, at most ``max_entries``, the least recently used one given up first."""

    def __init__(self, max_entries: int, monotonic_s: Callable[[], float]) -> None:
        self.epoch = 0
        self.is_alone = True
        """Whether there is no Redis to ask, so that what is known must do."""
        self._max_entries = max_entries
        self._monotonic_s = monotonic_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, session: SessionKey) -> tuple[str, Entry] | None:
        """The key and entry of the session's lane, if it may be believed without asking."""
        key = plain_key(session)
        entry = self._valid(key)
        if entry is None:
            return None
        wanted = entry.binding.requested_model
        if wanted is not None and wanted != session.requested_model:
            key = lane_key(session)
            entry = self._valid(key)
            if entry is None:
                return None
        self._entries.move_to_end(key)
        return key, entry

    def place(self, session: SessionKey) -> tuple[str, Entry | None]:
        """The key of the session's lane as far as is known, and what was known of it, verified or not."""
        key = plain_key(session)
        entry = self._unexpired(key)
        if entry is None or entry.binding.requested_model in (None, session.requested_model):
            return key, entry
        key = lane_key(session)
        return key, self._unexpired(key)

    def put(self, key: str, binding: Binding, left_s: float, *, raw: bytes = b"", is_dirty: bool = False) -> None:
        """Know something of a key for ``left_s``."""
        expires_s = self._monotonic_s() + left_s
        self._entries[key] = Entry(binding, raw or encode(binding), expires_s, self.epoch, is_dirty=is_dirty)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def forget(self, key: str) -> None:
        """Know nothing of a key any more."""
        self._entries.pop(key, None)

    def forget_all(self) -> None:
        """Know only what was made while Redis was gone."""
        self._entries = OrderedDict((key, entry) for key, entry in self._entries.items() if entry.is_dirty)

    def holds(self, key: str, entry: Entry) -> bool:
        """Whether the key still has this very entry."""
        return self._entries.get(key) is entry

    def dirty(self) -> list[tuple[str, Entry]]:
        """What was made while Redis was gone, oldest first."""
        return [(key, entry) for key, entry in self._entries.items() if entry.is_dirty]

    def left_s(self, entry: Entry) -> float:
        """How long an entry holds still."""
        return entry.expires_s - self._monotonic_s()

    def _unexpired(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires_s <= self._monotonic_s():
            del self._entries[key]
            return None
        return entry

    def _valid(self, key: str) -> Entry | None:
        entry = self._unexpired(key)
        return entry if entry is None or self.is_alone or entry.epoch == self.epoch else None

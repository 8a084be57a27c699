"""What this process knows of keys: read from Redis and kept coherent, or made while Redis was gone
(the shadow).

An LRU with a time to live. Every entry belongs to an epoch: the connection under whose tracking it
was read. Entries of an earlier epoch are unverified, and are used only while there is no Redis to
ask. Where there never is one (`MemoryStore`), what is known here is all there is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import inf

from sidecar.affinity.value import encode
from sidecar.domain.decision import Binding
from sidecar.domain.ids import Session
from sidecar.runtime.bounded import BoundedMap


def is_of_lane(binding: Binding, session: Session) -> bool:
    """Return whether a binding holds for the session's lane, or for all lanes."""
    return binding.requested_model is None or binding.requested_model == session.lane


class Entry:
    """What is known of one key. Times are monotonic seconds."""

    __slots__ = (
        "base",
        "binding",
        "epoch",
        "expires_s",
        "held_back_until_s",
        "is_dirty",
        "is_lasting",
        "is_own",
        "raw",
        "verified_until_s",
    )

    def __init__(self, binding: Binding, raw: bytes, expires_s: float, epoch: int) -> None:
        self.binding = binding
        self.raw = raw
        """The bytes under the key, for compare-and-set."""
        self.expires_s = expires_s
        self.verified_until_s = inf
        """Until when the entry may be used without asking, where the server does not track."""
        self.epoch = epoch
        self.is_lasting = False
        """Whether the key has no expiry in Redis: somebody means it to stay."""
        self.is_own = False
        """Whether this process wrote the key, so that the next invalidation is caused by that."""
        self.is_dirty = False
        """Whether the entry was made while Redis was gone, and is still to be written back."""
        self.base = b""
        """The bytes that a dirty entry replaces; empty where it is new."""
        self.held_back_until_s = 0.0
        """A dirty entry that may not be written is not tried again before this time, so that it is
        not in the way of others."""


class NearCache:
    """Entries by key, at most ``max_entries``; the least recently used one makes room."""

    def __init__(self, max_entries: int, monotonic_s: Callable[[], float]) -> None:
        self.epoch = 0
        self.is_alone = True
        """Whether there is no Redis to ask, so that what is known here is used."""
        self.dirty_entries = 0
        self._max_entries = max_entries
        self._monotonic_s = monotonic_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._vacant: BoundedMap[str, int] = BoundedMap(max_entries)
        """Plain keys that hold nothing in Redis, and the epoch in which it said so."""

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, session: Session) -> tuple[str, Entry] | None:
        """Return the key and entry of the session's lane, if it may be used without asking."""
        key, now_s = session.key, self._monotonic_s()
        entry = self._entries.get(key)
        if entry is None or not self._is_believed(key, entry, now_s):
            # The plain key may hold a pin for every lane: only where it is known to hold none can a
            # lane's own key be used without reading it.
            is_vacant = self.is_alone or self._vacant.get(key) == self.epoch
            return self._find_lane(session, now_s) if is_vacant else None
        self._entries.move_to_end(key)
        lane = entry.binding.requested_model
        if lane is None or lane == session.lane:
            return key, entry
        return self._find_lane(session, now_s)

    def place(self, session: Session) -> tuple[str, Entry | None]:
        """Return the key of the session's lane as far as it is known, and its entry, if any."""
        if session.key not in self._entries and session.lane_key not in self._entries:
            return session.key, None
        entry = self._unexpired(session.key)
        if entry is not None and is_of_lane(entry.binding, session):
            return session.key, entry
        own = self._unexpired(session.lane_key)
        if own is not None and not is_of_lane(own.binding, session):
            own = None
        return (session.key, None) if entry is None and own is None else (session.lane_key, own)

    def binding_of(self, key: str, raw: object) -> Binding | None:
        """Return the binding of a key whose entry was made from these very bytes."""
        entry = self._entries.get(key)
        return None if entry is None or entry.raw != raw else entry.binding

    def put(self, key: str, binding: Binding, left_s: float, raw: bytes) -> Entry:
        """Keep what a key holds for ``left_s`` seconds."""
        former = self._entries.pop(key, None)
        if former is not None:
            self.dirty_entries -= former.is_dirty
        self._vacant.pop(key, None)
        entry = self._entries[key] = Entry(binding, raw, self._monotonic_s() + left_s, self.epoch)
        if len(self._entries) > self._max_entries:
            _, oldest = self._entries.popitem(last=False)
            self.dirty_entries -= oldest.is_dirty
        return entry

    def claim(self, session: Session, binding: Binding, ttl_s: float) -> Binding:
        """Claim here what cannot be claimed in Redis: the first writer wins, as a dirty entry."""
        key, entry = self.place(session)
        if entry is not None:
            return entry.binding
        self._mark_dirty(self.put(key, binding, ttl_s, encode(binding)), b"")
        return binding

    def replace(self, session: Session, seen: Binding, binding: Binding, ttl_s: float) -> Binding:
        """Compare and set here what cannot be set in Redis; a new entry is dirty."""
        key, entry = self.place(session)
        if entry is None or entry.binding != seen:
            return binding if entry is None else entry.binding
        base = entry.base if entry.is_dirty else entry.raw
        self._mark_dirty(self.put(key, binding, ttl_s, encode(binding)), base)
        return binding

    def release(self, session: Session, seen: Binding) -> None:
        """Forget the session's lane if its binding still is ``seen``."""
        key, entry = self.place(session)
        if entry is not None and entry.binding == seen:
            self.forget(key)

    def forget(self, key: str) -> None:
        """Drop what is known of a key."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.dirty_entries -= entry.is_dirty

    def yield_to_lane(self, key: str, requested_model: object) -> None:
        """The lane has its pin under another key: drop an entry that was made here under this key
        and is not written yet.
        """
        entry = self._entries.get(key)
        if (
            entry is not None
            and entry.is_dirty
            and entry.binding.requested_model == requested_model
        ):
            self.forget(key)

    def on_invalidation(self, key: str) -> None:
        """Redis says that a key has changed: drop what was read of it. An entry that was made here
        and is still to be written stays.
        """
        self._vacant.pop(key, None)
        entry = self._entries.get(key)
        if entry is None or entry.is_dirty:
            return
        if entry.is_own:
            # Our own write caused it. The entry is not used before it was read again; but should
            # Redis go before that, it is all that is known.
            entry.is_own, entry.verified_until_s = False, 0.0
        else:
            del self._entries[key]

    def mark_own_write(self, key: str) -> None:
        """Mark the entry as written by us. The next invalidation for this key is caused by our own
        write, not by another client.
        """
        entry = self._entries.get(key)
        if entry is not None:
            entry.is_own = True

    def renew(self, entry: Entry, ttl_s: float) -> bool:
        """Begin an entry's time anew once less than half of it is left; return whether it was."""
        left_s = entry.expires_s - self._monotonic_s()
        if left_s * 2 >= ttl_s:
            return False
        entry.expires_s += ttl_s - left_s
        return True

    def mark_absent(self, key: str) -> None:
        """Redis has nothing under a session's plain key, and will invalidate it if that changes.

        Until then a lane that has its pin under its own key, since another lane came first and has
        expired, can be found without asking.
        """
        self._vacant.add(key, self.epoch)

    def forget_all(self) -> None:
        """Drop every entry that Redis could re-supply; dirty entries exist only here, and stay."""
        self._vacant.clear()
        self._entries = OrderedDict(
            (key, entry) for key, entry in self._entries.items() if entry.is_dirty
        )

    def holds(self, key: str, entry: Entry) -> bool:
        """Return whether the key still has this very entry."""
        return self._entries.get(key) is entry

    def is_pending_write(self, key: str, raw: object) -> bool:
        """Return whether a dirty entry must not give way to ``raw``, which was read from Redis: to
        nothing, or to the bytes that the entry replaces.
        """
        entry = self._entries.get(key)
        return entry is not None and entry.is_dirty and (not raw or raw == entry.base)

    def dirty(self) -> list[tuple[str, Entry]]:
        """Return the dirty entries that are to be written now, oldest first; drop expired ones."""
        if not self.dirty_entries:
            return []
        now_s = self._monotonic_s()
        dirty = [(key, entry) for key, entry in self._entries.items() if entry.is_dirty]
        for key, entry in dirty:
            if entry.expires_s <= now_s:
                self.forget(key)
        return [
            (key, entry)
            for key, entry in dirty
            if entry.held_back_until_s <= now_s < entry.expires_s
        ]

    def hold_back(self, key: str, for_s: float) -> None:
        """Redis forbids to write this key: leave its dirty entry alone for some seconds."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.held_back_until_s = self._monotonic_s() + for_s

    def is_in_doubt(self, entry: Entry) -> bool:
        """Return whether an entry is to be confirmed by a claim: it was read before the connection
        was lost, or made here. One that is only old, since the server does not track, is read
        again instead: what others have dropped stays dropped.
        """
        return entry.is_dirty or entry.epoch != self.epoch

    def unverified(self, key: str) -> Entry | None:
        """Return a key's entry if it must be confirmed before it is used."""
        entry = self._entries.get(key)
        if entry is None or entry.expires_s <= self._monotonic_s() or not self.is_in_doubt(entry):
            return None
        return None if self._is_believed(key, entry, self._monotonic_s()) else entry

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Iterate over what has not expired, the least recently used first; do not change it
        meanwhile.
        """
        now_s = self._monotonic_s()
        return ((key, entry) for key, entry in self._entries.items() if entry.expires_s > now_s)

    def left_s(self, entry: Entry) -> float:
        """Return the seconds until an entry expires."""
        return entry.expires_s - self._monotonic_s()

    def _find_lane(self, session: Session, now_s: float) -> tuple[str, Entry] | None:
        key = session.lane_key
        entry = self._entries.get(key)
        if entry is None or not self._is_believed(key, entry, now_s):
            return None
        if not is_of_lane(entry.binding, session):
            return None
        self._entries.move_to_end(key)
        return key, entry

    def _mark_dirty(self, entry: Entry, base: bytes) -> None:
        entry.is_dirty = True
        entry.base = base
        self.dirty_entries += 1

    def _unexpired(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires_s <= self._monotonic_s():
            self.forget(key)
            return None
        return entry

    def _is_believed(self, key: str, entry: Entry, now_s: float) -> bool:
        """Return whether an entry may be used without asking; drop it if it has expired."""
        if entry.expires_s <= now_s:
            self.forget(key)
            return False
        return self.is_alone or (entry.epoch == self.epoch and now_s < entry.verified_until_s)

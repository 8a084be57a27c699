"""What this process knows of keys: read from Redis and kept coherent, or made while Redis was gone
(the shadow).

An LRU with a time to live. Every entry belongs to an epoch: the connection under whose tracking it
was read. Entries of an earlier one are unverified, and hold only while there is no Redis to ask.
Where there never is one (`MemoryStore`), what is known here is all there is.
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
    """Whether a binding holds for the session's lane; one that names none holds for all of them."""
    return binding.requested_model is None or binding.requested_model == session.lane


class Entry:
    """What is known of one key. On the monotonic clock."""

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
        """The bytes that stand there, for compare-and-set."""
        self.expires_s = expires_s
        self.verified_until_s = inf
        """Until when it may be believed though nobody tells of foreign writes."""
        self.epoch = epoch
        self.is_lasting = False
        """Without expiry in Redis: somebody means it to stay."""
        self.is_own = False
        """Written here: its invalidation is on its way, and says nothing of others."""
        self.is_dirty = False
        """Made while Redis was gone: to be written back."""
        self.base = b""
        """The bytes whose place a dirty entry takes; empty where it is new."""
        self.held_back_until_s = 0.0
        """A dirty entry that may not be written is tried again after this, so that it is not in the
        way of others.
        """


class NearCache:
    """Entries by key, at most ``max_entries``, the least recently used one given up first."""

    def __init__(self, max_entries: int, monotonic_s: Callable[[], float]) -> None:
        self.epoch = 0
        self.is_alone = True
        """Whether there is no Redis to ask, so that what is known must do."""
        self.dirty_entries = 0
        self._max_entries = max_entries
        self._monotonic_s = monotonic_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._vacant: BoundedMap[str, int] = BoundedMap(max_entries)
        """Plain keys under which Redis has nothing, and the epoch in which it said so; it tells if
        that changes.
        """

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, session: Session) -> tuple[str, Entry] | None:
        """The key and entry of the session's lane, if it may be believed without asking."""
        key = session.key
        entry = self._entries.get(key)
        if entry is None or not self._is_believed(key, entry):
            # Whoever wrote the plain key may have meant every lane: unless there is none, a lane's
            # own key says little.
            is_vacant = self.is_alone or self._vacant.get(key) == self.epoch
            return self._find_lane(session) if is_vacant else None
        self._entries.move_to_end(key)
        if is_of_lane(entry.binding, session):
            return key, entry
        return self._find_lane(session)

    def place(self, session: Session) -> tuple[str, Entry | None]:
        """The key of the session's lane as far as is known, and what was known of it, verified or
        not.
        """
        key = session.key
        entry = self._unexpired(key)
        if entry is not None and is_of_lane(entry.binding, session):
            return key, entry
        own_key = session.lane_key
        own = self._unexpired(own_key)
        if own is not None and not is_of_lane(own.binding, session):
            own = None
        return (key, None) if entry is None and own is None else (own_key, own)

    def put(self, key: str, binding: Binding, left_s: float, raw: bytes) -> Entry:
        """Know what stands under a key for ``left_s``."""
        self.forget(key)
        self._vacant.pop(key, None)
        entry = self._entries[key] = Entry(binding, raw, self._monotonic_s() + left_s, self.epoch)
        if len(self._entries) > self._max_entries:
            _, oldest = self._entries.popitem(last=False)
            self.dirty_entries -= oldest.is_dirty
        return entry

    def claim(self, session: Session, binding: Binding, ttl_s: float) -> Binding:
        """First writer wins, among what is known here; a claim that wins is dirty."""
        key, entry = self.place(session)
        if entry is not None:
            return entry.binding
        self._mark_dirty(self.put(key, binding, ttl_s, encode(binding)), b"")
        return binding

    def replace(self, session: Session, seen: Binding, binding: Binding, ttl_s: float) -> Binding:
        """Compare and set, among what is known here; what wins is dirty."""
        key, entry = self.place(session)
        if entry is None or entry.binding != seen:
            return binding if entry is None else entry.binding
        base = entry.base if entry.is_dirty else entry.raw
        self._mark_dirty(self.put(key, binding, ttl_s, encode(binding)), base)
        return binding

    def release(self, session: Session, seen: Binding) -> None:
        """Forget the session's lane if it still is ``seen``."""
        key, entry = self.place(session)
        if entry is not None and entry.binding == seen:
            self.forget(key)

    def forget(self, key: str) -> None:
        """Know nothing of a key any more."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.dirty_entries -= entry.is_dirty

    def yield_to_lane(self, key: str, requested_model: object) -> None:
        """A lane has its pin under another key: what was made here under this one is not written
        any more.
        """
        entry = self._entries.get(key)
        if (
            entry is not None
            and entry.is_dirty
            and entry.binding.requested_model == requested_model
        ):
            self.forget(key)

    def forget_foreign(self, key: str) -> None:
        """Somebody else has written a key: know nothing of it, unless something made here is still
        to be written.
        """
        self._vacant.pop(key, None)
        entry = self._entries.get(key)
        if entry is None or entry.is_dirty:
            return
        if entry.is_own:
            # Not to be believed before it was read again; but should Redis go before that, it is
            # all that is known.
            entry.is_own, entry.verified_until_s = False, 0.0
        else:
            del self._entries[key]

    def wrote(self, key: str) -> None:
        """A key is written from here, and will be read again: the next word of a change may be
        about that.
        """
        entry = self._entries.get(key)
        if entry is not None:
            entry.is_own = True

    def renew(self, entry: Entry, ttl_s: float) -> bool:
        """Begin an entry's time anew where less than half of it is left; whether it was."""
        left_s = entry.expires_s - self._monotonic_s()
        if left_s * 2 >= ttl_s:
            return False
        entry.expires_s += ttl_s - left_s
        return True

    def mark_absent(self, key: str) -> None:
        """Redis has nothing under a session's plain key, and will tell if it gets something: until
        then a lane that has its pin under its own key, since another came first and is silent now,
        need not ask.
        """
        self._vacant.add(key, self.epoch)

    def forget_all(self) -> None:
        """Know only what was made while Redis was gone."""
        self._vacant.clear()
        self._entries = OrderedDict(
            (key, entry) for key, entry in self._entries.items() if entry.is_dirty
        )

    def holds(self, key: str, entry: Entry) -> bool:
        """Whether the key still has this very entry."""
        return self._entries.get(key) is entry

    def is_pending_write(self, key: str, raw: object) -> bool:
        """Whether a key has an entry that was made here and must not give way to ``raw``, which was
        found in Redis: nothing, or what the entry takes the place of.
        """
        entry = self._entries.get(key)
        return entry is not None and entry.is_dirty and (not raw or raw == entry.base)

    def dirty(self) -> list[tuple[str, Entry]]:
        """What was made while Redis was gone and still holds, oldest first; what has expired is
        forgotten.
        """
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
        """A dirty entry may not be written under this key: others go before it for a while."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.held_back_until_s = self._monotonic_s() + for_s

    def is_in_doubt(self, entry: Entry) -> bool:
        """Whether an entry is to be confirmed by a claim: it was read before the connection was
        lost, or made here. One that is only old, since nobody tells of changes, is asked for: what
        others have dropped stays dropped.
        """
        return entry.is_dirty or entry.epoch != self.epoch

    def unverified(self, key: str) -> Entry | None:
        """What was known of a key and may not be believed before it is confirmed, if there is
        such.
        """
        entry = self._unexpired(key)
        if entry is None or self._is_believed(key, entry) or not self.is_in_doubt(entry):
            return None
        return entry

    def items(self) -> Iterator[tuple[str, Entry]]:
        """All that holds still, the least recently used first. Not to be changed meanwhile."""
        now_s = self._monotonic_s()
        return ((key, entry) for key, entry in self._entries.items() if entry.expires_s > now_s)

    def left_s(self, entry: Entry) -> float:
        """How long an entry holds still."""
        return entry.expires_s - self._monotonic_s()

    def _find_lane(self, session: Session) -> tuple[str, Entry] | None:
        key = session.lane_key
        entry = self._entries.get(key)
        if (
            entry is None
            or not self._is_believed(key, entry)
            or not is_of_lane(entry.binding, session)
        ):
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

    def _is_believed(self, key: str, entry: Entry) -> bool:
        now_s = self._monotonic_s()
        if entry.expires_s <= now_s:
            self.forget(key)
            return False
        return self.is_alone or (entry.epoch == self.epoch and now_s < entry.verified_until_s)

"""What this process knows of sessions: read from Redis and kept coherent, or changed here and still
to be written (the shadow).

An LRU with a time to live, bounded in entries and in bytes. An entry is one session, in one state;
`TRANSITIONS` says which state follows from what happens. Where there never is a Redis to ask
(`MemoryStore`), what is known here is all there is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import inf
from typing import Final

from sidecar.affinity.entry import TRANSITIONS, Entry, EntryEvent, EntryState
from sidecar.affinity.lanes import NO_LANES, Lanes, merge
from sidecar.affinity.near_memory import BINDING_BYTES, DROPPED, ENTRY_BYTES, OWED, NearMemory
from sidecar.affinity.value import decode
from sidecar.domain.decision import Binding
from sidecar.domain.ids import Session
from sidecar.runtime.memory_budget import MemoryShare, unlimited

_VERIFIED: Final = EntryState.VERIFIED
_DIRTY: Final = EntryState.DIRTY


class NearCache:
    """Entries by key, at most ``max_entries``, and as many bytes as ``memory`` allows; the least
    recently used one makes room.
    """

    def __init__(
        self,
        max_entries: int,
        monotonic_s: Callable[[], float],
        memory: MemoryShare | None = None,
    ) -> None:
        """Args: ``memory`` is the cache's own; None: without a limit."""
        self.is_alone = True
        """Whether there is no Redis to ask, so that what is known here is used."""
        self.believed_s = inf
        """For how long an entry is believed without asking."""
        self.owed: dict[str, Entry] = {}
        """Entries that are to be written, the first to be changed first."""
        self.renewed: list[str] = []
        """Keys whose time has begun anew here, and not yet in Redis."""
        self._room = NearMemory(max_entries, memory or unlimited())
        self._monotonic_s = monotonic_s
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def resize(self, max_entries: int) -> None:
        """Hold so many entries from now on, and as many bytes as `memory` now allows."""
        room = self._room
        room.resize(max_entries)
        while self._entries and (
            len(self._entries) > max_entries or room.memory.used_bytes > room.memory.at_most_bytes
        ):
            self.forget(next(iter(self._entries)))

    def __len__(self) -> int:
        return len(self._entries)

    def binding_at_hand(self, session: Session, renews_s: float) -> Binding | None:
        """Return the binding of a session's lane if it may be used without asking.

        Args: ``renews_s`` is for how long the session lives anew once less than half of that is
            left, 0: it does not. Redis, where it is asked, has to be told of those in ``renewed``.
        """
        entry = self.find(session.key)
        if entry is None:
            return None
        binding = (entry.lanes or self.lanes_of(entry)).of(session.lane)
        if binding is not None:
            left_s = entry.expires_s - self._monotonic_s()
            if left_s * 2 < renews_s:
                entry.expires_s += renews_s - left_s
                if entry.state is _VERIFIED and not (entry.is_lasting or self.is_alone):
                    self.renewed.append(session.key)
        return binding

    def find(self, key: str) -> Entry | None:
        """Return a session's entry if it may be used without asking."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now_s = self._monotonic_s()
        if now_s >= entry.expires_s:
            self.forget(key)
            return None
        if not self.is_alone:
            is_believed = entry.state is _VERIFIED and now_s < entry.believed_until_s
            if not is_believed and entry.state is not _DIRTY:
                return None
        self._entries.move_to_end(key)
        return entry

    def known(self, key: str) -> Entry | None:
        """Return a session's entry in whatever state."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now_s = self._monotonic_s()
        if now_s >= entry.expires_s:
            self._happened(key, entry, EntryEvent.EXPIRED)
        elif now_s >= entry.believed_until_s and entry.state is not EntryState.LOST:
            self._happened(key, entry, EntryEvent.INVALIDATED)
        return self._entries.get(key)

    def lanes_of(self, entry: Entry) -> Lanes:
        """Return an entry's lanes, decoded once."""
        lanes = entry.lanes
        if lanes is None:
            lanes = decode(entry.raw) or NO_LANES
            self.keep_lanes(entry, lanes)
        return lanes

    def keep_lanes(self, entry: Entry, lanes: Lanes) -> None:
        """Keep an entry's lanes decoded, for as long as it is among the last to be."""
        former, entry.lanes = entry.lanes, lanes
        if entry.expires_s == DROPPED:
            return
        more = len(lanes.bindings) - (0 if former is None else len(former.bindings))
        room = self._room
        room.free_bytes -= more * BINDING_BYTES
        if room.free_bytes < 0:
            self._make_room(entry)
        room.decoded[entry] = None
        room.decoded.move_to_end(entry)
        if len(room.decoded) > room.most_decoded:
            room.cool()

    def heard(
        self, key: str, raw: bytes, left_s: float | None, ttl_s: float, sent: Lanes | None = None
    ) -> Lanes:
        """Keep what Redis says of a key, in the order in which it says it. Changes made here that
        it lacks are made on it, and are still to be written.

        Args: ``left_s`` is None where the key does not expire: then it is believed for ``ttl_s``.
            ``sent`` are the lanes in ``raw`` where this process has just written it.
        Returns: the lanes that are believed now.
        """
        entry = self.known(key) or self._add(key, ttl_s)
        has_changes = entry.state in OWED
        merged, is_settled = self._merged(entry, raw, sent)
        self._room.free_bytes -= len(raw) - len(entry.raw)
        entry.raw = raw
        if self._room.free_bytes < 0:
            self._make_room(entry)
        if entry.lanes is not merged:
            self.keep_lanes(entry, merged)
        entry.is_lasting = left_s is None and bool(raw)
        now_s = self._monotonic_s()
        if raw and (is_settled or not has_changes):
            entry.expires_s = now_s + (ttl_s if left_s is None else left_s)
        entry.believed_until_s = now_s + self.believed_s
        event = EntryEvent.READ if raw else EntryEvent.READ_NOTHING
        self._happened(key, entry, event if is_settled else EntryEvent.READ_OTHER)
        return merged

    def change(self, key: str, lanes: Lanes, ttl_s: float | None) -> Entry:
        """Keep what a call has made of a session, to be written; ``ttl_s`` from now on, or for the
        time that it has left.
        """
        entry = self._entries.get(key)
        if entry is None:
            entry = self._add(key, ttl_s or 0.0)
        elif ttl_s is not None:
            entry.expires_s = self._monotonic_s() + ttl_s
        self.keep_lanes(entry, lanes)
        self._happened(key, entry, EntryEvent.CHANGED)
        return entry

    def put(self, key: str, raw: bytes, left_s: float) -> Entry:
        """Keep a value as one that was read."""
        self.forget(key)
        entry = self._add(key, left_s)
        self._room.free_bytes -= len(raw)
        entry.raw = raw
        if self._room.free_bytes < 0:
            self._make_room(entry)
        entry.lanes = None
        self._happened(key, entry, EntryEvent.READ)
        return entry

    def happened(self, event: EntryEvent, key: str | None = None) -> None:
        """Let something happen to an entry; to all of them where ``key`` is None."""
        if key is not None:
            entry = self._entries.get(key)
            if entry is not None:
                self._happened(key, entry, event)
            return
        if event is EntryEvent.CAME_UP:
            for entry in self.owed.values():
                entry.revives = True
        for name, entry in list(self._entries.items()):
            self._happened(name, entry, event)

    def forget(self, key: str) -> None:
        """Drop what is known of a key."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.owed.pop(key, None)
            self._room.let_go(entry, len(key))
            if not self._entries:
                self._room.give_back(0)

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Iterate over what has not expired, the least recently used first; do not change it
        meanwhile.
        """
        now_s = self._monotonic_s()
        return ((key, entry) for key, entry in self._entries.items() if entry.expires_s > now_s)

    def left_s(self, entry: Entry) -> float:
        """Return the seconds until an entry expires."""
        return entry.expires_s - self._monotonic_s()

    def _happened(self, key: str, entry: Entry, event: EntryEvent) -> None:
        state = TRANSITIONS[event][entry.state]
        if state is None:
            self.forget(key)
            return
        entry.state = state
        if state in OWED:
            self.owed[key] = entry
        elif self.owed.pop(key, None) is not None and entry not in self._room.decoded:
            self._room.decoded[entry] = None
            self._room.cool()

    def _add(self, key: str, left_s: float) -> Entry:
        entry = self._entries[key] = Entry()
        entry.expires_s = self._monotonic_s() + left_s
        if len(self._entries) > self._room.max_entries:
            self.forget(next(iter(self._entries)))
        self._room.free_bytes -= ENTRY_BYTES + len(key)
        if self._room.free_bytes < 0:
            self._make_room(entry)
        return entry

    def _make_room(self, entry: Entry) -> None:
        """Take more memory for an entry, or let others make room; alone, it stays."""
        room = self._room
        while room.free_bytes < 0 and not room.takes_more():
            for key, each in self._entries.items():
                if each is not entry:
                    self.forget(key)
                    break
            else:
                room.take_lacking()

    def _merged(self, entry: Entry, raw: bytes, sent: Lanes | None) -> tuple[Lanes, bool]:
        """Return what is believed once ``raw`` stands, and whether Redis has all of that."""
        mine = base = entry.lanes or self.lanes_of(entry)
        if mine is sent:
            entry.revives = False
            return sent, True
        if entry.state in OWED:
            base = sent or decode(entry.raw) or NO_LANES
        theirs = sent or (base if raw == entry.raw else decode(raw) or NO_LANES)
        if not mine.bindings and mine is base:
            return theirs, True
        revives = entry.revives or entry.state is EntryState.LOST
        merged = merge(base, mine, theirs, revives=revives)
        is_settled = merged == theirs
        entry.revives = revives and not is_settled
        return merged, is_settled

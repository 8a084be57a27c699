"""What the near cache's entries take of the memory, and which of them are kept decoded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from sidecar.affinity.entry import Entry, EntryState
from sidecar.runtime.memory_budget import MemoryShare

OWED: Final = frozenset({EntryState.PENDING, EntryState.DIRTY})
"""States of what is still to be written."""
DECODED: Final = 4096
"""Entries whose lanes are kept decoded at most, beside those that are to be written: decoded, a
session takes several times the memory of its bytes."""
ENTRY_BYTES: Final = 400
"""What an entry takes beside its key and its value, measured."""
BINDING_BYTES: Final = 512
"""What a lane takes decoded, measured."""
DROPPED: Final = -1.0
"""When an entry expires that is no more in the cache."""
_BLOCK_BYTES: Final = 64 * 1024
"""Memory is taken in blocks, since a call changes an entry several times."""


class NearMemory:
    """What the entries may take, and which of them are decoded."""

    def __init__(self, max_entries: int, memory: MemoryShare) -> None:
        self.max_entries = self.most_decoded = 0
        self.memory = memory
        self.free_bytes = 0
        """Taken of the memory, a block at a time, and not used yet; below 0 for a moment."""
        self.decoded: OrderedDict[Entry, None] = OrderedDict()
        """In the order in which they were."""
        self.resize(max_entries)

    def resize(self, max_entries: int) -> None:
        """Let the entries take more, or less, as `memory` now allows."""
        self.max_entries = max_entries
        # An eighth of the memory, were they of one lane each.
        self.most_decoded = max(1, min(DECODED, self.memory.at_most_bytes // (8 * BINDING_BYTES)))

    def cool(self) -> None:
        """Of too many that are decoded, keep the first one as its bytes. What is to be written
        stays decoded until it was, since it stands nowhere else.
        """
        if len(self.decoded) <= self.most_decoded:
            return
        cold, _ = self.decoded.popitem(last=False)
        lanes = cold.lanes
        if lanes is not None and cold.raw and cold.state not in OWED:
            cold.lanes = None
            self.free_bytes += len(lanes.bindings) * BINDING_BYTES

    def takes_more(self) -> bool:
        """Take what is lacking and a block, or what is lacking alone; return whether it was."""
        for size in (self._block_bytes - self.free_bytes, -self.free_bytes):
            if self.memory.take_nowait(size):
                self.free_bytes += size
                return True
        return False

    def take_lacking(self) -> None:
        """Take what is lacking though it be not free."""
        self.memory.take(-self.free_bytes)
        self.free_bytes = 0

    def let_go(self, entry: Entry, key_bytes: int) -> None:
        """An entry is dropped; a call may still hold it."""
        self.decoded.pop(entry, None)
        lanes = 0 if entry.lanes is None else len(entry.lanes.bindings)
        self.free_bytes += ENTRY_BYTES + key_bytes + len(entry.raw) + lanes * BINDING_BYTES
        entry.expires_s = DROPPED
        if self.free_bytes > 2 * self._block_bytes:
            self.give_back(self._block_bytes)

    def give_back(self, kept_bytes: int) -> None:
        """Give back what is not used, but for so much."""
        self.memory.give_back(self.free_bytes - kept_bytes)
        self.free_bytes = kept_bytes

    @property
    def _block_bytes(self) -> int:
        return min(_BLOCK_BYTES, self.memory.at_most_bytes // 64)

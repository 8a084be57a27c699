"""A dict that stays small, for caches whose keys come from outside the process."""

from __future__ import annotations

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedMap(dict[Key, Value]):
    """A dict of at most ``max_entries`` entries, as long as they are put in by `add`.

    Reading is the dict's own, at its own speed. ``[...] =`` is left alone, since a slot that Python
    overrides costs every reader of the compiled class; it is not bounded.
    """

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self._max_entries = max_entries

    def add(self, key: Key, value: Value) -> None:
        """Put an entry in as the newest one; a full map gives its oldest entry up for a new key."""
        if key in self:
            del self[key]
        elif len(self) >= self._max_entries:
            del self[next(iter(self))]
        self[key] = value

"""A dict that stays small, for caches whose keys come from outside the process."""

from __future__ import annotations

from typing import Final, TypeVar

MAX_KEY_CHARACTERS: Final = 2048
"""Of a key, all parts of a tuple together. Names are bounded where they come in; what gets around
that is not remembered.
"""

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedMap(dict[Key, Value]):
    """A dict of at most ``max_entries`` entries, as long as they are put in by `add`, each with a
    key of at most `MAX_KEY_CHARACTERS`: so its bytes are bounded too.

    Reading is the dict's own, at its own speed. ``[...] =`` is left alone, since a slot that Python
    overrides costs every reader of the compiled class; it is not bounded.
    """

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self._max_entries = max_entries

    def add(self, key: Key, value: Value) -> None:
        """Put an entry in as the newest one; a full map gives its oldest entry up for a new key. An
        entry whose key is too long is not kept.
        """
        if key in self:
            del self[key]
        else:
            characters = 0
            for part in key if isinstance(key, tuple) else (key,):
                if isinstance(part, str | bytes):
                    characters += len(part)
            if characters > MAX_KEY_CHARACTERS:
                return
            if len(self) >= self._max_entries:
                del self[next(iter(self))]
        self[key] = value

"""Follows the pieces of a JSON text, to know when it is complete."""

from __future__ import annotations

import re
from typing import Final

_OUTSIDE: Final = re.compile(r'["{}\[\]]')
_INSIDE: Final = re.compile(r'["\\]')


class JsonProgress:
    """Counts what an object or array has open; a text, a number and the like never count as
    complete, since more of them may come.
    """

    __slots__ = ("_depth", "_has_begun", "_is_in_string", "_skips_one")

    def __init__(self) -> None:
        self._depth = 0
        self._has_begun = False
        self._is_in_string = False
        self._skips_one = False
        """Whether a backslash was the last character of a piece."""

    @property
    def is_complete(self) -> bool:
        """Whether all that was opened is closed again."""
        return self._has_begun and self._depth <= 0

    def feed(self, piece: str) -> None:
        """Look at the next piece of the text."""
        at = 1 if self._skips_one and piece else 0
        self._skips_one = self._skips_one and not piece
        while True:
            found = (_INSIDE if self._is_in_string else _OUTSIDE).search(piece, at)
            if found is None:
                return
            character, at = found[0], found.end()
            if character == '"':
                self._is_in_string = not self._is_in_string
            elif character == "\\":
                self._skips_one = at == len(piece)
                at += 1
            else:
                self._has_begun = True
                self._depth += 1 if character in "{[" else -1

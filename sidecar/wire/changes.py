"""What of a JSON object is to be written otherwise: values, by the paths of members. `wire.edits`
finds the places.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

EACH: Final = b"*"
"""In a path: every element of an array."""

Path = tuple[bytes, ...]
"""Names of members, from the outermost inwards; at its end `EACH` means the elements themselves."""
Plain = str | int | float | bool | None
"""A value that a member is compared with."""


class Action(enum.Enum):
    """What becomes of a member."""

    DROP = "drop"
    RENAME = "rename"
    """Its name becomes another, and where that stands already, the member goes."""
    REPLACE = "replace"
    """Its value becomes another."""
    AT_MOST = "at most"
    """A number that is too large becomes the largest that is allowed."""
    ADD = "add"
    """It is added where it is missing."""


class Where(msgspec.Struct, frozen=True):
    """For which values a change is made. A value that cannot be read is none of those named."""

    path: Path = ()
    """The member whose value is looked at, from the outermost object on; empty: the one that is
    changed. Where it is missing, nothing is changed.
    """
    only: tuple[Plain, ...] | None = None
    """These alone; None: all but ``keeps``."""
    keeps: tuple[Plain, ...] = (None,)

    def matches(self, value: object) -> bool:
        """Return whether the change is made for a value."""
        return value not in self.keeps if self.only is None else value in self.only


ALWAYS: Final = Where(keeps=())
SET: Final = Where()
"""Any value but null, which says the same as no member."""


class Change(msgspec.Struct, frozen=True):
    """One thing that is written otherwise."""

    path: Path
    action: Action = Action.DROP
    text: bytes = b""
    """RENAME: the new name. REPLACE, ADD: the JSON of the value."""
    most: int = 0
    """AT_MOST: the largest number."""
    where: Where = SET
    name: str = ""
    """What it is called to people; empty: its path."""

    @property
    def shown(self) -> str:
        """Return what the change is called to people."""
        return self.name or b".".join(each for each in self.path if each != EACH).decode()


def named(path: str) -> Path:
    """Return the path that is written with dots: ``system.*.cache_control``."""
    return tuple(path.encode().split(b"."))

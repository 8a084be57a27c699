"""What models and servers are known to refuse of what others of their API take: the changes that a
request body needs for a model that the app did not ask for; and a word for each kind of change, in
which the rows are written. Pure; `patch_table` holds them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from sidecar.domain.call import DialectName
from sidecar.wire.changes import ALWAYS, SET, Action, Change, Plain, Where, named


class Models(msgspec.Struct, frozen=True):
    """Models of a family, by their bare ids."""

    shown: str
    """What they are called to people."""
    ids: re.Pattern[str]
    """Found anywhere in an id."""


class Patch(msgspec.Struct, frozen=True):
    """One fact, and what to do about it."""

    families: tuple[str, ...]
    dialect: DialectName
    models: Models
    changes: tuple[Change, ...]
    source: str
    """Who says so: the maker's own page, or a public report with the server's words."""


Row = tuple[Models, tuple[Change, ...], str]
"""Models, changes, source."""
ALL: Final = Models("all", re.compile(""))


def rows_of(
    families: tuple[str, ...], dialect: DialectName, rows: Iterable[Row]
) -> tuple[Patch, ...]:
    """Return the rows of some families in one dialect."""
    return tuple(Patch(families, dialect, *row) for row in rows)


def models(shown: str, ids: str) -> Models:
    """Name the models whose ids a pattern finds."""
    return Models(shown, re.compile(ids))


def without(*paths: str, where: Where = SET, name: str = "") -> tuple[Change, ...]:
    """Leave members out."""
    return tuple(Change(named(path), where=where, name=name) for path in paths)


def renamed(old: str, new: str) -> tuple[Change, ...]:
    """Give a member another name."""
    return (Change(named(old), Action.RENAME, new.encode(), where=ALWAYS),)


def replaced(path: str, text: str, where: Where, name: str) -> tuple[Change, ...]:
    """Give a member another value, written as JSON."""
    return (Change(named(path), Action.REPLACE, text.encode(), where=where, name=name),)


def at_most(most: int, *paths: str) -> tuple[Change, ...]:
    """Bring numbers down to the largest that is allowed."""
    return tuple(Change(named(path), Action.AT_MOST, most=most) for path in paths)


def but(*kept: Plain) -> Where:
    """Any value but these, and but null."""
    return Where(keeps=(None, *kept))


def only(*values: Plain) -> Where:
    """These values alone."""
    return Where(only=values)


def beside(path: str, *kept: Plain) -> Where:
    """Whatever the value, where another member has one that is not among these."""
    return Where(named(path), keeps=(None, *kept))


def beside_only(path: str, *values: Plain) -> Where:
    """Whatever the value, where another member has one of these."""
    return Where(named(path), only=values)

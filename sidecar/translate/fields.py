"""Every field of the three APIs' requests, and what it means to lose it: one table, of which each
API's part stands in a module of its own.

A row is a path and a fate. A path names objects by their ``type``, or else their ``role``, in
brackets: ``messages[user].content[text].cache_control``. A row of a whole object, or of a field
that others stand in, holds for all that is inside it.

| fate | what it means |
|---|---|
| ``carried`` | it reaches every target |
| ``carried or harmless @stop`` | it reaches the targets that can take `Feature.STOP` |
| ``shared or harmless`` | it is carried between chat and responses, as it is |
| ``harmless``, ``avoidable``, ``decisive`` | it reaches no target; see `losses.Weight` |

What stands behind a ``=`` are values, as JSON, that say what is true without the field: losing them
loses nothing. ``= *``: nor does any other; the field says nothing to a model. A path that begins
with ``~`` is no part of the API's own types, but sent by its clients and taken by providers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.chat_fields import CHAT_FIELDS
from sidecar.translate.losses import Feature, Weight
from sidecar.translate.messages_fields import MESSAGES_FIELDS
from sidecar.translate.responses_fields import RESPONSES_FIELDS

WORD_BYTES: Final = 128
"""No value that loses nothing is longer."""
_BLANKS: Final = b" \t\r\n"
_WEIGHTS: Final = {weight.name.lower(): weight for weight in Weight}
_LABELS: Final = re.compile(r"\[[^\]]*\]")
_CHOICE: Final = re.compile(r"\{([^{}]*)\}|\[([^\[\]]*\|[^\[\]]*)\]")
_LAST_LABEL: Final = re.compile(r"(.*)\[([^\]]*)\]")

_NEAREST: Final = {
    Feature.OUTPUT_BOUNDS: Feature.OUTPUT,
    Feature.OUTPUT_OPEN: Feature.OUTPUT,
    Feature.STRICT_BOUNDS: Feature.STRICT_TOOLS,
    Feature.STRICT_OPEN: Feature.STRICT_TOOLS,
    Feature.OTHER_DOCUMENTS: Feature.DOCUMENTS,
    Feature.DOCUMENT_URLS: Feature.DOCUMENTS,
    Feature.CACHE_TTL: Feature.CACHE,
}
"""What a feature without a row is named like."""


class Fate(msgspec.Struct, frozen=True):
    """What becomes of one field, or of one kind of object."""

    weight: Weight | None
    """What it means to lose it; None: no target loses it."""
    is_carried: bool
    is_shared: bool = False
    feature: Feature | None = None
    harmless_values: frozenset[bytes] | None = frozenset()
    """As JSON; None: any value."""

    def is_harmless(self, value: bytes) -> bool:
        """Return whether losing a value, as JSON, loses nothing."""
        values = self.harmless_values
        return values is None or value.translate(None, _BLANKS) in values


class ObjectKind(msgspec.Struct, frozen=True):
    """The fields of one kind of object."""

    spelled: str
    """Its path, without brackets; empty at the top level."""
    fates: Mapping[str, Fate]
    kept: frozenset[str]
    """The names of those of which nothing is lost by reading them."""


class Table(msgspec.Struct, frozen=True):
    """The fields of one API."""

    rows: Mapping[str, Fate]
    """By path."""
    kinds: Mapping[str, ObjectKind]
    """By the path of the object."""
    labels: Mapping[str, Mapping[str, Fate]]
    """Kinds of objects that no target gets: the path of the field that they stand in, then their
    label.
    """
    named: Mapping[Feature, tuple[tuple[str, Weight], ...]]
    """What a feature may be called in this API, and what it means to lose it."""


class Row(msgspec.Struct, frozen=True):
    """One line of a table."""

    path: str
    fate: Fate
    is_own: bool
    """Whether the field is part of the API's own types."""


def rows_of(lines: str) -> list[Row]:
    """Read the lines of a table; a line whose path has alternatives is several rows."""
    return [
        Row(path.removeprefix("~"), fate, not path.startswith("~"))
        for line in lines.strip().splitlines()
        for words, _, values in [line.partition(" = ")]
        for fate in [_fate_of(words.split()[1:], values.split())]
        for path in _alternatives(words.split()[0])
    ]


def _fate_of(words: list[str], values: list[str]) -> Fate:
    """Read ``carried or harmless @stop`` and what stands behind the ``=``."""
    harmless = None if values == ["*"] else frozenset(value.encode() for value in values)
    feature = Feature(words[3][1:]) if len(words) > 3 else None
    weight = None if words == ["carried"] else _WEIGHTS[words[2] if len(words) > 2 else words[0]]
    return Fate(weight, words[0] == "carried", words[0] == "shared", feature, harmless)


def _alternatives(path: str) -> list[str]:
    """Return a path with each choice of its alternatives."""
    found = _CHOICE.search(path)
    if found is None:
        return [path]
    choices = found[1].split(",") if found[1] else [f"[{each}]" for each in found[2].split("|")]
    head, tail = path[: found.start()], path[found.end() :]
    return [each for choice in choices for each in _alternatives(f"{head}{choice}{tail}")]


def spelled(path: str) -> str:
    """Return a path without brackets."""
    return _LABELS.sub("", path)


def _table_of(lines: str) -> Table:
    rows = {row.path: row.fate for row in rows_of(lines)}
    kinds: dict[str, dict[str, Fate]] = {"": {}}
    labels: dict[str, dict[str, Fate]] = {}
    named: dict[Feature, tuple[tuple[str, Weight], ...]] = {}
    for path, fate in rows.items():
        labelled = _LAST_LABEL.fullmatch(path)
        name = spelled(path)
        if labelled is not None:
            labels.setdefault(labelled[1], {})[labelled[2]] = fate
            name = f"{spelled(labelled[1])}.{labelled[2]}"
        else:
            holder, _, field = path.rpartition(".")
            kinds.setdefault(holder, {})[field] = fate
        if fate.feature is not None and fate.weight is not None:
            named[fate.feature] = (*named.get(fate.feature, ()), (name, fate.weight))
    for feature, nearest in _NEAREST.items():
        named.setdefault(feature, named[nearest])
    named[Feature.REASONING] = ((named[Feature.EFFORT][0][0], Weight.AVOIDABLE),)
    return Table(
        rows, {path: _kind_of(path, fates) for path, fates in kinds.items()}, labels, named
    )


def _kind_of(path: str, fates: Mapping[str, Fate]) -> ObjectKind:
    kept = frozenset(
        name for name, fate in fates.items() if fate.is_carried or fate.harmless_values is None
    )
    return ObjectKind(spelled(path), fates, kept)


LINES: Final[Mapping[DialectName, str]] = {
    CHAT: CHAT_FIELDS,
    RESPONSES: RESPONSES_FIELDS,
    MESSAGES: MESSAGES_FIELDS,
}
"""The lines of each API's table."""
TABLES: Final = {name: _table_of(lines) for name, lines in LINES.items()}
"""The fields of each API."""

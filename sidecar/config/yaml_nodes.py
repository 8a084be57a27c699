"""YAML text to a tree of nodes that know their lines. Nothing is typed here, and nothing is
expanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import yaml

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: its parser does not recurse, so that depth is ours to
bound.
"""

_NODES_AT_MOST: Final = 50_000
"""After aliases are followed. A large config has some hundreds; a billion laughs has a billion."""
_DEPTH_AT_MOST: Final = 32
_TEXT_TAGS: Final = frozenset({"tag:yaml.org,2002:str", "!"})
_MERGE: Final = "<<"


class Scalar(msgspec.Struct, frozen=True):
    """A single value as text."""

    line: int
    text: str
    is_plain: bool
    """Neither quoted nor tagged: its type follows from how it looks."""
    size: int = 1


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    line: int
    items: tuple[Node, ...]
    size: int = 1


class Entry(msgspec.Struct, frozen=True):
    """A key with its value."""

    key: str
    line: int
    value: Node


class Mapping(msgspec.Struct, frozen=True):
    """A mapping in file order; every key stands once."""

    line: int
    entries: tuple[Entry, ...]
    size: int = 1

    def get(self, key: str) -> Entry | None:
        """The entry of ``key``, None if it is not there."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def without(self, key: str) -> Mapping:
        """The mapping but for ``key``."""
        return Mapping(self.line, tuple(entry for entry in self.entries if entry.key != key))

    def with_value(self, key: str, value: Node) -> Mapping:
        """The mapping with another value under ``key``: in its place if it is there, else at the
        end.
        """
        old = self.get(key)
        if old is None:
            return Mapping(self.line, (*self.entries, Entry(key, value.line, value)))
        new = Entry(key, old.line, value)
        return Mapping(self.line, tuple(new if entry is old else entry for entry in self.entries))


Node = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """The text is not one YAML document; ``line`` says where reading stopped."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class Document(msgspec.Struct, frozen=True):
    """What was read, and what is wrong with it that did not keep the rest from being read."""

    root: Node | None
    """None for an empty document."""
    problems: tuple[tuple[int, str], ...]
    """(line, message)."""


def read_document(text: str) -> Document:
    """Read one YAML 1.2 document. Aliases and merge keys are followed, within bounds.

    Raises: Unreadable.
    """
    composer = _Composer(iter(yaml.parse(text, Loader=_LOADER)))
    try:
        root = composer.document()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_line_of(error.problem_mark), f"not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise Unreadable(1, "not YAML: it holds control characters") from error
    return Document(root, tuple(composer.problems))


class _Composer:
    """Events to nodes. PyYAML's own composer keeps no duplicate keys' lines and bounds neither
    depth nor aliases.
    """

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}
        self.problems: list[tuple[int, str]] = []

    def document(self) -> Node | None:
        root: Node | None = None
        next(self._events)
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise Unreadable(
                        _line_of(event.start_mark),
                        "a second document begins here; only one is read",
                    )
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: Any, depth: int) -> Node:  # noqa: ANN401 - PyYAML's events have no useful common type
        line = _line_of(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event.anchor, line)
        if event.anchor is not None:
            # Known but not yet read: an alias inside refers to what it is part of.
            self._anchors[event.anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, line)
        elif depth == _DEPTH_AT_MOST:
            raise Unreadable(line, f"nested deeper than {_DEPTH_AT_MOST} levels")
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(line, depth)
        else:
            node = self._mapping(line, depth)
        if node.size > _NODES_AT_MOST:
            raise Unreadable(
                line, f"holds more than {_NODES_AT_MOST} values once aliases are followed"
            )
        if not isinstance(node, Scalar) and event.tag is not None:
            self.problems.append((line, "tags are not used here"))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, anchor: str | None, line: int) -> Node:
        node = self._anchors.get(anchor or "")
        if node is None:
            what = (
                "refers to what it is part of"
                if anchor in self._anchors
                else "has no anchor before it"
            )
            raise Unreadable(line, f"an alias {what}")
        return node

    def _scalar(self, event: Any, line: int) -> Scalar:  # noqa: ANN401
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            self.problems.append((line, "tags are not used here"))
        return Scalar(line, event.value, is_plain=event.implicit[0] and event.tag is None)

    def _sequence(self, line: int, depth: int) -> Sequence:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(line, tuple(items), 1 + sum(item.size for item in items))

    def _mapping(self, line: int, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                self.problems.append((key.line, "a key must be a single value"))
            elif key.text == _MERGE and key.is_plain:
                self._merge(value, key.line, merged)
            elif key.text in entries:
                first = entries[key.text].line
                self.problems.append(
                    (key.line, f"key {key.text[:80]!r} stands twice; first on line {first}")
                )
            else:
                entries[key.text] = Entry(key.text, key.line, value)
        every = (
            *entries.values(),
            *(entry for name, entry in merged.items() if name not in entries),
        )
        return Mapping(line, every, 1 + sum(entry.value.size for entry in every))

    def _merge(self, value: Node, line: int, merged: dict[str, Entry]) -> None:
        """Take in a merge key's mapping, or the mappings of its list; of two with one key the
        earlier counts.
        """
        for source in value.items if isinstance(value, Sequence) else (value,):
            if not isinstance(source, Mapping):
                self.problems.append((line, "a merge key needs a mapping, or a list of mappings"))
                return
            for entry in source.entries:
                merged.setdefault(entry.key, entry)


def _line_of(mark: Any) -> int:  # noqa: ANN401 - libyaml's and PyYAML's marks have no common type
    return int(mark.line) + 1

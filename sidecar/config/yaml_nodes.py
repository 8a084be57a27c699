"""Reads YAML text into a tree of nodes that know their lines. `to_bool` and its like type
a plain scalar; nothing is expanded.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import yaml

from sidecar.runtime.yaml_composer import NO_TAG, PLAIN, BoundedComposer

_NODES_AT_MOST: Final = 50_000
"""After aliases are followed. A large config has some hundreds; a billion laughs has a billion."""
_DEPTH_AT_MOST: Final = 32
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "<<"
_IN_QUOTES: Final = "while scanning a quoted scalar"
_TAB_BEFORE_TEXT: Final = re.compile(r"\s*\t")
_IN_LIST: Final = "while parsing a block collection"
_KEY: Final = re.compile(r"\s*[\w.$-]+:(?:\s|$)")
_NO_ANCHOR: Final = "an alias has no anchor before it"
_SECOND_DOCUMENT: Final = "a second document begins here; only one is read"


class Scalar(msgspec.Struct, frozen=True):
    """A single value as text."""

    line: int
    text: str
    is_plain: bool
    """Whether it is neither quoted nor tagged, so that its type follows from how it looks."""
    size: int = 1


class Sequence(msgspec.Struct, frozen=True):
    """A list of nodes."""

    line: int
    items: tuple[Node, ...]
    size: int = 1


class MappingEntry(msgspec.Struct, frozen=True):
    """A key with its value."""

    key: str
    line: int
    value: Node


class Mapping(msgspec.Struct, frozen=True):
    """A mapping in file order, every key once."""

    line: int
    entries: tuple[MappingEntry, ...]
    size: int = 1

    def get(self, key: str) -> MappingEntry | None:
        """Return the entry of ``key``, None if it is not there."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def without(self, key: str) -> Mapping:
        """Return the mapping without ``key``."""
        return Mapping(self.line, tuple(entry for entry in self.entries if entry.key != key))

    def with_value(self, key: str, value: Node) -> Mapping:
        """Return the mapping with another value under ``key``: in its place if it is there, else
        at the end.
        """
        old = self.get(key)
        if old is None:
            return Mapping(self.line, (*self.entries, MappingEntry(key, value.line, value)))
        new = MappingEntry(key, old.line, value)
        return Mapping(self.line, tuple(new if entry is old else entry for entry in self.entries))


Node = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """The text is not one YAML document. ``line`` is where reading stopped."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class Document(msgspec.Struct, frozen=True):
    """What was read, and the problems that did not keep the rest from being read."""

    root: Node | None
    """None for an empty document."""
    problems: tuple[tuple[int, str], ...]
    """(line, message)."""


def read_document(text: str) -> Document:
    """Read one YAML 1.2 document. Aliases and merge keys are followed, within bounds.

    Raises: Unreadable.
    """
    try:
        # A value inside the deepest collection is one level more, and what `_Converter` reports
        # exactly is another one.
        composer = BoundedComposer(text, _DEPTH_AT_MOST + 2, Unreadable, _too_deep)
        root = composer.get_single_node()
    except yaml.composer.ComposerError as error:
        message = _NO_ANCHOR if error.context is None else _SECOND_DOCUMENT
        raise Unreadable(_line_of(error.problem_mark), message) from error
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text) from error
    except yaml.YAMLError as error:
        raise Unreadable(1, "not YAML: it holds control characters") from error
    converter = _Converter()
    converted = None if root is None else converter.node(root, 0)
    return Document(converted, tuple(converter.problems))


class _Converter:
    """Turns PyYAML's nodes into ours. An alias is the very node of its anchor, read once."""

    def __init__(self) -> None:
        self._known: dict[int, Node] = {}
        """By PyYAML's node."""
        self.problems: list[tuple[int, str]] = []

    def node(self, given: yaml.Node, depth: int) -> Node:
        """Return our node for one of PyYAML's. Raises: Unreadable."""
        line = _line_of(given.start_mark)
        known = self._known.get(id(given))
        if known is not None:
            return known
        is_scalar = isinstance(given, yaml.ScalarNode)
        if given.tag not in (PLAIN, NO_TAG) and not (is_scalar and given.tag == _TEXT_TAG):
            self.problems.append((line, "tags are not used here"))
        node = (
            Scalar(line, given.value, is_plain=given.tag == PLAIN)
            if is_scalar
            else self._collection(given, line, depth)
        )
        if node.size > _NODES_AT_MOST:
            raise Unreadable(
                line, f"holds more than {_NODES_AT_MOST} values once aliases are followed"
            )
        self._known[id(given)] = node
        return node

    def _collection(self, given: yaml.Node, line: int, depth: int) -> Sequence | Mapping:
        if depth == _DEPTH_AT_MOST:
            raise _too_deep(line)
        if isinstance(given, yaml.MappingNode):
            return self._mapping(given, line, depth)
        items = tuple(self.node(item, depth + 1) for item in given.value)
        return Sequence(line, items, 1 + sum(item.size for item in items))

    def _mapping(self, given: yaml.Node, line: int, depth: int) -> Mapping:
        entries: dict[str, MappingEntry] = {}
        merged: dict[str, MappingEntry] = {}
        for given_key, given_value in given.value:
            key = self.node(given_key, depth + 1)
            value = self.node(given_value, depth + 1)
            key_line = _line_of(given_key.start_mark)
            if not isinstance(key, Scalar):
                self.problems.append((key_line, "a key must be a single value"))
            elif key.text == _MERGE and key.is_plain:
                self._merge(value, key_line, merged)
            elif key.text in entries:
                first = entries[key.text].line
                self.problems.append(
                    (key_line, f"key {key.text[:80]!r} stands twice; first on line {first}")
                )
            else:
                entries[key.text] = MappingEntry(key.text, key_line, value)
        for name, entry in merged.items():
            entries.setdefault(name, entry)  # the mapping's own keys go before merged ones
        size = 1 + sum(entry.value.size for entry in entries.values())
        return Mapping(line, tuple(entries.values()), size)

    def _merge(self, value: Node, line: int, merged: dict[str, MappingEntry]) -> None:
        """Take in a merge key's mapping, or the mappings of its list. Of two with one key the
        earlier counts.
        """
        for source in value.items if isinstance(value, Sequence) else (value,):
            if not isinstance(source, Mapping):
                self.problems.append((line, "a merge key needs a mapping, or a list of mappings"))
                return
            for entry in source.entries:
                merged.setdefault(entry.key, entry)


def _not_yaml(error: yaml.MarkedYAMLError, text: str) -> Unreadable:
    """Say what most mistakes come from in words of its own; the rest as PyYAML says it."""
    line = _line_of(error.problem_mark)
    if error.context == _IN_QUOTES and error.context_mark is not None:
        return Unreadable(
            _line_of(error.context_mark), "not YAML: the quote that opens here is not closed"
        )
    written = text.splitlines()[line - 1 : line]
    if written and _TAB_BEFORE_TEXT.match(written[0]):
        return Unreadable(line, "not YAML: a tab; YAML is indented with spaces")
    if error.context == _IN_LIST and written and _KEY.match(written[0]):
        what = "a key beside a list; indent it as deep as the keys of the entry above"
        return Unreadable(line, f"not YAML: {what}")
    return Unreadable(line, f"not YAML: {error.problem}")


def _too_deep(line: int) -> Unreadable:
    return Unreadable(line, f"nested deeper than {_DEPTH_AT_MOST} levels")


def _line_of(mark: Any) -> int:  # noqa: ANN401 - libyaml's and PyYAML's marks have no common type
    return int(mark.line) + 1


_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}")
_OCTAL: Final = re.compile(r"0o([0-7]{1,18})")
_HEX: Final = re.compile(r"0x([0-9a-fA-F]{1,15})")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def is_null(text: str) -> bool:
    """Return whether a plain scalar means that there is no value."""
    return text in _NULL


def to_bool(text: str) -> bool | None:
    """Return true or false; None for any other text."""
    return _BOOL.get(text)


def to_int(text: str) -> int | None:
    """Return a whole number of at most 18 digits, decimal, ``0o`` octal or ``0x`` hexadecimal; None
    for any other text.
    """
    if _INT.fullmatch(text):
        return int(text)
    for pattern, base in ((_OCTAL, 8), (_HEX, 16)):
        match = pattern.fullmatch(text)
        if match is not None:
            return int(match[1], base)
    return None


def to_float(text: str) -> float | None:
    """Return a finite number; None for any other text, infinities and NaN included."""
    whole = to_int(text)
    if whole is not None:
        return float(whole)
    if not _FLOAT.fullmatch(text):
        return None
    number = float(text)
    return None if number in {float("inf"), float("-inf")} else number


def is_text(text: str) -> bool:
    """Return whether a plain scalar is text: neither null nor a boolean nor any number."""
    is_number = _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text) or to_int(text) is not None
    return not (is_null(text) or text in _BOOL or is_number)

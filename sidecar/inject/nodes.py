"""Reads one document of a manifest into nodes that know where in the text they stand, and what they
mean: plain data, aliases and merge keys followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import yaml

from sidecar.runtime.yaml_composer import PLAIN, BoundedComposer

_DEPTH_AT_MOST: Final = 100
"""Custom resource definitions, which stand beside workloads, nest some forty levels."""
_NODES_AT_MOST: Final = 250_000
"""Before and after aliases are followed. A list of a thousand workloads has a quarter of it."""
_MERGE: Final = "<<"
_BLOCK_HEADER: Final = re.compile(r"(?:[&!]\S*\s+)*[|>](?P<chomping>[0-9+-]*)")
_FIRST_DASH: Final = re.compile(r"(?:[&!]\S*|\s|#[^\n]*)*-")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
"""What Kubernetes' readers take for null and for booleans: YAML 1.1's words."""
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}")


class UnreadableManifest(Exception):
    """A document is not YAML, or none that can be edited safely."""

    def __init__(self, line: int, message: str) -> None:
        """``line`` counts from 1, in the document."""
        super().__init__(message)
        self.line = line
        self.message = message


class TooLargeManifest(UnreadableManifest):
    """A document holds more than is read."""


class ScalarNode(msgspec.Struct):
    """A single value. Positions are characters from the document's begin; ``end`` is behind."""

    start: int
    end: int
    data: Any
    is_quoted_once: bool = False
    """Whether it stands in single quotes."""
    size: int = 1


class SequenceNode(msgspec.Struct):
    """A list of nodes, with its place."""

    start: int
    end: int
    data: list[Any]
    items: list[Node]
    dash: int | None
    """The column of its dashes; None for one in brackets."""
    size: int


class KeyedNode(msgspec.Struct):
    """A key of a mapping with its value."""

    key: str
    start: int
    """Of the key."""
    value: Node


class MappingNode(msgspec.Struct):
    """A mapping. Its own entries stand in it; ``merged`` are those that a merge key brings."""

    start: int
    end: int
    data: dict[str, Any]
    entries: dict[str, KeyedNode]
    merged: dict[str, KeyedNode]
    column: int | None
    """The column of its keys; None for one in braces."""
    size: int

    def value_of(self, key: str) -> Node | None:
        """Return the node of a key's value, its own or a merged one; None if there is no such."""
        found = self.entries.get(key) or self.merged.get(key)
        return None if found is None else found.value


class AliasNode(msgspec.Struct):
    """A place where another node is meant."""

    start: int
    end: int
    target: ScalarNode | SequenceNode | MappingNode

    @property
    def data(self) -> Any:  # noqa: ANN401
        """What the other node means."""
        return self.target.data

    @property
    def size(self) -> int:
        """How many values the other node has."""
        return self.target.size


Node = ScalarNode | SequenceNode | MappingNode | AliasNode


def read_nodes(text: str) -> Node | None:
    """Read one document; None if it is empty. Raises: UnreadableManifest."""
    text = _as_yaml(text)
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise UnreadableManifest(line, f"not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise UnreadableManifest(1, "not YAML: it holds control characters") from error
    return None if root is None else _Reader(text).node(root)


def _as_yaml(text: str) -> str:
    """Return JSON as YAML takes it, every character in its place: without tabs, and without the
    pairs of escapes that only JSON knows. Other text is returned as it is.
    """
    has_any = "\t" in text or _SURROGATE.search(text)
    if not has_any or not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _SURROGATE.sub(r"\\ufffd", text.replace("\t", " "))  # tabs stand between values only


class _Alias(yaml.Node):
    """What stands for an alias in PyYAML's tree."""

    def __init__(self, target: yaml.Node, event: Any) -> None:  # noqa: ANN401 - libyaml's and PyYAML's marks have no common type
        super().__init__(target.tag, target, event.start_mark, event.end_mark)


class _Composer(BoundedComposer):
    """Counts nodes as they come, and keeps where an alias stood."""

    def __init__(self, text: str) -> None:
        super().__init__(text, _DEPTH_AT_MOST, UnreadableManifest, _too_deep)
        self._count = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        """Compose the next node; an alias is an `_Alias`."""
        event = self.peek_event()
        self._count += 1
        if self._count > _NODES_AT_MOST:
            line = event.start_mark.line + 1
            raise TooLargeManifest(line, f"holds more than {_NODES_AT_MOST} values")
        node = super().compose_node(parent, index)
        return _Alias(node, event) if isinstance(event, yaml.AliasEvent) else node


def _too_deep(line: int) -> TooLargeManifest:
    return TooLargeManifest(line, f"nested deeper than {_DEPTH_AT_MOST} levels")


class _Reader:
    """Turns PyYAML's nodes into ours, each once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: dict[int, Any] = {}
        """By PyYAML's node."""

    def node(self, given: yaml.Node) -> Node:
        """Return our node for one of PyYAML's. Raises: UnreadableManifest."""
        if isinstance(given, _Alias):
            target = self.node(given.value)
            assert not isinstance(target, AliasNode)
            return AliasNode(given.start_mark.index, given.end_mark.index, target)
        known: Node | None = self._known.get(id(given))
        if known is None:
            known = self._known[id(given)] = self._made(given)
            if known.size > _NODES_AT_MOST:
                message = f"holds more than {_NODES_AT_MOST} values once aliases are followed"
                raise TooLargeManifest(given.start_mark.line + 1, message)
        return known

    def _made(self, given: Any) -> Node:  # noqa: ANN401 - of no class that PyYAML's types know
        if isinstance(given, yaml.ScalarNode):
            data = _scalar_data(given.value) if given.tag == PLAIN else given.value
            start = given.start_mark.index
            return ScalarNode(start, self._end_of_scalar(given), data, given.style == "'")
        if isinstance(given, yaml.MappingNode):
            return self._mapping(given)
        items = [self.node(item) for item in given.value]
        start, end, dash = given.start_mark.index, given.end_mark.index, None
        if not given.flow_style and items:
            end, dash = items[-1].end, self._dash_of(start)
        size = 1 + sum(item.size for item in items)
        return SequenceNode(start, end, [item.data for item in items], items, dash, size)

    def _mapping(self, given: yaml.MappingNode) -> MappingNode:
        entries: dict[str, KeyedNode] = {}
        merged: dict[str, KeyedNode] = {}
        for given_key, given_value in given.value:
            line = given_key.start_mark.line + 1
            if not isinstance(given_key, yaml.ScalarNode):
                raise UnreadableManifest(line, "a key is not a single value")
            name, value = given_key.value, self.node(given_value)
            if name in entries:
                raise UnreadableManifest(line, f"key {name[:80]!r} stands twice")
            entries[name] = KeyedNode(name, given_key.start_mark.index, value)
            if name == _MERGE and given_key.tag == PLAIN:
                for entry in _merge_sources(value, line):
                    merged.setdefault(entry.key, entry)
        start, end, column = given.start_mark.index, given.end_mark.index, None
        if not given.flow_style:
            end = max(each.value.end for each in entries.values())
            column = self._column_of(min(each.start for each in entries.values()))
        if any(key.value == _MERGE and key.tag == PLAIN for key, _ in given.value):
            del entries[_MERGE]
        own = {name: each.value.data for name, each in entries.items()}
        brought = {name: each.value.data for name, each in merged.items() if name not in own}
        size = 1 + sum(each.value.size for each in (*entries.values(), *merged.values()))
        return MappingNode(start, end, {**own, **brought}, entries, merged, column, size)

    def _end_of_scalar(self, given: yaml.ScalarNode) -> int:
        """Return where a scalar ends. A block's trailing breaks are its own only if it says so."""
        start, end = given.start_mark.index, given.end_mark.index
        if given.style not in ("|", ">"):
            return int(end)
        header = _BLOCK_HEADER.match(self._text, start)
        if header is not None and "+" in header["chomping"]:
            return int(end)
        return int(start) + len(self._text[start:end].rstrip())

    def _dash_of(self, start: int) -> int | None:
        found = _FIRST_DASH.match(self._text, start)
        return None if found is None else self._column_of(found.end() - 1)

    def _column_of(self, position: int) -> int:
        return position - (self._text.rfind("\n", 0, position) + 1)


def _merge_sources(value: Node, line: int) -> Iterable[KeyedNode]:
    """Return the entries of a merge key's mapping, or of the mappings of its list: of two with one
    key the earlier counts.
    """
    value = value.target if isinstance(value, AliasNode) else value
    for each in value.items if isinstance(value, SequenceNode) else (value,):
        source = each.target if isinstance(each, AliasNode) else each
        if not isinstance(source, MappingNode):
            raise UnreadableManifest(line, "a merge key needs a mapping, or a list of mappings")
        yield from source.entries.values()
        yield from source.merged.values()


def _scalar_data(text: str) -> Any:  # noqa: ANN401
    """Return what a scalar without quotes means, as far as manifests are decided by it."""
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INT.fullmatch(text) else text

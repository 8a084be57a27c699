"""Changes one document of a manifest so that it means other data, and leaves every byte of it that
need not change: comments, order, quotes, indentation.

What is new is written where it belongs and in the way in which its surroundings are written. The
result is read again: a document for which that does not give the wanted data is refused, so that a
layout which this module does not understand costs an error, never a wrong manifest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sidecar.inject.layout import Layout, block_lines, flow_text, scalar_text
from sidecar.inject.nodes import (
    AliasNode,
    KeyedNode,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    TooLargeManifest,
    UnreadableManifest,
    read_nodes,
)
from sidecar.inject.surroundings import TextLines, layout_of

_SHARED: Final = (
    "what has to change here stands behind an anchor that other places use too, or is written in a "
    "way that cannot be edited in place; write it out"
)


class _Edit(NamedTuple):
    """What stands between two positions gets another text."""

    start: int
    end: int
    text: str


def edited(text: str, root: Node, wanted: Any) -> str:  # noqa: ANN401
    """Return ``text``, whose root is ``root``, changed as little as makes it mean ``wanted``.

    Lists are compared by the names of their items; what both have must be in one order.

    Raises: UnreadableManifest, if that cannot be done without changing anything else.
    """
    if root.data == wanted:
        return text
    editor = _Editor(text, layout_of(root))
    editor.change(root, wanted, None)
    result = editor.result()
    try:
        again = read_nodes(result)
    except TooLargeManifest as error:
        raise UnreadableManifest(1, f"with the sidecar: {error.message}") from error
    except UnreadableManifest:
        again = None
    if again is None or again.data != wanted:
        raise UnreadableManifest(1, _SHARED)
    return result


def _names(data: Sequence[Any]) -> list[tuple[str, int]]:
    """Return what each item of a list is known by: its name, and which of those of that name it is.
    A mapping without a name is known by its place, and what is no mapping by itself.
    """
    counts: dict[str, int] = {}
    made = []
    for each in data:
        name = flow_text(each.get("name") if isinstance(each, dict) else [each])
        counts[name] = counts.get(name, 0) + 1
        made.append((name, counts[name]))
    return made


class _Editor:
    """Collects edits of one text. Those at one position are applied in the order in which they were
    found, the inner ones first.
    """

    def __init__(self, text: str, layout: Layout) -> None:
        self._text = text
        self._layout = layout
        self._lines = TextLines(text)
        self._newline = self._lines.newline
        self._edits: dict[_Edit, None] = {}
        """In order, each once: what an alias repeats is written once."""

    def result(self) -> str:
        """Return the edited text. Raises: UnreadableManifest."""
        made, done = [], 0
        for edit in sorted(self._edits, key=lambda each: each.start):
            if edit.start < done:
                raise UnreadableManifest(self._lines.line_of(edit.start), _SHARED)
            made += [self._text[done : edit.start], edit.text]
            done = edit.end
        return "".join((*made, self._text[done:]))

    def change(self, node: Node, wanted: Any, column: int | None) -> None:  # noqa: ANN401
        """Let a node mean ``wanted``; ``column`` is its key's; None in braces."""
        if node.data == wanted:
            return
        if isinstance(node, AliasNode):
            node = node.target
        if isinstance(node, MappingNode) and isinstance(wanted, dict) and node.data:
            self._mapping(node, wanted)
        elif isinstance(node, SequenceNode) and isinstance(wanted, list) and node.items and wanted:
            self._sequence(node, wanted, column)
        else:
            self._replace(node, wanted, column)

    def _mapping(self, node: MappingNode, wanted: dict[str, Any]) -> None:
        waiting: dict[str, Any] = {}
        for key, value in wanted.items():
            found = node.value_of(key)
            if found is None:
                waiting[key] = value
                continue
            entry = node.entries.get(key)
            if (
                waiting
                and node.column is not None
                and entry
                and self._lines.begins_line(entry.start)
            ):
                self._add_lines(self._lines.before_comments(entry.start), waiting, node.column)
                waiting = {}
            self.change(found, value, node.column)
        for key, entry in node.entries.items():
            if key not in wanted:
                self._remove_key(node, entry)
        if waiting and node.column is not None:
            self._add_lines(self._lines.behind(node.end, node.column), waiting, node.column)
        elif waiting:
            self._add_keys_in_braces(node, waiting)

    def _sequence(self, node: SequenceNode, wanted: list[Any], column: int | None) -> None:
        old = {name: at for at, name in enumerate(_names(node.data))}
        new = _names(wanted)
        kept = [old[name] for name in new if name in old]
        if not kept or kept != sorted(kept):
            self._rewrite(node, wanted, column)
            return
        waiting: list[Any] = []
        last: int | None = None
        for name, value in zip(new, wanted, strict=True):
            if name not in old:
                waiting.append(value)
                continue
            if waiting:
                self._add_items(node, waiting, last, column)
                waiting = []
            last = old[name]
            self.change(node.items[last], value, node.dash)
        for at in sorted(set(old.values()) - set(kept)):
            self._remove_item(node, at)
        if waiting:
            self._add_items(node, waiting, last, column)

    def _add_items(
        self, node: SequenceNode, items: list[Any], last: int | None, column: int | None
    ) -> None:
        """Add items behind the one numbered ``last``, or before the first."""
        if node.dash is None:
            self._add_items_in_brackets(node, items, last)
            return
        if last is None:
            position = self._lines.before_comments(self._dash_before(node, node.items[0]))
        else:
            # A comment in the column of the dashes is the list's own only where the key of the
            # list stands further left.
            own = node.dash + (1 if node.dash == column else 0)
            position = self._lines.behind(node.items[last].end, own)
        self._add_lines(position, items, node.dash)

    def _add_lines(self, position: int, value: dict[str, Any] | list[Any], column: int) -> None:
        lines = self._indented(value, column)
        if position == len(self._text) and not self._text.endswith("\n"):
            made = "".join(self._newline + line for line in lines)
        else:
            made = "".join(line + self._newline for line in lines)
        self._edit(position, position, made)

    def _indented(self, value: Any, column: int) -> list[str]:  # noqa: ANN401
        return [" " * column + line for line in block_lines(value, self._layout)]

    def _add_keys_in_braces(self, node: MappingNode, added: dict[str, Any]) -> None:
        last = max(node.entries.values(), key=lambda each: each.value.end, default=None)
        if last is None:  # a merge key alone
            raise UnreadableManifest(self._lines.line_of(node.start), _SHARED)
        first = min(node.entries.values(), key=lambda each: each.start)
        prefix = self._lines.prefix_in_brackets(first.start)
        made = [
            f"{flow_text(key)}: {self._in_brackets(value, prefix, node.start)}"
            for key, value in added.items()
        ]
        comma = ", " if prefix is None else f",{self._newline}{prefix}"
        self._edit(last.value.end, last.value.end, "".join(comma + each for each in made))

    def _add_items_in_brackets(
        self, node: SequenceNode, items: list[Any], last: int | None
    ) -> None:
        prefix = self._lines.prefix_in_brackets(node.items[0].start)
        comma = ", " if prefix is None else f",{self._newline}{prefix}"
        made = [self._in_brackets(each, prefix, node.start) for each in items]
        if last is None:
            position = node.items[0].start
            self._edit(position, position, "".join(each + comma for each in made))
        else:
            position = node.items[last].end
            self._edit(position, position, "".join(comma + each for each in made))

    def _in_brackets(self, value: Any, prefix: str | None, opening: int) -> str:  # noqa: ANN401
        """Return a value for a place in braces or brackets: over several lines where its siblings
        begin lines of their own, with the indentation ``prefix``.
        """
        if prefix is None or not isinstance(value, dict | list):
            return flow_text(value)
        line = self._text[self._lines.line_start(opening) : opening]
        outer = len(line) - len(line.lstrip())
        unit = "\t" if "\t" in prefix else " " * max(len(prefix) - outer, 1)
        text = json.dumps(value, indent=unit)
        return text.replace("\n", self._newline + prefix)

    def _replace(self, node: Node, wanted: Any, column: int | None) -> None:  # noqa: ANN401
        """Write another value in the place of a single or an empty one."""
        if not isinstance(node, ScalarNode) and node.data:
            self._rewrite(node, wanted, column)
            return
        start, end = node.start, node.end
        if column is not None and isinstance(wanted, dict | list) and wanted:
            shift = self._layout.step if isinstance(wanted, dict) else self._layout.dash
            lines = self._indented(wanted, column + shift)
            while self._text[start - 1 : start] == " ":
                start -= 1
            self._edit(start, end, self._newline + self._newline.join(lines))
            return
        made = flow_text(wanted) if column is None else scalar_text(wanted)
        if isinstance(node, ScalarNode) and node.is_quoted_once and isinstance(wanted, str):
            made = "'" + wanted.replace("'", "''") + "'"
        elif self._text[start:end].startswith('"'):
            made = flow_text(wanted)
        self._edit(start, end, made if start < end else f" {made}")

    def _rewrite(self, node: Node, wanted: Any, column: int | None) -> None:  # noqa: ANN401
        """Write a whole list or mapping anew."""
        at = node.dash if isinstance(node, SequenceNode) else getattr(node, "column", None)
        if at is None or column is None or not isinstance(wanted, dict | list) or not wanted:
            self._edit(node.start, node.end, flow_text(wanted))
            return
        lines = self._indented(wanted, at)
        self._edit(self._lines.line_start(node.start), node.end, self._newline.join(lines))

    def _remove_key(self, node: MappingNode, entry: KeyedNode) -> None:
        if node.column is None:
            self._remove_in_brackets(list(node.entries.values()), entry)
            return
        if not self._lines.begins_line(entry.start) or len(node.data) == 1:
            raise UnreadableManifest(self._lines.line_of(entry.start), _SHARED)
        start = self._lines.line_start(entry.start)
        self._edit(start, self._lines.behind(entry.value.end), "")

    def _remove_item(self, node: SequenceNode, at: int) -> None:
        item = node.items[at]
        if node.dash is None:
            self._remove_in_brackets(node.items, item)
            return
        start = self._lines.line_start(self._dash_before(node, item))
        self._edit(start, self._lines.behind(item.end), "")

    def _remove_in_brackets(
        self, all_of: Sequence[Node | KeyedNode], one: Node | KeyedNode
    ) -> None:
        at = all_of.index(one)
        end = one.value.end if isinstance(one, KeyedNode) else one.end
        if at + 1 < len(all_of):
            self._edit(one.start, all_of[at + 1].start, "")
        elif at:
            before = all_of[at - 1]
            begin = before.value.end if isinstance(before, KeyedNode) else before.end
            self._edit(begin, end, "")
        else:
            self._edit(one.start, end, "")

    def _edit(self, start: int, end: int, text: str) -> None:
        self._edits[_Edit(start, end, text)] = None

    def _dash_before(self, node: SequenceNode, item: Node) -> int:
        """Return where the dash of an item stands, which may be lines above the item."""
        column = node.dash or 0
        dash = " " * column + "-"
        start = self._lines.line_start(item.start)
        while start > node.start and not self._text.startswith(dash, start):
            start = self._lines.line_start(start - 1)
        return start + column

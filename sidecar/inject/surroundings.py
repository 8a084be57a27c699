"""What surrounds a place in a manifest's text: lines, comments, indentation."""

from __future__ import annotations

from sidecar.inject.layout import Layout
from sidecar.inject.nodes import MappingNode, Node, SequenceNode


def layout_of(root: Node) -> Layout:
    """Return how the document's first block mapping and list inside a mapping are indented."""
    step = dash = None
    waiting: list[Node] = [root]
    while waiting and (step is None or dash is None):
        node = waiting.pop()
        if isinstance(node, SequenceNode):
            waiting.extend(reversed(node.items))
        if not isinstance(node, MappingNode):
            continue
        values = [entry.value for entry in node.entries.values()]
        waiting.extend(reversed(values))
        for value in values if node.column is not None else ():
            if isinstance(value, MappingNode) and value.column is not None:
                step = step or value.column - (node.column or 0)
            elif isinstance(value, SequenceNode) and value.dash is not None and dash is None:
                dash = value.dash - (node.column or 0)
    return Layout(step=step or 2, dash=2 if dash is None else dash)


class TextLines:
    """A text, asked for lines by positions in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        """How its lines end."""

    def line_start(self, position: int) -> int:
        """Return where the line of a position begins."""
        return self._text.rfind("\n", 0, position) + 1

    def line_at(self, position: int) -> str:
        """Return the line from a position on, with its end."""
        end = self._text.find("\n", position)
        return self._text[position : len(self._text) if end < 0 else end + 1]

    def line_of(self, position: int) -> int:
        """Return the number of a position's line, from 1."""
        return self._text.count("\n", 0, position) + 1

    def begins_line(self, position: int) -> bool:
        """Return whether nothing but spaces stands before a position in its line."""
        return not self._text[self.line_start(position) : position].strip(" ")

    def prefix_in_brackets(self, position: int) -> str | None:
        """Return the indentation of what begins a line of its own; None if it does not."""
        before = self._text[self.line_start(position) : position]
        return None if before.strip() or position == 0 else before

    def behind(self, position: int, column: int = 0) -> int:
        """Return where the line behind ``position`` begins, after the comments that follow in
        ``column`` or further right.
        """
        if self._text[position - 1 : position] != "\n":
            found = self._text.find("\n", position)
            position = len(self._text) if found < 0 else found + 1
        while column:
            line = self.line_at(position)
            text = line.lstrip(" ")
            if not text.startswith("#") or len(line) - len(text) < column:
                break
            position += len(line)
        return position

    def before_comments(self, position: int) -> int:
        """Return where the line of ``position`` begins, or the comments right above it that stand
        in its column.
        """
        start = self.line_start(position)
        comment = self._text[start:position] + "#"
        while start:
            above = self.line_start(start - 1)
            if not self._text.startswith(comment, above):
                break
            start = above
        return start

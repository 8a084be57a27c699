"""PyYAML's composer with bounds, for text that comes from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import yaml

_BASES: Final[tuple[Any, ...]] = (
    (yaml.composer.Composer, yaml.CSafeLoader)
    if hasattr(yaml, "CSafeLoader")
    else (yaml.SafeLoader,)
)
"""libyaml parses where PyYAML has it; PyYAML's own composer is what `BoundedComposer` changes."""
PLAIN: Final = "plain"
NO_TAG: Final = "none"
"""Tags of what has none in the text: of a scalar without quotes, and of all else."""


class BoundedComposer(*_BASES):  # type: ignore[misc]
    """PyYAML's composer, which by itself bounds no depth, knows YAML 1.1's types and takes an
    anchor once.
    """

    def __init__(
        self,
        text: str,
        levels_at_most: int,
        unreadable: Callable[[int, str], Exception],
        too_deep: Callable[[int], Exception],
    ) -> None:
        """Args: ``unreadable`` makes the error for text that is not accepted, of a line that counts
        from 1 and a message; ``too_deep`` the one for what is nested deeper than it may be.
        """
        _BASES[-1].__init__(self, text)
        self.anchors: dict[str, yaml.Node] = {}
        self._levels_at_most = levels_at_most
        self._unreadable = unreadable
        self._too_deep = too_deep
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        """Compose the next node. An anchor may stand again: an alias means the newest before it."""
        event = self.peek_event()
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        node: yaml.Node = super().compose_node(parent, index)
        if node.end_mark is None:
            # Only a list or mapping that is not read to its end has no end.
            raise self._unreadable(
                event.start_mark.line + 1, "an alias refers to what it is part of"
            )
        return node

    def resolve(self, kind: type, _value: str | None, implicit: Any) -> str:  # noqa: ANN401
        """Return the tag of a node that has none in the text."""
        return PLAIN if kind is yaml.ScalarNode and implicit[0] else NO_TAG

    def descend_resolver(self, parent: yaml.Node | None, _index: object) -> None:
        """Called before a node is composed, from a stack frame for each level of nesting."""
        self._depth += 1
        if self._depth > self._levels_at_most:
            raise self._too_deep(1 if parent is None else parent.start_mark.line + 1)

    def ascend_resolver(self) -> None:
        """Called once a node is composed."""
        self._depth -= 1

"""How many marks that ask for caching a conversation has: providers take no more than a few."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

from sidecar.translate.conversation import ConversationTurn, Part, RefusalPart, ToolResult

MARKS_AT_MOST: Final = 4
"""Breakpoints of one request; providers refuse more."""
_STEP_TURNS: Final = 1024


def count_marks(turns: Iterable[ConversationTurn]) -> Generator[None, None, int]:
    """Return how many marks the turns have; others go on wherever this yields."""
    count = 0
    for at, turn in enumerate(turns):
        if at % _STEP_TURNS == _STEP_TURNS - 1:
            yield
        count += _marks_in(turn.parts)
    return count


def _marks_in(parts: Iterable[Part]) -> int:
    count = 0
    for part in parts:
        if isinstance(part, ToolResult):
            count += _marks_in(part.parts)
        if not isinstance(part, RefusalPart) and part.cache is not None:
            count += 1
    return count

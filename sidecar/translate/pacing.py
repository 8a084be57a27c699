"""Looks through what is long before it is read at once: in steps, and no more of it than a
conversation has.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from sidecar.domain.errors import InvalidBody
from sidecar.wire.outline import OPENING_BRACE, OPENING_BRACKET, Outline

STEP_BYTES: Final = 64 * 1024
"""So much of a conversation is read or written before others go on, or one turn."""
STEP_TURNS: Final = 64
"""Turns that are read before others go on, however short they are."""
LONG_BYTES: Final = 256 * 1024
"""What is shorter is read without a look: that takes a few milliseconds, whatever it holds."""
PARTS_AT_MOST: Final = 4096
"""Parts of one message, calls in one, or tools of one request."""
_LEVELS: Final = 5
"""Message, its parts, a part that is a tool's result, its parts, a part: nothing is read beyond."""


def pace(raw: bytes) -> Generator[None, None, None]:
    """Look through an object or array; others go on wherever this yields.

    Raises: InvalidBody where an object has too many members, or an array too many elements.
    """
    waiting = [(raw, 0)]
    while waiting:
        text, level = waiting.pop()
        is_array = text[0] == OPENING_BRACKET
        outline = Outline(text, (0, len(text)) if is_array else None)
        while not outline.advance():
            yield
        if is_array:
            check_count(len(outline.members))
        for member in outline.members if level < _LEVELS else ():
            start, end = member.value
            if end - start > LONG_BYTES and text[start] in (OPENING_BRACE, OPENING_BRACKET):
                waiting.append((text[start:end], level + 1))


def check_count(elements: int) -> None:
    """Refuse more elements than may be read at once. Raises: InvalidBody."""
    if elements > PARTS_AT_MOST:
        raise InvalidBody(f"a list in the body has more than {PARTS_AT_MOST} elements")

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
TOOLS_BYTES: Final = 4 * 1024 * 1024
"""All tools of one request: they are written at once."""
_ONE_SIDE_BYTES: Final = 10 * 1024 * 1024
"""What one side says at a time, in turns that follow each other: it becomes one message."""
_WRITTEN_BYTES: Final = 3 * 1024 * 1024
"""As much of that as may be anything. The rest is base64, or plain text with few escapes: to decode
anything else, and to write it, takes three times as long.
"""
_SHORT_BYTES: Final = 64 * 1024
"""What is shorter may be anything."""
_BYTES_TO_AN_ESCAPE: Final = 256
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


class SideSize:
    """Counts what one side says at a time."""

    def __init__(self) -> None:
        self._is_assistant = False
        self._size = 0
        self._written = 0

    def add(self, raw: bytes | memoryview, *, is_assistant: bool) -> None:
        """Take the next turn as it stands in the body. Raises: InvalidBody, once it is too much."""
        if is_assistant is not self._is_assistant:
            self._is_assistant, self._size, self._written = is_assistant, 0, 0
        size = len(raw)
        self._size += size
        if size <= _SHORT_BYTES or not _is_plain(bytes(raw)):
            self._written += size
        if self._size > _ONE_SIDE_BYTES or self._written > _WRITTEN_BYTES:
            raise InvalidBody("what one side says at a time is too long to be translated")


def _is_plain(raw: bytes) -> bool:
    return raw.isascii() and raw.count(b"\\") * _BYTES_TO_AN_ESCAPE < len(raw)


def check_size(raw: bytes | memoryview) -> None:
    """Refuse what could not be read at once, whatever it holds. Raises: InvalidBody."""
    is_long = len(raw) > _WRITTEN_BYTES and not _is_plain(bytes(raw))
    if is_long or len(raw) > _ONE_SIDE_BYTES:
        raise InvalidBody("a message is too long to be translated")


def check_count(elements: int) -> None:
    """Refuse more elements than may be read at once. Raises: InvalidBody."""
    if elements > PARTS_AT_MOST:
        raise InvalidBody(f"a list in the body has more than {PARTS_AT_MOST} elements")

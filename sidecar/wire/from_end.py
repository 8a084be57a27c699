"""The elements of a JSON array, or the members of an object, from the last one on: a long
conversation is read from its end, and no further than is needed.

For texts whose outline has been read (`wire.body`): what begins in them also ends.
"""

from __future__ import annotations

import re
from typing import Final, final

from sidecar.wire.outline import (
    BACKSLASH,
    CLOSING_BRACE,
    CLOSING_BRACKET,
    COMMA,
    OPENING_BRACE,
    OPENING_BRACKET,
    QUOTE,
    backslashes_before,
)

Span = tuple[int, int]
"""Start and end of a piece of a text, in bytes."""

_SEARCH_STEPS: Final = 32
"""What one search costs, counted in bytes that are looked at one by one."""
_BLOTTED_A_STEP: Final = 3
"""Bytes of a text with escapes that are searched at the cost of one."""
_WINDOW_BYTES: Final = 256
_WINDOW_AT_MOST_BYTES: Final = 64 * 1024
_BLANKS: Final = b" \t\r\n"
_NAME: Final = re.compile(rb'"([^"\\]{0,64}+)"[ \t\r\n]*+:[ \t\r\n]*+')
"""Before a member's value. Names that are read are short, and have no escapes."""


@final
class Effort:
    """How much of a text may still be looked at, and decoded."""

    def __init__(self, steps: int, decoded_bytes: int, objects: int) -> None:
        """Args: ``steps`` are bytes that are looked at one by one, searches counted as several;
        ``objects`` are decodings, each of which takes about a microsecond.
        """
        self.steps = steps
        self.decoded_bytes = decoded_bytes
        self.objects = objects

    @property
    def is_spent(self) -> bool:
        """Whether no more may be looked at."""
        return self.steps < 0 or self.decoded_bytes < 0 or self.objects < 0

    def decode(self, size: int) -> bool:
        """Count a decoding of so many bytes; return whether it may be done."""
        self.objects -= 1
        self.decoded_bytes -= size
        return self.steps >= 0 and self.decoded_bytes >= 0 and self.objects >= 0


@final
class FromEnd:
    """Finds what stands in an array or object, the last first."""

    def __init__(self, text: bytes, whole: Span, effort: Effort) -> None:
        """Args: ``whole`` is the place of the array or object, brackets included."""
        self._text: Final = text
        self._first: Final = whole[0] + 1
        self._at = whole[1] - 1
        """The end of what has not been looked at."""
        self._effort: Final = effort

    def next(self) -> Span | None:  # noqa: C901 - one loop over bytes; calls in it cost the most
        """Return the place of the element, or of the member with its name, before those that were
        returned; None where there is none, or the effort is spent.
        """
        text, first = self._text, self._first
        end = self._at
        if end > first and text[end - 1] in _BLANKS:
            end = self._without_blanks(end)
        at, depth, looked_at = end, 0, 0
        limit = self._effort.steps
        while at > first and looked_at <= limit:
            byte = text[at - 1]
            if byte == QUOTE:
                opening = text.rfind(b'"', first, at - 1)
                if opening > 0 and text[opening - 1] != BACKSLASH:
                    at = opening
                    looked_at += _SEARCH_STEPS
                    continue
                self._effort.steps = limit - looked_at
                at = self._text_start(at - 1)
                limit, looked_at = self._effort.steps, 0
                continue
            if byte == COMMA:
                if not depth:
                    break
            elif byte in (CLOSING_BRACE, CLOSING_BRACKET):
                depth += 1
            elif byte in (OPENING_BRACE, OPENING_BRACKET):
                depth -= 1
            at -= 1
            looked_at += 1
        self._effort.steps = limit - looked_at
        self._at = max(at - 1, first)
        effort = self._effort
        if at == end or effort.steps < 0 or effort.decoded_bytes < 0 or effort.objects < 0:
            return None
        while text[at] in _BLANKS:
            at += 1
        return at, end

    def _without_blanks(self, at: int) -> int:
        text, first, end = self._text, self._first, at
        while at > first and text[at - 1] in _BLANKS and end - at <= self._effort.steps:
            at -= 1
        self._effort.steps -= end - at
        return at

    def _text_start(self, closing: int) -> int:
        """Return where the text begins whose closing quote stands at ``closing``.

        Escapes are blotted out a window at a time, which is far faster than a look at each: a
        tool's result that is JSON has tens of thousands.
        """
        text, first, effort = self._text, self._first, self._effort
        end, size = closing, _WINDOW_BYTES
        while end > first and effort.steps >= 0:
            start = max(first, end - size)
            count = backslashes_before(text, start, max(first, start - effort.steps))
            start -= count
            effort.steps -= _SEARCH_STEPS + count + (end - start) // _BLOTTED_A_STEP
            window = text[start:end].replace(rb"\\", b"..").replace(rb"\"", b"..")
            opening = window.rfind(b'"')
            if opening >= 0:
                return start + opening
            end, size = start, min(2 * size, _WINDOW_AT_MOST_BYTES)
        return first


def name_and_value(text: bytes, member: Span) -> tuple[bytes, Span]:
    """Return the name of a member as it is written, and the place of its value. The name is empty
    where it is longer than any that is read, or has escapes.
    """
    start, end = member
    name = _NAME.match(text, start, end)
    return (b"", (end, end)) if name is None else (name[1], (name.end(), end))

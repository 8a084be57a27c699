"""Counts the values of a JSON text piece by piece, before it is decoded at once: a short text may
hold so many of them that to make them takes a second.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from sidecar.translate.bounds import VALUES_AT_MOST, Untranslatable

SHORT_BYTES: Final = 16 * 1024
"""A text that is not longer cannot hold too many values."""
_STEP_BYTES: Final = 64 * 1024
_TEXTS: Final = re.compile(rb'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_CLOSED: Final = re.compile(rb'(?s)[^"]*+(?:%b[^"]*+)*+' % _TEXTS.pattern.removeprefix(b"(?s)"))
"""Up to the beginning of a text that does not end."""
_REST: Final = re.compile(rb'(?s)[^"\\]*+(?:\\.[^"\\]*+)*+')
"""Up to the end of a text, inside which it begins, or to a backslash that comes last."""


class ValueCount:
    """Counts what begins a value or stands between two. Whether it is JSON is not looked at."""

    __slots__ = ("_is_in_text", "_skips_one", "_values")

    def __init__(self) -> None:
        self._is_in_text = False
        self._skips_one = False
        """Whether a backslash was the last byte."""
        self._values = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes, cut anywhere. Raises: Untranslatable, once there are too many."""
        at = 1 if self._skips_one else 0
        if self._is_in_text:
            rest = _REST.match(piece, at)
            assert rest is not None  # it matches the empty text
            at = rest.end()
            self._skips_one = piece[at : at + 1] == b"\\"
            if at == len(piece) or self._skips_one:
                return
            at += 1
        closed = _CLOSED.match(piece, at)
        assert closed is not None  # it matches the empty text
        end = closed.end()
        self._is_in_text = end < len(piece)
        if self._is_in_text:
            rest = _REST.match(piece, end + 1)
            self._skips_one = rest is not None and rest.end() < len(piece)
        outside = _TEXTS.sub(b"", piece[at:end])
        self._values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        if self._values > VALUES_AT_MOST:
            raise Untranslatable("the provider's response has too many values")


def count_in_steps(text: bytes) -> Generator[None, None, None]:
    """Count the values of a whole text. Others go on wherever this yields.

    Raises: Untranslatable where there are too many.
    """
    if len(text) <= SHORT_BYTES:
        return
    count = ValueCount()
    for at in range(0, len(text), _STEP_BYTES):
        count.feed(text[at : at + _STEP_BYTES])
        yield

"""The outline of a JSON text: where the members of an object or the elements of an array stand,
found in steps, so that a text of any length holds nothing up.

Nothing is decoded or copied, and no more is checked than an outline needs: the members' names and
plain values, and that each text, array and object is closed. What stands inside an array or object
is for the provider to read.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, final

from sidecar.domain.errors import InvalidBody

STEP_BYTES: Final = 128 * 1024
STEP_MEMBERS: Final = 1024
"""What is looked at, or found, in one step: less than a millisecond, compiled, whatever the bytes
are.
"""
MEMBERS_AT_MOST: Final = 1000
"""Top-level members of one body. The largest documented API has about 40."""
ELEMENTS_AT_MOST: Final = 20_000
"""Elements of an array whose outline is read. A conversation of a thousand turns has as many; a
body of 32 MiB can hold millions.
"""
_DEPTH_AT_MOST: Final = 1000
_SCALAR_BYTES: Final = 1024
"""A longer number is none."""

QUOTE: Final = 0x22
BACKSLASH: Final = 0x5C
COMMA: Final = 0x2C
_COLON: Final = 0x3A
OPENING_BRACKET: Final = 0x5B
CLOSING_BRACKET: Final = 0x5D
OPENING_BRACE: Final = 0x7B
CLOSING_BRACE: Final = 0x7D
_NEAR_BYTES: Final = 16
"""So far a text's end is looked for byte by byte, which is faster than a search."""

_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")
_SCALAR: Final = re.compile(rb"[-+.0-9A-Za-z]*+")
_IS_SCALAR: Final = re.compile(
    rb"true|false|null|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?"
)

# What comes next between two values.
_OPEN: Final = 0
_FIRST_NAME: Final = 1
_NAME: Final = 2
_BEHIND_NAME: Final = 3
_FIRST_VALUE: Final = 4
_VALUE: Final = 5
_BEHIND_VALUE: Final = 6
_DONE: Final = 7
_MAY_CLOSE: Final = (_FIRST_NAME, _FIRST_VALUE, _BEHIND_VALUE)


class OutlinedMember(NamedTuple):
    """A member of an object, or an element of an array, by places in the text."""

    behind: int
    """The end of the member before it; 0 for the first."""
    name: tuple[int, int]
    """Without its quotes; of an element that of nothing."""
    value: tuple[int, int]


@final
class Outline:
    """Finds the members of the object that a text is, or the elements of an array in it."""

    def __init__(self, text: bytes, array: tuple[int, int] | None = None) -> None:
        """Args: ``array`` is the place of an array; None: the text is an object."""
        self.members: list[OutlinedMember] = []
        """Those found so far, in order; of repeated names each."""
        start, self._end = array or (0, len(text))
        self._reader: Final = _ValueReader(text, start)
        self._is_array: Final = array is not None
        self._next = _OPEN
        self._start = 0
        """Where the name or value begins that is being read."""
        self._name = (0, 0)

    def advance(self) -> bool:
        """Look at the next step; return whether all of the text has been looked at.

        Raises: InvalidBody.
        """
        reader = self._reader
        end, most = min(reader.at + STEP_BYTES, self._end), len(self.members) + STEP_MEMBERS
        while reader.at < end and len(self.members) < most:
            if not reader.is_inside():
                self._read_between(end)
            elif reader.skip(end):
                self._found()
        if reader.at < self._end:
            return False
        if self._next != _DONE:
            raise InvalidBody("the body is not JSON: it ends too early")
        return True

    def _read_between(self, end: int) -> None:
        """Read what stands between the values, or a plain value."""
        reader, expected = self._reader, self._next
        at = reader.at
        byte = reader.text[at]
        if byte in b" \t\r\n":
            blanks = _BLANKS.match(reader.text, at, end)
            assert blanks is not None  # it matches the empty text
            reader.at = blanks.end()
            return
        reader.at = at + 1
        if (
            byte == (CLOSING_BRACKET if self._is_array else CLOSING_BRACE)
            and expected in _MAY_CLOSE
        ):
            self._next = _DONE
        elif expected in (_VALUE, _FIRST_VALUE):
            self._start = at
            if not reader.begin(byte):
                self._found()
        elif expected == _BEHIND_VALUE and byte == COMMA:
            self._next = _VALUE if self._is_array else _NAME
        elif expected == _BEHIND_NAME and byte == _COLON:
            self._next = _VALUE
        elif byte == QUOTE and expected in (_NAME, _FIRST_NAME):
            self._start = at
            reader.begin(byte)
        elif expected != _OPEN:
            raise _invalid(at)
        elif byte == (OPENING_BRACKET if self._is_array else OPENING_BRACE):
            self._next = _FIRST_VALUE if self._is_array else _FIRST_NAME
        else:
            raise InvalidBody("the body is not a JSON object")

    def _found(self) -> None:
        """A name or a value ends here."""
        end = self._reader.at
        if self._next in (_NAME, _FIRST_NAME):
            self._name = self._start + 1, end - 1
            self._next = _BEHIND_NAME
            return
        most = ELEMENTS_AT_MOST if self._is_array else MEMBERS_AT_MOST
        if len(self.members) == most:
            raise InvalidBody(f"the body has more than {most} members")
        behind = self.members[-1].value[1] if self.members else 0
        self.members.append(OutlinedMember(behind, self._name, (self._start, end)))
        self._next = _BEHIND_VALUE


@final
class _ValueReader:
    """Goes from a value's beginning to its end, in steps."""

    def __init__(self, text: bytes, at: int) -> None:
        self.text: Final = text
        self.at = at
        self._depth = 0
        self._is_in_text = False

    def is_inside(self) -> bool:
        """Return whether a text, array or object has begun and not ended."""
        return self._is_in_text or self._depth > 0

    def begin(self, byte: int) -> bool:
        """Begin a value whose first byte stands right before `at`. Return whether it has to be
        skipped; a plain value has been read.

        Raises: InvalidBody.
        """
        if byte == QUOTE:
            self._is_in_text = True
        elif byte in (OPENING_BRACE, OPENING_BRACKET):
            self._depth = 1
        else:
            at = self.at - 1
            scalar = _SCALAR.match(self.text, at, at + _SCALAR_BYTES)
            assert scalar is not None  # it matches the empty text
            if _IS_SCALAR.fullmatch(self.text, at, scalar.end()) is None:
                raise _invalid(at)
            self.at = scalar.end()
            return False
        return True

    def skip(self, end: int) -> bool:
        """Go on to the end of what has begun, at most to ``end``; return whether it was reached.

        Raises: InvalidBody.
        """
        text, at, depth = self.text, self.at, self._depth
        if self._is_in_text:
            at = self._text_end(at, end)
        while depth and at < end:
            byte = text[at]
            at += 1
            if byte == QUOTE:
                at = self._text_end(self._near_end(at, end), end)
            elif byte in (OPENING_BRACKET, OPENING_BRACE):
                depth += 1
                if depth > _DEPTH_AT_MOST:
                    raise InvalidBody("the body nests too deeply")
            elif byte in (CLOSING_BRACKET, CLOSING_BRACE):
                depth -= 1
        self.at, self._depth = at, depth
        return not self.is_inside()

    def _near_end(self, at: int, end: int) -> int:
        """Look for a text's end in the bytes from ``at`` on, which is not inside an escape. Return
        where to go on, which is not inside one either.
        """
        text = self.text
        self._is_in_text = True
        near = min(at + _NEAR_BYTES, end)
        while at < near:
            byte = text[at]
            at += 1
            if byte == QUOTE:
                self._is_in_text = False
                break
            if byte == BACKSLASH:
                at += 1
        return at

    def _text_end(self, at: int, end: int) -> int:
        """Look for a text's end from ``at`` on, as `_near_end`, but as far as it takes."""
        text = self.text
        while self._is_in_text and at < end:
            quote = text.find(b'"', at, end)
            if quote < 0:
                return end + backslashes_before(text, end, at) % 2
            if backslashes_before(text, quote, at) % 2 == 0:
                self._is_in_text = False
                return quote + 1
            at = self._near_end(quote + 1, end)  # where one is escaped the next is near
        return at


def _invalid(at: int) -> InvalidBody:
    """Return the error of a character that no JSON has there."""
    return InvalidBody(f"the body is not JSON: an unexpected character (byte {at})")


def backslashes_before(text: bytes, end: int, start: int) -> int:
    """Return how many backslashes stand right before ``end``, counted no further than to
    ``start``.
    """
    at = end
    while at > start and text[at - 1] == BACKSLASH:
        at -= 1
    return end - at

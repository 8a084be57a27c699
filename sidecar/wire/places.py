"""Places in a JSON text: where the elements of an array and the members of an object stand, and a
text without some of them.

As in `wire.body`, msgspec checks the syntax and says how long each value is, and adding up those
lengths finds each place; a long array is outlined in steps. For texts that have been read before;
linear in their length.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Final, NamedTuple

import msgspec

from sidecar.domain.errors import InvalidBody
from sidecar.wire.members import same_lengths, top_level_values
from sidecar.wire.outline import Outline, OutlinedMember

Span = tuple[int, int]
"""Start and end of a piece of a text, in bytes."""

_decode_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_GAP: Final = re.compile(rb"[ \t\r\n,]*+")
_NAME: Final = re.compile(
    rb'[ \t\r\n,{]*+("(?:[^"\\]*+)(?:\\.[^"\\]*+)*+")[ \t\r\n]*+:[ \t\r\n]*+', re.DOTALL
)


PLACES_AT_MOST: Final = 20_000
"""A conversation of a thousand turns has as many; a body of 32 MiB can hold millions."""
PIECE_BYTES: Final = 256 * 1024
"""Inside a longer array or object no place is found: its values are listed at once."""


class Member(NamedTuple):
    """A member of an object."""

    name: bytes
    span: Span
    """From its name's quote to its value's end."""
    value: Span


class Text:
    """A JSON text whose places can be found, `PLACES_AT_MOST` of them."""

    def __init__(self, text: bytes, piece_bytes: int = PIECE_BYTES) -> None:
        """Args: ``text`` may hold lone halves of characters, as JavaScript sends them.
        ``piece_bytes`` takes the place of `PIECE_BYTES`.
        """
        self._places_left = PLACES_AT_MOST
        self._piece_bytes = piece_bytes
        self._text = text

    @property
    def is_exhausted(self) -> bool:
        """Whether places were asked for that were not told, since there were too many."""
        return self._places_left < 0

    def elements_in_steps(self, array: Span | None) -> Generator[None, None, list[Span]]:
        """Return the places of a long array's elements; others go on wherever this yields. None
        where there is no readable array.
        """
        if array is None:
            return []
        found = yield from self._outlined(Outline(self._text, array))
        return [element.value for element in found]

    def members_in_steps(self, of_object: Span) -> Generator[None, None, list[Member]]:
        """Return the members of a long object, as `elements_in_steps`."""
        start, end = of_object
        piece = self._text if end - start == len(self._text) else self._text[start:end]
        found = yield from self._outlined(Outline(piece))
        return [
            Member(
                piece[name[0] : name[1]],
                (start + name[0] - 1, start + value[1]),
                (start + value[0], start + value[1]),
            )
            for _, name, value in found
        ]

    def _outlined(self, outline: Outline) -> Generator[None, None, list[OutlinedMember]]:
        try:
            while not outline.advance():
                yield
        except InvalidBody:
            self._places_left = -1
            return []
        return outline.members if self._may_find(len(outline.members)) else []

    def elements(self, array: Span) -> list[Span]:
        """Return the places of an array's elements; none where there is no readable array."""
        start = array[0]
        try:
            values = _decode_elements(self._piece(array))
        except (ValueError, RecursionError):
            return []
        if not self._may_find(len(values)):
            return []
        found = []
        position = self._text.index(b"[", start) + 1 if values else start
        for value in values:
            gap = _GAP.match(self._text, position)
            assert gap is not None  # it matches the empty text
            position = gap.end() + len(value)
            found.append((gap.end(), position))
        return found

    def members(self, of_object: Span | None = None) -> list[Member]:
        """Return the members of an object, by default the text's own; none where there is no
        readable object.
        """
        start, end = of_object or (0, len(self._text))
        try:
            values = top_level_values(self._piece((start, end)))
        except InvalidBody:
            return []
        if not self._may_find(len(values)):
            return []
        found = []
        position = start
        for value in values:
            name = _NAME.match(self._text, position)
            assert name is not None  # the decoder read a member here
            position = name.end() + len(value)
            found.append(Member(name[1][1:-1], (name.start(1), position), (name.end(), position)))
        return found

    def value_of(self, name: bytes, of_object: Span | None = None) -> Span | None:
        """Return the place of the value of a member, by its name as it is written; None where there
        is none. Of several the last counts, as for every JSON reader.
        """
        found = None
        for member in self.members(of_object):
            if member.name == name:
                found = member.value
        return found

    def raw(self, place: Span) -> msgspec.Raw:
        """Return the text at a place, to be decoded."""
        return msgspec.Raw(self._piece(place))

    def _piece(self, place: Span) -> bytes:
        """Return a piece that can be decoded; one that is too long exhausts this text."""
        start, end = place
        if end - start > self._piece_bytes:
            self._places_left = -1
            return b"null"
        return same_lengths(self._text[start:end])

    def _may_find(self, places: int) -> bool:
        self._places_left -= places
        return self._places_left >= 0

    def without(self, cuts: Sequence[Span]) -> bytes:
        """Return the text without some pieces, which are in order and apart from each other."""
        view = memoryview(self._text)
        kept, position = [], 0
        for start, end in cuts:
            kept.append(view[position:start])
            position = end
        kept.append(view[position:])
        return b"".join(kept)


def cuts_of(places: Sequence[Span], is_cut: Sequence[bool]) -> list[Span]:
    """Return the pieces to cut so that some neighbours, elements or members, are gone: each with
    one comma beside it, and a row of them as one piece.
    """
    cuts: list[Span] = []
    at = 0
    while at < len(places):
        if not is_cut[at]:
            at += 1
            continue
        first = at
        while at < len(places) and is_cut[at]:
            at += 1
        if first:
            cuts.append((places[first - 1][1], places[at - 1][1]))
        elif at < len(places):
            cuts.append((places[0][0], places[at][0]))
        else:
            cuts.append((places[0][0], places[at - 1][1]))
    return cuts

"""The parts of a stream of the responses API, by the places of its output items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from sidecar.translate.bounds import Untranslatable
from sidecar.translate.completion import (
    ArgumentsDelta,
    PartEnded,
    TextDelta,
    TextStarted,
    ToolCallStarted,
)
from sidecar.translate.lost_content import LostContent
from sidecar.translate.part_count import PartCount
from sidecar.translate.part_queue import PartEvent
from sidecar.translate.responses_whole import (
    CALLS,
    ContentPart,
    OutputItem,
    call_of_item,
    content_of,
    text_of_part,
)
from sidecar.translate.tool_calls import CUSTOM_END, CUSTOM_START, NO_ARGUMENTS, custom_piece

_UNPLACED: Final = 1 << 32
"""Begins the places of items that had none in the stream."""
_CALL: Final = -1
"""Stands for the content index of an item that has no content: a call."""


class _Part(msgspec.Struct):
    number: int
    kind: str
    """``text``, ``refusal``, ``function_call`` or ``custom_tool_call``."""
    has_pieces: bool = False
    has_ended: bool = False


class OutputParts:
    """What has begun in a stream, and how far it is."""

    __slots__ = ("_by_place", "_call_ids", "_count", "_lost", "has_calls")

    def __init__(self, lost: LostContent) -> None:
        self._by_place: dict[tuple[int, int], _Part] = {}
        self._call_ids = set[str]()
        self._count = PartCount()
        self._lost = lost
        self.has_calls = False

    @property
    def is_empty(self) -> bool:
        """Whether no part has begun."""
        return not self._by_place

    def begin_item(self, index: object, item: OutputItem) -> Iterator[PartEvent]:
        """Begin an output item; a message's parts begin with their texts."""
        if item.type in CALLS:
            yield from self._begin_call(_index(index), item)
        elif item.type != "message":
            self._lost.add(item.type)

    def add_text(
        self, index: object, content: object, piece: str, *, is_refusal: bool
    ) -> Iterator[PartEvent]:
        """Add to a message's text, which begins with its first piece."""
        kind = "refusal" if is_refusal else "text"
        place = (_index(index), _index(content))
        part = self._by_place.get(place)
        if part is None:
            part = self._by_place[place] = _Part(self._count.next(), kind)
            yield TextStarted(part.number, is_refusal)
        if part.has_ended or part.kind != kind:
            raise Untranslatable("a text of the provider's goes on after its end")
        if piece:
            part.has_pieces = True
            yield TextDelta(part.number, piece)

    def end_text(
        self, index: object, content: object, text: object, *, is_refusal: bool
    ) -> Iterator[PartEvent]:
        """End a message's text, which is known as a whole now."""
        part = self._by_place.get((_index(index), _index(content)))
        if part is not None and part.has_ended:
            return
        whole = text if isinstance(text, str) and (part is None or not part.has_pieces) else ""
        yield from self.add_text(index, content, whole, is_refusal=is_refusal)
        yield from _ended(self._by_place[_index(index), _index(content)])

    def add_arguments(self, index: object, piece: str) -> Iterator[PartEvent]:
        """Add to a call's arguments."""
        part = self._by_place.get((_index(index), _CALL))
        if part is None or part.has_ended:
            raise Untranslatable("the provider's stream has arguments of a call that is not open")
        piece = custom_piece(piece) if part.kind == "custom_tool_call" else piece
        if piece:
            part.has_pieces = True
            yield ArgumentsDelta(part.number, piece)

    def fill_arguments(self, index: object, arguments: object) -> Iterator[PartEvent]:
        """Add a call's arguments as a whole, unless they have come in pieces."""
        part = self._by_place.get((_index(index), _CALL))
        if isinstance(arguments, str) and part is not None and not part.has_pieces:
            yield from self.add_arguments(index, arguments)

    def end_item(self, index: object, item: OutputItem) -> Iterator[PartEvent]:
        """End an output item, which is known as a whole now."""
        if item.type in CALLS:
            yield from self._begin_call(_index(index), item)
            part = self._by_place[_index(index), _CALL]
            if not part.has_ended:
                yield from self.fill_arguments(index, item.arguments or item.input)
                yield from _ended(part)
            return
        if item.type != "message":
            self._lost.add(item.type)
            return
        self._lost.add_present(item, ("phase",))
        for at, content in enumerate(content_of(item)):
            yield from self.end_part(index, at, content)

    def end_part(self, index: object, content: object, part: ContentPart) -> Iterator[PartEvent]:
        """End a part of a message, which is known as a whole now."""
        said = text_of_part(part, self._lost)
        if said is not None:
            is_refusal = part.type == "refusal"
            yield from self.end_text(index, content, said, is_refusal=is_refusal)

    def add_missing_calls(self, output: Sequence[OutputItem]) -> Iterator[PartEvent]:
        """Add the calls that only the whole response has: a server may stream the text alone."""
        for at, item in enumerate(output):
            call_id = item.call_id if isinstance(item.call_id, str) else ""
            if item.type in CALLS and call_id not in self._call_ids:
                yield from self.end_item(_UNPLACED + at, item)

    def end_all(self) -> Iterator[PartEvent]:
        """End what is open."""
        for part in self._by_place.values():
            if not part.has_ended:
                yield from _ended(part)

    def _begin_call(self, index: int, item: OutputItem) -> Iterator[PartEvent]:
        if (index, _CALL) in self._by_place:
            return
        call = call_of_item(item, self._lost)
        part = _Part(self._count.next(), str(item.type))
        self._by_place[index, _CALL] = part
        self.has_calls = True
        self._call_ids.add(call.id)
        yield ToolCallStarted(part.number, call.id, call.name)
        if part.kind == "custom_tool_call":
            yield ArgumentsDelta(part.number, CUSTOM_START)


def _index(index: object) -> int:
    """Return an index; 0 where a server leaves it out."""
    return index if type(index) is int and index >= 0 else 0


def _ended(part: _Part) -> Iterator[PartEvent]:
    part.has_ended = True
    if part.kind == "custom_tool_call":
        yield ArgumentsDelta(part.number, CUSTOM_END)
    elif part.kind == "function_call" and not part.has_pieces:
        yield ArgumentsDelta(part.number, NO_ARGUMENTS)
    yield PartEnded(part.number)

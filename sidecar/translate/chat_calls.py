"""The tool calls of a chat stream, which may grow side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from sidecar.translate.bounds import OPEN_AT_MOST, Untranslatable
from sidecar.translate.completion import ArgumentsDelta, PartEnded, ToolCallStarted
from sidecar.translate.json_progress import JsonProgress
from sidecar.translate.part_count import PartCount
from sidecar.translate.tool_calls import (
    CUSTOM_END,
    CUSTOM_START,
    NO_ARGUMENTS,
    custom_piece,
    name_of,
)

CallEvent = ToolCallStarted | ArgumentsDelta | PartEnded

_encode: Final = msgspec.json.Encoder().encode


class _FunctionDelta(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class _CustomDelta(msgspec.Struct):
    name: Any = None
    input: Any = None


class CallDelta(msgspec.Struct):
    """What one event adds to a tool call."""

    index: Any = None
    id: Any = None
    function: _FunctionDelta | None = None
    custom: _CustomDelta | None = None

    @property
    def name(self) -> object:
        """The tool's name, which the first event of a call brings."""
        holder = self.function or self.custom
        return None if holder is None else holder.name

    @property
    def piece(self) -> str:
        """JSON text of the arguments, as part of a whole."""
        if self.custom is not None:
            return custom_piece(self.custom.input)
        arguments = None if self.function is None else self.function.arguments
        if isinstance(arguments, dict):
            return _encode(arguments).decode()
        return arguments if isinstance(arguments, str) else ""


class _Call:
    __slots__ = ("call_id", "end", "has_arguments", "has_ended", "part", "progress")

    def __init__(self, part: int, call_id: str, end: str) -> None:
        self.part = part
        self.call_id = call_id
        self.end = end
        """What completes the arguments of a call without a schema; empty for others."""
        self.has_arguments = False
        self.has_ended = False
        self.progress = JsonProgress()


class ChatCalls:
    """All tool calls of one stream, by their index.

    That a call is complete is said by nothing in the stream but its end. Where an event is of
    another, one whose arguments are complete JSON is taken to be so.
    """

    __slots__ = ("_by_index", "_last_index", "_open", "_parts", "begun")

    def __init__(self, parts: PartCount) -> None:
        self._by_index: dict[int, _Call] = {}
        self._last_index = -1
        self._open: list[_Call] = []
        self._parts = parts
        self.begun = 0

    def read(self, delta: CallDelta) -> Iterator[CallEvent]:
        """Return what one event says of one call. Raises: Untranslatable."""
        index = self._index_of(delta)
        call = self._by_index.get(index)
        if call is None or _is_another(call, delta):
            yield from self._end_those(lambda each: each is call or _is_complete(each))
            call = self._begin(index, delta)
            yield ToolCallStarted(call.part, call.call_id, name_of(delta.name))
            if call.end:
                yield ArgumentsDelta(call.part, CUSTOM_START)
        elif len(self._open) > 1:
            current = call
            yield from self._end_those(lambda each: each is not current and _is_complete(each))
        piece = delta.piece
        if piece and not call.has_ended:
            call.has_arguments = True
            call.progress.feed(piece)
            yield ArgumentsDelta(call.part, piece)
        elif piece.strip():
            raise Untranslatable("a tool call of the provider's goes on after its end")

    def end(self) -> Iterator[CallEvent]:
        """Return the ends of all calls that are open."""
        return self._end_those(lambda _: True)

    def _index_of(self, delta: CallDelta) -> int:
        """Return a call's index; for servers that leave it out, the last one or the next."""
        if type(delta.index) is int:
            self._last_index = delta.index
        elif delta.name:
            self._last_index = len(self._by_index)
        return self._last_index

    def _begin(self, index: int, delta: CallDelta) -> _Call:
        if len(self._open) >= OPEN_AT_MOST:
            raise Untranslatable("too many tool calls of the provider's are open")
        call_id = delta.id if isinstance(delta.id, str) else ""
        end = CUSTOM_END if delta.custom is not None else ""
        call = _Call(self._parts.next(), call_id, end)
        self.begun += 1
        self._by_index[index] = call
        self._open.append(call)
        return call

    def _end_those(self, is_over: Callable[[_Call], bool]) -> Iterator[CallEvent]:
        ending = [call for call in self._open if is_over(call)]
        self._open = [call for call in self._open if call not in ending]
        for call in ending:
            call.has_ended = True
            if call.end or not call.has_arguments:
                yield ArgumentsDelta(call.part, call.end or NO_ARGUMENTS)
            yield PartEnded(call.part)


def _is_complete(call: _Call) -> bool:
    return call.progress.is_complete and not call.end


def _is_another(call: _Call, delta: CallDelta) -> bool:
    """Return whether an event begins a call at an index that another has: Gemini gives all the
    same.
    """
    return bool(delta.id) and delta.id != call.call_id and bool(delta.name)

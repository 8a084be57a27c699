"""The output items of a stream of the responses API that are being written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from sidecar.translate.bounds import CUSTOM_BYTES, Untranslatable
from sidecar.translate.completion import TextStarted, ToolCallStarted
from sidecar.translate.response_frame import (
    custom_item,
    function_head,
    function_item,
    message_item,
    refusal_part,
    text_part,
)
from sidecar.translate.tool_calls import custom_input

Pieces = tuple[bytes, ...]
"""JSON in pieces, so that a long text stands in many events and in memory once."""
KindAndRest = tuple[bytes, Pieces]
"""An event's type, and its members but for type and number."""

_encode: Final = msgspec.json.Encoder().encode
_EMPTY: Final = b'""'
_MARK: Final = b"\0"
"""Stands for a text. No JSON has such a byte."""


class OpenItem(Protocol):
    """An item that is open."""

    @property
    def done(self) -> Pieces:
        """The whole item, once it has ended."""
        ...

    def begun(self) -> Iterator[KindAndRest]:
        """Return the events by which it begins."""
        ...

    def add(self, encoded: bytes) -> bytes:
        """Keep a piece, which is JSON with its quotes; return what stands before it in the event
        that tells it, empty where none does. Raises: Untranslatable.
        """
        ...

    def ended(self) -> Iterator[KindAndRest]:
        """Return the events by which it ends."""
        ...


class OpenText:
    """A message with one text, or one refusal. Implements `OpenItem`."""

    __slots__ = ("_delta", "_id", "_is_refusal", "_place", "_text", "done")

    def __init__(self, item_id: str, event: TextStarted) -> None:
        self._id = _encode(item_id)
        self._is_refusal = event.is_refusal
        self._place = b'"output_index":%d' % event.index
        self._text = bytearray(b'"')
        """JSON, all pieces in one."""
        kind = self._kind(b"delta")
        self._delta = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (kind, kind, self._where())
        self.done: Pieces = ()

    def _kind(self, end: bytes) -> bytes:
        return (b"response.refusal." if self._is_refusal else b"response.output_text.") + end

    def _where(self) -> bytes:
        where = b'"item_id":%b,%b,"content_index":0' % (self._id, self._place)
        return where if self._is_refusal else where + b',"logprobs":[]'

    def _part(self, text: bytes) -> bytes:
        return refusal_part(text) if self._is_refusal else text_part(text)

    def _of_part(self, text: bytes) -> bytes:
        place = (self._id, self._place, self._part(text))
        return b'"item_id":%b,%b,"content_index":0,"part":%b' % place

    def begun(self) -> Iterator[KindAndRest]:
        """See `OpenItem.begun`."""
        item = message_item(self._id, b"", is_done=False)
        yield b"response.output_item.added", (b'%b,"item":%b' % (self._place, item),)
        yield b"response.content_part.added", (self._of_part(_EMPTY),)

    def add(self, encoded: bytes) -> bytes:
        """See `OpenItem.add`."""
        self._text += encoded[1:-1]
        return self._delta

    def ended(self) -> Iterator[KindAndRest]:
        """See `OpenItem.ended`."""
        text = _closed(self._text)
        self.done = _around(text, message_item(self._id, self._part(_MARK)))
        name = b"refusal" if self._is_refusal else b"text"
        yield self._kind(b"done"), (b'%b,"%b":' % (self._where(), name), text)
        yield b"response.content_part.done", _around(text, self._of_part(_MARK))
        yield b"response.output_item.done", (b'%b,"item":' % self._place, *self.done)


class OpenCall:
    """A call of a function. Implements `OpenItem`."""

    __slots__ = ("_arguments", "_delta", "_head", "_place", "_where", "done")

    def __init__(self, item_id: str, event: ToolCallStarted) -> None:
        encoded_id = _encode(item_id)
        self._arguments = bytearray(b'"')
        """JSON, all pieces in one."""
        self._head = function_head(encoded_id, event.id, event.name)
        self._place = b'"output_index":%d' % event.index
        self._where = b'"item_id":%b,%b' % (encoded_id, self._place)
        self._delta = (
            b"event: response.function_call_arguments.delta\n"
            b'data: {"type":"response.function_call_arguments.delta",%b,"delta":' % self._where
        )
        self.done: Pieces = ()

    def begun(self) -> Iterator[KindAndRest]:
        """See `OpenItem.begun`."""
        item = function_item(self._head, _EMPTY, is_done=False)
        yield b"response.output_item.added", (b'%b,"item":%b' % (self._place, item),)

    def add(self, encoded: bytes) -> bytes:
        """See `OpenItem.add`."""
        self._arguments += encoded[1:-1]
        return self._delta

    def ended(self) -> Iterator[KindAndRest]:
        """See `OpenItem.ended`."""
        arguments = _closed(self._arguments)
        self.done = _around(arguments, function_item(self._head, _MARK))
        rest = b'%b,"arguments":' % self._where, arguments
        yield b"response.function_call_arguments.done", rest
        yield b"response.output_item.done", (b'%b,"item":' % self._place, *self.done)


class OpenCustomCall:
    """A call of a tool without a schema, whose text is known at its end. Implements `OpenItem`."""

    __slots__ = ("_arguments", "_event", "_id", "_place", "done")

    def __init__(self, item_id: str, event: ToolCallStarted) -> None:
        self._arguments = bytearray(b'"')
        self._event = event
        self._id = _encode(item_id)
        self._place = b'"output_index":%d' % event.index
        self.done: Pieces = ()

    def _item(self, text: bytes) -> bytes:
        return custom_item(self._id, self._event.id, self._event.name, text)

    def begun(self) -> Iterator[KindAndRest]:
        """See `OpenItem.begun`."""
        item = self._item(_EMPTY)
        yield b"response.output_item.added", (b'%b,"item":%b' % (self._place, item),)

    def add(self, encoded: bytes) -> bytes:
        """See `OpenItem.add`."""
        self._arguments += encoded[1:-1]
        if len(self._arguments) > CUSTOM_BYTES:
            raise Untranslatable("the text of a tool call of the provider's is too long")
        return b""

    def ended(self) -> Iterator[KindAndRest]:
        """See `OpenItem.ended`."""
        arguments = msgspec.json.decode(_closed(self._arguments), type=str)
        text = _encode(custom_input(arguments))
        self.done = _around(text, self._item(_MARK))
        where = b'"item_id":%b,%b' % (self._id, self._place)
        yield b"response.custom_tool_call_input.delta", (where, b',"delta":', text)
        yield b"response.custom_tool_call_input.done", (where, b',"input":', text)
        yield b"response.output_item.done", (b'%b,"item":' % self._place, *self.done)


def _closed(text: bytearray) -> bytes:
    """Return a whole text as JSON."""
    text += b'"'
    return bytes(text)


def _around(text: bytes, marked: bytes) -> Pieces:
    """Return the pieces of JSON in which a mark stands for a text."""
    before, _, behind = marked.partition(_MARK)
    return before, text, behind

"""The output items of a stream of the responses API that are being written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

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

KindAndRest = tuple[bytes, bytes]
"""An event's type, and its members but for type and number."""

_encode: Final = msgspec.json.Encoder().encode
_EMPTY: Final = b'""'


class OpenItem(Protocol):
    """An item that is open."""

    @property
    def done(self) -> bytes:
        """The whole item, once it has ended."""
        ...

    def begun(self) -> Iterator[KindAndRest]:
        """Return the events by which it begins."""
        ...

    def add(self, encoded: bytes) -> bytes:
        """Keep a piece, which is JSON with its quotes; return what stands before it in the event
        that tells it, empty where none does.
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
        self.done = b""

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
        yield b"response.output_item.added", b'%b,"item":%b' % (self._place, item)
        yield b"response.content_part.added", self._of_part(_EMPTY)

    def add(self, encoded: bytes) -> bytes:
        """See `OpenItem.add`."""
        self._text += encoded[1:-1]
        return self._delta

    def ended(self) -> Iterator[KindAndRest]:
        """See `OpenItem.ended`."""
        text = bytes(self._text + b'"')
        self.done = message_item(self._id, self._part(text))
        name = b"refusal" if self._is_refusal else b"text"
        yield self._kind(b"done"), b'%b,"%b":%b' % (self._where(), name, text)
        yield b"response.content_part.done", self._of_part(text)
        yield b"response.output_item.done", b'%b,"item":%b' % (self._place, self.done)


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
        self.done = b""

    def begun(self) -> Iterator[KindAndRest]:
        """See `OpenItem.begun`."""
        item = function_item(self._head, _EMPTY, is_done=False)
        yield b"response.output_item.added", b'%b,"item":%b' % (self._place, item)

    def add(self, encoded: bytes) -> bytes:
        """See `OpenItem.add`."""
        self._arguments += encoded[1:-1]
        return self._delta

    def ended(self) -> Iterator[KindAndRest]:
        """See `OpenItem.ended`."""
        arguments = bytes(self._arguments + b'"')
        self.done = function_item(self._head, arguments)
        rest = b'%b,"arguments":%b' % (self._where, arguments)
        yield b"response.function_call_arguments.done", rest
        yield b"response.output_item.done", b'%b,"item":%b' % (self._place, self.done)


class OpenCustomCall:
    """A call of a tool without a schema, whose text is known at its end. Implements `OpenItem`."""

    __slots__ = ("_arguments", "_event", "_id", "_place", "done")

    def __init__(self, item_id: str, event: ToolCallStarted) -> None:
        self._arguments = bytearray(b'"')
        self._event = event
        self._id = _encode(item_id)
        self._place = b'"output_index":%d' % event.index
        self.done = b""

    def _item(self, text: bytes) -> bytes:
        return custom_item(self._id, self._event.id, self._event.name, text)

    def begun(self) -> Iterator[KindAndRest]:
        """See `OpenItem.begun`."""
        item = self._item(_EMPTY)
        yield b"response.output_item.added", b'%b,"item":%b' % (self._place, item)

    def add(self, encoded: bytes) -> bytes:
        """See `OpenItem.add`."""
        self._arguments += encoded[1:-1]
        return b""

    def ended(self) -> Iterator[KindAndRest]:
        """See `OpenItem.ended`."""
        arguments = msgspec.json.decode(self._arguments + b'"', type=str)
        text = _encode(custom_input(arguments))
        self.done = self._item(text)
        where = b'"item_id":%b,%b' % (self._id, self._place)
        yield b"response.custom_tool_call_input.delta", b'%b,"delta":%b' % (where, text)
        yield b"response.custom_tool_call_input.done", b'%b,"input":%b' % (where, text)
        yield b"response.output_item.done", b'%b,"item":%b' % (self._place, self.done)

"""Reads the event stream of messages.

Source: https://docs.anthropic.com/en/api/messages-streaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.translate.bounds import OPEN_AT_MOST, Untranslatable
from sidecar.translate.completion import (
    ArgumentsDelta,
    Event,
    PartEnded,
    Ping,
    ResponseFinished,
    Started,
    TextDelta,
    TextStarted,
    TokenUsage,
    ToolCallStarted,
)
from sidecar.translate.lost_content import LostContent
from sidecar.translate.messages_whole import explanation_of, messages_finish, raw_input
from sidecar.translate.part_count import PartCount
from sidecar.translate.provider_error import stream_error_of
from sidecar.translate.reasons import settled, tier_of
from sidecar.translate.token_usage import (
    NO_USAGE,
    later_usage,
    usage_of_messages,
    with_cache_inside,
)
from sidecar.translate.tool_calls import name_of

_EMPTY: Final = msgspec.Raw(b"{}")
_PIECES: Final = ("text_delta", "input_json_delta")


class _Message(msgspec.Struct):
    id: Any = None
    model: Any = None
    usage: Any = None


class _Block(msgspec.Struct):
    type: Any = None
    text: Any = None
    id: Any = None
    name: Any = None
    input: msgspec.Raw = _EMPTY


class _Delta(msgspec.Struct):
    type: Any = None
    text: Any = None
    partial_json: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    delta: _Delta | None = None
    message: _Message | None = None
    content_block: _Block | None = None
    usage: Any = None


class _OpenBlock(msgspec.Struct):
    """A block that is read."""

    part: int
    is_call: bool
    initial: str = ""
    """A call's whole input, where the block began with it."""
    has_pieces: bool = False


class _MessageEnding(msgspec.Struct):
    """What a stream has said so far of its end."""

    reason: str | None = None
    stop_sequence: Any = None
    usage: TokenUsage = NO_USAGE
    service_tier: str | None = None
    has_calls: bool = False


_decode: Final = msgspec.json.Decoder(_Event).decode


class MessagesEventReader:
    """Implements `event_ports.EventReading`."""

    __slots__ = ("_blocks", "_ending", "_has_begun", "_is_over", "_lost", "_parts")

    def __init__(self, lost: LostContent) -> None:
        self._blocks: dict[int, _OpenBlock | None] = {}
        """The open blocks by their index; None for one that is left out."""
        self._ending = _MessageEnding()
        self._has_begun = False
        self._is_over = False
        self._lost = lost
        self._parts = PartCount()

    def read(self, name: bytes, data: bytes) -> Sequence[Event]:
        """See `EventReading.read`."""
        if self._is_over:
            return ()
        event = decode_leniently(_decode, data)
        kind = None if event is None else event.type
        if event is not None and kind == "content_block_delta" and event.delta is not None:
            return self._read_delta(event.index, event.delta)
        if (error := stream_error_of(name, data)) is not None:
            self._is_over = True
            return (error,)
        if event is None:
            raise Untranslatable("an event of the provider's stream is none of messages")
        return list(self._read(kind or name.decode("latin-1"), event))

    def end(self) -> Sequence[Event]:
        """See `EventReading.end`. A reason to stop is as good as the last event."""
        return () if self._is_over or self._ending.reason is None else list(self._ended())

    def _read(self, kind: object, event: _Event) -> Iterator[Event]:
        if kind == "message_start":
            yield from self._begin(event.message or _Message())
        elif kind == "content_block_start":
            yield from self._begin_block(event.index, event.content_block or _Block())
        elif kind == "content_block_stop":
            yield from self._end_block(event.index)
        elif kind == "message_delta":
            yield from self._read_ending(event)
        elif kind == "message_stop":
            yield from self._ended()
        elif kind == "ping":
            yield Ping()
        else:
            self._lost.add(kind)

    def _begin(self, message: _Message) -> Iterator[Event]:
        if self._has_begun:
            raise Untranslatable("the provider's stream begins a second response")
        self._has_begun = True
        response_id = message.id if isinstance(message.id, str) else ""
        model = message.model if isinstance(message.model, str) else ""
        self._ending.usage = usage_of_messages(message.usage)
        if isinstance(message.usage, dict):
            self._ending.service_tier = tier_of(message.usage.get("service_tier"))
        usage, tier = with_cache_inside(self._ending.usage), self._ending.service_tier
        yield Started(response_id, model, usage, tier)

    def _begin_block(self, index: object, block: _Block) -> Iterator[Event]:
        if not self._has_begun or type(index) is not int or index in self._blocks:
            raise Untranslatable("a block of the provider's stream begins where none may")
        if len(self._blocks) >= OPEN_AT_MOST:
            raise Untranslatable("too many blocks of the provider's stream are open")
        if block.type == "text":
            part = self._parts.next()
            self._blocks[index] = _OpenBlock(part, is_call=False)
            yield TextStarted(part)
            if isinstance(block.text, str) and block.text:
                yield TextDelta(part, block.text)
        elif block.type == "tool_use":
            part = self._parts.next()
            self._blocks[index] = _OpenBlock(part, is_call=True, initial=raw_input(block.input))
            self._ending.has_calls = True
            call_id = block.id if isinstance(block.id, str) else ""
            yield ToolCallStarted(part, call_id, name_of(block.name))
        else:
            self._blocks[index] = None
            self._lost.add(block.type)

    def _read_delta(self, index: object, delta: _Delta) -> Sequence[Event]:
        block = self._open_block(index)
        if block is None:
            return ()
        piece = delta.partial_json if block.is_call else delta.text
        if delta.type not in _PIECES or not isinstance(piece, str):
            is_delta = isinstance(delta.type, str)
            self._lost.add(delta.type.removesuffix("_delta") if is_delta else None)
            return ()
        if not piece:
            return ()
        block.has_pieces = True
        if block.is_call:
            return (ArgumentsDelta(block.part, piece),)
        return (TextDelta(block.part, piece),)

    def _end_block(self, index: object) -> Iterator[Event]:
        block = self._open_block(index)
        self._blocks = {at: each for at, each in self._blocks.items() if at != index}
        if block is None:
            return
        if block.is_call and not block.has_pieces:
            yield ArgumentsDelta(block.part, block.initial)
        yield PartEnded(block.part)

    def _open_block(self, index: object) -> _OpenBlock | None:
        if type(index) is not int or index not in self._blocks:
            raise Untranslatable("an event of the provider's stream is of a block that is not open")
        return self._blocks[index]

    def _read_ending(self, event: _Event) -> Iterator[Event]:
        delta = event.delta or _Delta()
        if isinstance(delta.stop_reason, str):
            self._ending.reason = delta.stop_reason
            self._ending.stop_sequence = delta.stop_sequence
        self._ending.usage = later_usage(self._ending.usage, usage_of_messages(event.usage))
        if explanation := explanation_of(delta.stop_details):
            part = self._parts.next()
            yield from (TextStarted(part, is_refusal=True), TextDelta(part, explanation))
            yield PartEnded(part)

    def _ended(self) -> Iterator[Event]:
        if not self._has_begun:
            raise Untranslatable("the provider's stream ended before its response began")
        self._is_over = True
        for index in tuple(self._blocks):
            yield from self._end_block(index)
        ending = self._ending
        finish, stop_sequence = messages_finish(ending.reason, ending.stop_sequence)
        yield ResponseFinished(
            settled(finish, has_calls=ending.has_calls),
            stop_sequence,
            with_cache_inside(ending.usage),
            ending.service_tier,
        )

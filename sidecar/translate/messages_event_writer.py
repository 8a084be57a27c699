"""Writes the event stream of messages, whose blocks are open one at a time.

Source: https://docs.anthropic.com/en/api/messages-streaming.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from sidecar.domain.call import MESSAGES
from sidecar.translate.completion import (
    ArgumentsDelta,
    Event,
    PartEnded,
    Ping,
    ResponseFinished,
    Started,
    StreamError,
    TextDelta,
    TextStarted,
    ToolCallStarted,
)
from sidecar.translate.messages_whole import stop_reason_of, with_tier
from sidecar.translate.part_queue import PartEvent, PartQueue
from sidecar.translate.provider_error import error_event
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.token_usage import messages_usage
from sidecar.translate.tool_calls import InputPieces

_encode: Final = msgspec.json.Encoder().encode
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_START: Final = b'event: message_start\ndata: {"type":"message_start","message":%b}\n\n'
_BLOCK: Final = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,'
    b'"content_block":%b}\n\n'
)
_DELTA: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
)
_TEXT: Final = _DELTA + b'{"type":"text_delta","text":'
_JSON: Final = _DELTA + b'{"type":"input_json_delta","partial_json":'
_END: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'


class MessagesEventWriter:
    """Implements `event_ports.EventWriting`."""

    __slots__ = ("_begun", "_context", "_input", "_is_refused", "_queue", "_start")

    def __init__(self, context: ReplyContext) -> None:
        self._begun = 0
        """Blocks that have begun; the last one is the one that may be open."""
        self._context = context
        self._input = InputPieces()
        self._is_refused = False
        self._queue = PartQueue()
        self._start = b""
        """What begins each delta of the open block."""

    @property
    def kept_bytes(self) -> int:
        """See `EventWriting.kept_bytes`."""
        return self._queue.size

    def write(self, event: Event) -> bytes | Iterator[bytes]:
        """See `EventWriting.write`."""
        if isinstance(event, Ping):
            return _PING
        if isinstance(event, Started):
            return self._begin(event)
        if isinstance(event, ResponseFinished):
            return self._end(event)
        if isinstance(event, StreamError):
            return error_event(event, MESSAGES, self._context.request_id)
        return map(self._write_part, self._queue.put(event))

    def _write_part(self, event: PartEvent) -> bytes:
        if isinstance(event, TextDelta):
            return self._delta(event.text)
        if isinstance(event, ArgumentsDelta):
            return self._delta(self._input.add(event.text))
        if isinstance(event, PartEnded):
            return self._end_block()
        self._begun += 1
        if isinstance(event, TextStarted):
            self._is_refused = self._is_refused or event.is_refusal
            self._start = _TEXT % (self._begun - 1)
            return _BLOCK % (self._begun - 1, b'{"type":"text","text":""}')
        self._input = InputPieces()
        self._start = _JSON % (self._begun - 1)
        return _BLOCK % (self._begun - 1, _tool_block(event))

    def _delta(self, piece: str) -> bytes:
        return self._start + _encode(piece) + b"}}\n\n" if piece else b""

    def _end_block(self) -> bytes:
        is_call = self._start.endswith(b'"partial_json":')
        rest = self._delta(self._input.end()) if is_call else b""
        return rest + _END % (self._begun - 1)

    def _begin(self, event: Started) -> bytes:
        message: dict[str, object] = {
            "id": event.id or f"msg_{self._context.request_id}",
            "type": "message",
            "role": "assistant",
            "model": event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": with_tier(messages_usage(event.usage), event.service_tier),
        }
        return _START % _encode(message)

    def _end(self, event: ResponseFinished) -> bytes:
        reason = stop_reason_of(event.finish, is_refused=self._is_refused)
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": event.stop_sequence},
            "usage": messages_usage(event.usage),
        }
        return b"event: message_delta\ndata: " + _encode(delta) + b"\n\n" + _STOP


def _tool_block(event: ToolCallStarted) -> bytes:
    return b'{"type":"tool_use","id":%b,"name":%b,"input":{}}' % (
        _encode(event.id),
        _encode(event.name),
    )

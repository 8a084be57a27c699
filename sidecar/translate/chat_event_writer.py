"""Writes the event stream of chat.

Source: https://platform.openai.com/docs/api-reference/chat/streaming.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.domain.call import CHAT
from sidecar.translate.bounds import CUSTOM_BYTES, Untranslatable
from sidecar.translate.chat_whole import finish_reason_of
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
from sidecar.translate.provider_error import error_event
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.token_usage import chat_usage
from sidecar.translate.tool_calls import custom_input

_encode: Final = msgspec.json.Encoder().encode
_PING: Final = b": ping\n\n"
"""A comment, which every reader of event streams skips: the API has no ping."""
_DONE: Final = b"data: [DONE]\n\n"
_CONTENT: Final = b'{"content":'
_REFUSAL: Final = b'{"refusal":'


class ChatEventWriter:
    """Implements `event_ports.EventWriting`. Parts may grow side by side here."""

    __slots__ = ("_calls", "_context", "_custom", "_custom_size", "_head", "_tail", "_texts")

    def __init__(self, context: ReplyContext) -> None:
        self._calls: dict[int, bytes] = {}
        """What begins the deltas of each call, by part."""
        self._context = context
        self._custom: dict[int, list[str]] = {}
        """Arguments of open calls of tools without a schema, whose text is known at their end."""
        self._custom_size = 0
        self._head = b""
        self._tail = b',"logprobs":null,"finish_reason":null}]%b}\n\n' % self._no_usage()
        self._texts: dict[int, bytes] = {}
        """What begins the deltas of each text, by part."""

    @property
    def kept_bytes(self) -> int:
        """See `EventWriting.kept_bytes`."""
        return self._custom_size

    def write(self, event: Event) -> bytes:
        """See `EventWriting.write`."""
        if isinstance(event, TextDelta):
            return self._chunk(self._texts[event.index], _encode(event.text), b"}")
        if isinstance(event, ArgumentsDelta):
            return self._arguments(event)
        if isinstance(event, TextStarted):
            self._texts[event.index] = _REFUSAL if event.is_refusal else _CONTENT
            return b""
        if isinstance(event, ToolCallStarted):
            return self._begin_call(event)
        if isinstance(event, PartEnded):
            return self._end_part(event.index)
        return self._write_frame(event)

    def _write_frame(self, event: Started | Ping | ResponseFinished | StreamError) -> bytes:
        if isinstance(event, Ping):
            return _PING
        if isinstance(event, Started):
            return self._begin(event)
        if isinstance(event, ResponseFinished):
            return self._end(event)
        return error_event(event, CHAT, self._context.request_id)

    def _chunk(self, *delta: bytes) -> bytes:
        return b"".join((self._head, *delta, self._tail))

    def _no_usage(self) -> bytes:
        """Where usage is asked for, all chunks but the last have none."""
        return b',"usage":null' if self._context.wants_usage else b""

    def _begin(self, event: Started) -> bytes:
        self._head = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,'
            b'"choices":[{"index":0,"delta":'
            % (
                _encode(event.id or f"chatcmpl-{self._context.request_id}"),
                self._context.created_unix_s,
                _encode(event.model),
            )
        )
        return self._chunk(b'{"role":"assistant","content":null}')

    def _begin_call(self, event: ToolCallStarted) -> bytes:
        number = len(self._calls)
        if self._context.has_legacy_functions:
            return self._begin_function(event)
        self._calls[event.index] = b'{"tool_calls":[{"index":%d,"function":{"arguments":' % number
        start = b'{"tool_calls":[{"index":%d,"id":%b,"type":' % (number, _encode(event.id))
        if event.name in self._context.custom_tools:
            self._custom[event.index] = []
            named = b'"custom","custom":{"name":%b,"input":""}}]}'
        else:
            named = b'"function","function":{"name":%b,"arguments":""}}]}'
        return self._chunk(start, named % _encode(event.name))

    def _begin_function(self, event: ToolCallStarted) -> bytes:
        """Begin a call for a caller whose functions are of the older kind, which has one."""
        if self._calls:
            raise Untranslatable("the provider calls several functions where the caller reads one")
        self._calls[event.index] = b'{"function_call":{"arguments":'
        named = b'{"function_call":{"name":%b,"arguments":""}}' % _encode(event.name)
        return self._chunk(named)

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        pieces = self._custom.get(event.index)
        if pieces is None:
            end = b"}}" if self._context.has_legacy_functions else b"}}]}"
            return self._chunk(self._calls[event.index], _encode(event.text), end)
        pieces.append(event.text)
        self._custom_size += len(event.text)
        if self._custom_size > CUSTOM_BYTES:
            raise Untranslatable("the text of a tool call of the provider's is too long")
        return b""

    def _end_part(self, index: int) -> bytes:
        pieces = self._custom.pop(index, None)
        if pieces is None:
            return b""
        text = custom_input("".join(pieces))
        number = list(self._calls).index(index)
        start = b'{"tool_calls":[{"index":%d,"custom":{"input":' % number
        return self._chunk(start, _encode(text), b"}}]}")

    def _end(self, event: ResponseFinished) -> bytes:
        tier = b""
        if event.service_tier is not None:
            tier = b',"service_tier":%b' % _encode(event.service_tier)
        ended = b'{},"logprobs":null,"finish_reason":"%b"}]%b%b}\n\n' % (
            finish_reason_of(event.finish, self._context).encode(),
            tier,
            self._no_usage(),
        )
        usage = b""
        if self._context.wants_usage:
            # The same beginning without the choice that it opens.
            head = self._head[: self._head.rindex(b'[{"index":0')]
            written = _encode(chat_usage(event.usage))
            usage = head + b'[]%b,"usage":%b}\n\n' % (tier, written)
        return self._head + ended + usage + _DONE

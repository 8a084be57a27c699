"""The door for responses: whole, streamed, and errors, from a provider's API to the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.bounds import Untranslatable
from sidecar.translate.chat_event_reader import ChatEventReader
from sidecar.translate.chat_event_writer import ChatEventWriter
from sidecar.translate.chat_whole import read_chat, write_chat
from sidecar.translate.completion import (
    Completion,
    Event,
    Ping,
    ResponseFinished,
    StreamError,
    ToolCallStarted,
)
from sidecar.translate.conversation import ToolCall
from sidecar.translate.event_ports import EventReading, EventWriting
from sidecar.translate.event_splitter import COMMENT, EventSplitter, NamedData
from sidecar.translate.lost_content import LostContent
from sidecar.translate.messages_event_reader import MessagesEventReader
from sidecar.translate.messages_event_writer import MessagesEventWriter
from sidecar.translate.messages_whole import read_messages, write_messages
from sidecar.translate.provider_error import error_body
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.responses_event_reader import ResponsesEventReader
from sidecar.translate.responses_event_writer import ResponsesEventWriter
from sidecar.translate.responses_whole import read_responses, write_responses
from sidecar.translate.tool_ids import for_caller, made_up

__all__ = ["ReplyContext", "ResponseTranslator", "StreamTranslator", "Untranslatable"]

_PINGS: Final = (Ping(),)


class _Reads(msgspec.Struct, frozen=True):
    """Who reads a provider's API."""

    whole: Callable[[bytes, LostContent], Completion]
    events: Callable[[LostContent], EventReading]


class _Writes(msgspec.Struct, frozen=True):
    """Who writes a caller's API."""

    whole: Callable[[Completion, ReplyContext], bytes]
    events: Callable[[ReplyContext], EventWriting]


_READS: Final[Mapping[DialectName, _Reads]] = {
    CHAT: _Reads(read_chat, ChatEventReader),
    RESPONSES: _Reads(read_responses, ResponsesEventReader),
    MESSAGES: _Reads(read_messages, MessagesEventReader),
}
_WRITES: Final[Mapping[DialectName, _Writes]] = {
    CHAT: _Writes(write_chat, ChatEventWriter),
    RESPONSES: _Writes(write_responses, ResponsesEventWriter),
    MESSAGES: _Writes(write_messages, MessagesEventWriter),
}


class ResponseTranslator:
    """Translates what one attempt is answered with."""

    def __init__(self, source: DialectName, target: DialectName, context: ReplyContext) -> None:
        """Args: ``source`` is the caller's API, ``target`` the provider's."""
        self._reads = _READS[target]
        self._writes = _WRITES[source]
        self._source = source
        self._context = context
        self.lost: set[str] = set()
        """Kinds of content that had no place in the caller's API, such as ``thinking``, by the
        provider's names for them; grows while a stream is fed.
        """

    def whole(self, body: bytes) -> bytes:
        """Translate a whole response of status 200. Raises: Untranslatable."""
        completion = self._reads.whole(body, LostContent(self.lost))
        parts = tuple(
            self._for_caller(part, at) if isinstance(part, ToolCall) else part
            for at, part in enumerate(completion.parts)
        )
        return self._writes.whole(msgspec.structs.replace(completion, parts=parts), self._context)

    def _for_caller(self, call: ToolCall, part: int) -> ToolCall:
        name = self._context.tool_names.get(call.name, call.name)
        call_id = call.id or made_up(self._context.request_id, part)
        return ToolCall(for_caller(call_id, self._source), name, call.arguments)

    def error(self, status: int, body: bytes) -> bytes:
        """Return an error body of the caller's API with the provider's text inside. Raises:
        nothing.
        """
        return error_body(status, body, self._source, self._context.request_id)

    def stream(self) -> StreamTranslator:
        """Return what translates this response's event stream."""
        reader = self._reads.events(LostContent(self.lost))
        return StreamTranslator(reader, self._writes.events(self._context), self._rename)

    def _rename(self, event: ToolCallStarted) -> ToolCallStarted:
        call = self._for_caller(ToolCall(event.id, event.name, ""), event.index)
        return ToolCallStarted(event.index, call.id, call.name)


class StreamTranslator:
    """Translates one event stream, event by event."""

    __slots__ = ("_is_over", "_reader", "_rename", "_splitter", "_writer")

    def __init__(
        self,
        reader: EventReading,
        writer: EventWriting,
        rename: Callable[[ToolCallStarted], ToolCallStarted],
    ) -> None:
        """Args: ``rename`` gives a tool call the id and the name that the caller knows."""
        self._is_over = False
        self._reader = reader
        self._rename = rename
        self._splitter = EventSplitter()
        self._writer = writer

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the provider's stream, cut anywhere; return what of the caller's
        stream they complete, which may be nothing. Raises: Untranslatable.
        """
        return self._translated(self._splitter.feed(chunk))

    def end(self) -> bytes:
        """Return what is still owed once the provider's stream has ended properly. Nothing that
        ends the caller's stream is written where the provider's own end was not seen. Raises:
        nothing.
        """
        try:
            rest = self._translated(self._splitter.end())
            return rest + self._written(self._reader.end())
        except Untranslatable:
            return b""  # it was cut in mid-event: the stream is not complete

    def _translated(self, events: Iterable[NamedData]) -> bytes:
        written = []
        for each in events:
            said = _PINGS if each is COMMENT else self._reader.read(*each)
            written.append(self._written(said))
        return b"".join(written)

    def _written(self, events: Iterable[Event]) -> bytes:
        """Write events, up to the one that ends the stream."""
        written = []
        for event in events:
            if self._is_over:
                break
            self._is_over = isinstance(event, ResponseFinished | StreamError)
            named = self._rename(event) if isinstance(event, ToolCallStarted) else event
            written.append(self._writer.write(named))
        return b"".join(written)

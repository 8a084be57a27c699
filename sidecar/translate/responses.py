"""The door for responses: whole, streamed, and errors, from a provider's API to the caller's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.translate.bounds import PIECE_CHARS, Untranslatable
from sidecar.translate.chat_event_reader import ChatEventReader
from sidecar.translate.chat_event_writer import ChatEventWriter
from sidecar.translate.chat_whole import read_chat, write_chat
from sidecar.translate.completion import (
    ArgumentsDelta,
    Completion,
    Event,
    Ping,
    ResponseFinished,
    StreamError,
    TextDelta,
    ToolCallStarted,
)
from sidecar.translate.completion_events import events_of
from sidecar.translate.conversation import ToolCall
from sidecar.translate.event_ports import EventReading, EventWriting
from sidecar.translate.event_splitter import EventSplitter, NamedData
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
from sidecar.translate.value_count import count_in_steps

__all__ = ["ReplyContext", "ResponseTranslator", "StreamTranslator", "Untranslatable"]

_PINGS: Final = (Ping(),)
_TOGETHER_BYTES: Final = 64 * 1024
"""So much of a caller's stream is written in one piece."""


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

    def whole_in_steps(
        self, body: bytes, *, is_stream_wanted: bool = False
    ) -> Generator[None, None, bytes]:
        """Translate a whole response of status 200. Others go on wherever this yields.

        Args: ``is_stream_wanted`` is whether the caller is to get it as a stream.
        Raises: Untranslatable.
        """
        yield from count_in_steps(body)
        completion = self._reads.whole(body, LostContent(self.lost))
        yield
        if is_stream_wanted:
            pieces = list[bytes]()
            for piece in self.stream().write(events_of(completion)):
                pieces.append(piece)
                yield
            return b"".join(pieces)
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

    @property
    def kept_bytes(self) -> int:
        """How much of the stream is kept, about: of an event that is not complete, and of what is
        said later, or once more.
        """
        return self._splitter.kept_bytes + self._writer.kept_bytes

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes of the provider's stream, cut anywhere; yield what of the caller's
        stream they complete, which may be nothing, in pieces that may end anywhere. All are to be
        read before more is fed. Raises: Untranslatable.
        """
        return _together(self._translated(self._splitter.feed(chunk)))

    def end(self) -> Iterator[bytes]:
        """Yield what is still owed once the provider's stream has ended properly, as `feed`.
        Nothing that ends the caller's stream is written where the provider's own end was not seen.
        Raises: nothing.
        """
        return _together(self._owed())

    def _owed(self) -> Iterator[bytes]:
        # Where it was cut in mid-event the stream is not complete.
        with contextlib.suppress(Untranslatable):
            yield from self._translated(self._splitter.end())
            yield from self._written(self._reader.end())

    def write(self, events: Iterable[Event]) -> Iterator[bytes]:
        """Yield what of the caller's stream some events are. Raises: Untranslatable."""
        return _together(self._written(events))

    def _translated(self, events: Iterable[NamedData]) -> Iterator[bytes]:
        for each in events:
            said = self._reader.read(*each) if each[1] else _PINGS  # a comment, or as good as one
            if len(each[1]) > PIECE_CHARS:
                _check_pieces(said)
            yield from self._written(said)

    def _written(self, events: Iterable[Event]) -> Iterator[bytes]:
        """Write events, up to the one that ends the stream."""
        for event in events:
            if self._is_over:
                return
            self._is_over = isinstance(event, ResponseFinished | StreamError)
            named = self._rename(event) if isinstance(event, ToolCallStarted) else event
            written = self._writer.write(named)
            if isinstance(written, bytes):
                yield written
            else:
                yield from written


def _check_pieces(events: Sequence[Event]) -> None:
    """Refuse an event that adds more text than can be written at once. Raises: Untranslatable."""
    for event in events:
        if isinstance(event, TextDelta | ArgumentsDelta) and len(event.text) > PIECE_CHARS:
            raise Untranslatable("an event of the provider's stream adds too much text")


def _together(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join short pieces; a long one is not copied."""
    waiting, size = list[bytes](), 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size > _TOGETHER_BYTES:
            yield from waiting if len(piece) > _TOGETHER_BYTES else (b"".join(waiting),)
            waiting.clear()
            size = 0
    if size:
        yield b"".join(waiting)

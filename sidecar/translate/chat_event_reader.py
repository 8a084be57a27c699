"""Reads the event stream of chat.

Source: https://platform.openai.com/docs/api-reference/chat/streaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.translate.bounds import Untranslatable
from sidecar.translate.chat_calls import CallDelta, ChatCalls
from sidecar.translate.chat_whole import LOST_OF_MESSAGE, ChatContent, chat_finish, text_of_content
from sidecar.translate.completion import (
    Event,
    PartEnded,
    ResponseFinished,
    Started,
    StreamError,
    TextDelta,
    TextStarted,
    TokenUsage,
)
from sidecar.translate.lost_content import LostContent
from sidecar.translate.part_count import PartCount
from sidecar.translate.provider_error import stream_error_of
from sidecar.translate.reasons import CHAT_ERROR, settled, tier_of
from sidecar.translate.token_usage import NO_USAGE, later_usage, usage_of_chat

_DONE: Final = b"[DONE]"


class _Delta(ChatContent):
    tool_calls: list[CallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    """What servers write that stream a whole response as one event."""
    index: Any = None
    finish_reason: Any = None
    stop_reason: Any = None
    logprobs: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    id: Any = None
    model: Any = None
    usage: Any = None
    service_tier: Any = None
    error: Any = None


class _Ending(msgspec.Struct):
    """What a stream has said so far of its end."""

    reason: str | None = None
    stop_reason: Any = None
    usage: TokenUsage = NO_USAGE
    service_tier: str | None = None


_decode: Final = msgspec.json.Decoder(_Chunk).decode


class ChatEventReader:
    """Implements `event_ports.EventReading`."""

    __slots__ = ("_calls", "_ending", "_has_begun", "_is_over", "_lost", "_parts", "_texts")

    def __init__(self, lost: LostContent) -> None:
        self._parts = PartCount()
        self._calls = ChatCalls(self._parts)
        self._ending = _Ending()
        self._has_begun = False
        self._is_over = False
        self._lost = lost
        self._texts: dict[bool, int] = {}
        """The open parts of text, and of a refusal: True."""

    def read(self, name: bytes, data: bytes) -> Sequence[Event]:
        """See `EventReading.read`."""
        if self._is_over:
            return ()
        if data.strip() == _DONE:
            return self._ended()
        chunk = decode_leniently(_decode, data)
        if chunk is None or not chunk.choices or chunk.error or name:
            error = stream_error_of(name, data)
            if error is not None:
                self._is_over = True
                return (error,)
        if chunk is None:
            raise Untranslatable("an event of the provider's stream is no chunk of a completion")
        return list(self._read(chunk))

    def end(self) -> Sequence[Event]:
        """See `EventReading.end`. Some servers leave the last event out; a reason to finish is as
        good.
        """
        return () if self._is_over or self._ending.reason is None else self._ended()

    def _read(self, chunk: _Chunk) -> Iterator[Event]:
        if chunk.usage is not None:
            self._ending.usage = later_usage(self._ending.usage, usage_of_chat(chunk.usage))
        if chunk.service_tier is not None:
            self._ending.service_tier = tier_of(chunk.service_tier)
        for choice in chunk.choices or ():
            if choice.index:
                self._lost.add("choices")
                continue
            if not self._has_begun:
                self._has_begun = True
                response_id = chunk.id if isinstance(chunk.id, str) else ""
                model = chunk.model if isinstance(chunk.model, str) else ""
                yield Started(response_id, model, service_tier=self._ending.service_tier)
            delta = choice.delta or choice.message
            if delta is not None:
                yield from self._read_delta(delta)
            if choice.logprobs:
                self._lost.add("logprobs")
            if choice.finish_reason == CHAT_ERROR:
                self._is_over = True
                yield StreamError("the provider ended the response with an error", CHAT_ERROR, 502)
                return
            if isinstance(choice.finish_reason, str):
                self._ending.reason = choice.finish_reason
                self._ending.stop_reason = choice.stop_reason

    def _read_delta(self, delta: _Delta) -> Iterator[Event]:
        self._lost.add_present(delta, LOST_OF_MESSAGE)
        content = delta.content
        if content:
            text = content if isinstance(content, str) else text_of_content(content, self._lost)
            yield from self._read_text(text, is_refusal=False)
        if isinstance(delta.refusal, str):
            yield from self._read_text(delta.refusal, is_refusal=True)
        for call in delta.tool_calls or ():
            yield from self._end_texts()
            yield from self._calls.read(call)

    def _read_text(self, text: str, *, is_refusal: bool) -> Iterator[Event]:
        if not text:
            return
        part = self._texts.get(is_refusal)
        if part is None:
            part = self._texts[is_refusal] = self._parts.next()
            yield TextStarted(part, is_refusal)
        yield TextDelta(part, text)

    def _end_texts(self) -> Iterator[Event]:
        """End what was said, since a call follows; text behind that is a part of its own."""
        yield from map(PartEnded, self._texts.values())
        self._texts.clear()

    def _ended(self) -> list[Event]:
        if not self._has_begun:
            raise Untranslatable("the provider's stream ended before its response began")
        self._is_over = True
        ending = self._ending
        finish, stop_sequence = chat_finish(ending.reason, ending.stop_reason)
        finish = settled(finish, has_calls=bool(self._calls.begun))
        finished = ResponseFinished(finish, stop_sequence, ending.usage, ending.service_tier)
        return [*self._end_texts(), *self._calls.end(), finished]

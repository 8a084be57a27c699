"""Reads the event stream of the responses API.

Its deltas make the parts. What comes done, having had no delta, is read from what is done: servers
that speak this API beside their own leave much of it out.

Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.translate.bounds import Untranslatable
from sidecar.translate.completion import Event, Ping, ResponseFinished, Started
from sidecar.translate.lost_content import LostContent
from sidecar.translate.output_parts import OutputParts
from sidecar.translate.provider_error import read_provider_error, stream_error, stream_error_of
from sidecar.translate.reasons import tier_of
from sidecar.translate.responses_whole import (
    ENDED,
    ContentPart,
    OutputItem,
    ResponseBody,
    responses_finish,
)
from sidecar.translate.token_usage import usage_of_responses

_REFUSAL_DELTA: Final = "response.refusal.delta"
_TEXT_DELTAS: Final = ("response.output_text.delta", _REFUSAL_DELTA)
_DELTAS: Final = (
    *_TEXT_DELTAS,
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
)
_ARGUMENTS_DONE: Final = (
    "response.function_call_arguments.done",
    "response.custom_tool_call_input.done",
)
_ITEM_ADDED: Final = "response.output_item.added"
_ITEM_DONE: Final = "response.output_item.done"
_LAST: Final = ("response.completed", "response.incomplete")
_FAILED: Final = ("response.failed", "response.cancelled")
_PINGS: Final = ("keepalive", "ping")
_SILENT: Final = (
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.content_part.added",
)
"""What follows says all that these do."""


class _OutputEvent(msgspec.Struct):
    type: Any = None
    output_index: Any = None
    content_index: Any = None
    delta: Any = None
    item: OutputItem | None = None
    part: ContentPart | None = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    input: Any = None
    response: ResponseBody | None = None


_decode: Final = msgspec.json.Decoder(_OutputEvent).decode


class ResponsesEventReader:
    """Implements `event_ports.EventReading`."""

    __slots__ = ("_has_begun", "_is_over", "_lost", "_parts")

    def __init__(self, lost: LostContent) -> None:
        self._has_begun = False
        self._is_over = False
        self._lost = lost
        self._parts = OutputParts(lost)

    def read(self, name: bytes, data: bytes) -> Sequence[Event]:
        """See `EventReading.read`."""
        if self._is_over:
            return ()
        event = decode_leniently(_decode, data)
        kind = None if event is None else event.type or name.decode("latin-1")
        if event is not None and kind in _DELTAS:
            return list(self._read_delta(kind, event))
        if kind in _FAILED:
            self._is_over = True
            return (stream_error(read_provider_error(data)),)
        if (error := stream_error_of(name, data)) is not None:
            self._is_over = True
            return (error,)
        if event is None or not isinstance(kind, str):
            raise Untranslatable("an event of the provider's stream is none of the responses API")
        return list(self._read(kind, event))

    def end(self) -> Sequence[Event]:
        """See `EventReading.end`. Nothing but the last event says that a response is complete."""
        return ()

    def _read_delta(self, kind: str, event: _OutputEvent) -> Iterator[Event]:
        self._needs_beginning()
        piece = event.delta if isinstance(event.delta, str) else ""
        if kind in _TEXT_DELTAS:
            is_refusal = kind == _REFUSAL_DELTA
            index, content = event.output_index, event.content_index
            return self._parts.add_text(index, content, piece, is_refusal=is_refusal)
        return self._parts.add_arguments(event.output_index, piece)

    def _read(self, kind: str, event: _OutputEvent) -> Iterator[Event]:
        if kind in _PINGS:
            yield Ping()
            return
        if event.response is not None and not self._has_begun:
            yield self._begun(event.response)
        self._needs_beginning()
        if kind in _LAST and event.response is not None:
            yield from self._ended(event.response)
        elif kind == _ITEM_ADDED and event.item is not None:
            yield from self._parts.begin_item(event.output_index, event.item)
        elif kind == _ITEM_DONE and event.item is not None:
            yield from self._parts.end_item(event.output_index, event.item)
        elif kind not in _SILENT:
            yield from self._read_done(kind, event)

    def _read_done(self, kind: str, event: _OutputEvent) -> Iterator[Event]:
        index, content = event.output_index, event.content_index
        if kind == "response.output_text.done":
            yield from self._parts.end_text(index, content, event.text, is_refusal=False)
        elif kind == "response.refusal.done":
            yield from self._parts.end_text(index, content, event.refusal, is_refusal=True)
        elif kind == "response.content_part.done" and event.part is not None:
            yield from self._parts.end_part(index, content, event.part)
        elif kind in _ARGUMENTS_DONE:
            yield from self._parts.fill_arguments(index, event.arguments or event.input)
        else:
            self._lost.add(_lost_name(kind))

    def _begun(self, response: ResponseBody) -> Event:
        self._has_begun = True
        response_id = response.id if isinstance(response.id, str) else ""
        model = response.model if isinstance(response.model, str) else ""
        tier = tier_of(response.service_tier)
        return Started(response_id, model, usage_of_responses(response.usage), tier)

    def _needs_beginning(self) -> None:
        if not self._has_begun:
            raise Untranslatable("the provider's stream does not begin with a response")

    def _ended(self, response: ResponseBody) -> Iterator[Event]:
        if response.status not in ENDED:
            raise Untranslatable("the provider's response has not ended well")
        self._is_over = True
        if self._parts.is_empty:
            for index, item in enumerate(response.output or ()):
                yield from self._parts.end_item(index, item)
        else:
            yield from self._parts.add_missing_calls(response.output or ())
        yield from self._parts.end_all()
        yield ResponseFinished(
            responses_finish(response, has_calls=self._parts.has_calls),
            usage=usage_of_responses(response.usage),
            service_tier=tier_of(response.service_tier),
        )


def _lost_name(kind: str) -> str:
    """Return what an event is of: ``reasoning``, ``web_search_call``, ``annotations``."""
    if kind == "response.output_text.annotation.added":
        return "annotations"
    family = kind.removeprefix("response.").partition(".")[0]
    return "reasoning" if family.startswith("reasoning") else family

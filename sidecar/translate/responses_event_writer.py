"""Writes the event stream of the responses API.

Its last events repeat what was said before, so the text of a response is kept while it is written,
up to `bounds.KEPT_BYTES`.

Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from sidecar.domain.call import RESPONSES
from sidecar.translate.bounds import KEPT_BYTES, Untranslatable
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
from sidecar.translate.open_items import OpenCall, OpenCustomCall, OpenItem, OpenText, Pieces
from sidecar.translate.provider_error import error_event
from sidecar.translate.reasons import INCOMPLETE
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.response_frame import ResponseEnd, ResponseFrame

_encode: Final = msgspec.json.Encoder().encode
_PING: Final = b": ping\n\n"
"""A comment, which every reader of event streams skips: the API has no ping."""
_ITEM_BYTES: Final = 512
"""What an item costs beside its text, about."""


class ResponsesEventWriter:
    """Implements `event_ports.EventWriting`. Items may grow side by side here."""

    __slots__ = ("_context", "_done", "_frame", "_open", "_sequence", "kept_bytes")

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._done: dict[int, Pieces] = {}
        """The items that are complete, by their place."""
        self._frame = ResponseFrame("", "", context)
        self.kept_bytes = 0
        """See `EventWriting.kept_bytes`."""
        self._open: dict[int, OpenItem] = {}
        self._sequence = 0

    def write(self, event: Event) -> bytes | Iterator[bytes]:
        """See `EventWriting.write`."""
        if isinstance(event, TextDelta | ArgumentsDelta):
            return self._add(event.index, event.text)
        if isinstance(event, TextStarted | ToolCallStarted):
            return self._begin_item(event)
        if isinstance(event, PartEnded):
            return self._end_item(event.index)
        return self._write_frame(event)

    def _write_frame(
        self, event: Started | Ping | ResponseFinished | StreamError
    ) -> bytes | Iterator[bytes]:
        if isinstance(event, Ping):
            return _PING
        if isinstance(event, Started):
            return self._begin(event)
        if isinstance(event, ResponseFinished):
            return self._end(event)
        return error_event(event, RESPONSES, self._context.request_id)

    def _begin(self, event: Started) -> bytes:
        self._frame = ResponseFrame(event.id, event.model, self._context)
        rest = b'"response":', self._frame.begun()
        created = b"".join(self._event(b"response.created", rest))
        return created + b"".join(self._event(b"response.in_progress", rest))

    def _event(self, kind: bytes, rest: Sequence[bytes]) -> Iterator[bytes]:
        self._sequence += 1
        yield b'event: %b\ndata: {"type":"%b",' % (kind, kind)
        yield from rest
        yield b',"sequence_number":%d}\n\n' % (self._sequence - 1)

    def _add(self, index: int, text: str) -> bytes:
        item = self._open[index]
        encoded = _encode(text)
        self._keep(len(encoded))
        start = item.add(encoded)
        if not start:
            return b""
        self._sequence += 1
        return b'%b%b,"sequence_number":%d}\n\n' % (start, encoded, self._sequence - 1)

    def _begin_item(self, event: TextStarted | ToolCallStarted) -> bytes:
        self._keep(_ITEM_BYTES)
        item: OpenItem
        if isinstance(event, TextStarted):
            item = OpenText(self._frame.item_id("msg", event.index), event)
        elif event.name in self._context.custom_tools:
            item = OpenCustomCall(self._frame.item_id("ctc", event.index), event)
        else:
            item = OpenCall(self._frame.item_id("fc", event.index), event)
        self._open[event.index] = item
        return b"".join(piece for each in item.begun() for piece in self._event(*each))

    def _end_item(self, index: int) -> Iterator[bytes]:
        item = self._open.pop(index)
        for kind, rest in item.ended():
            yield from self._event(kind, rest)
        self._done[index] = item.done

    def _end(self, event: ResponseFinished) -> Iterator[bytes]:
        kind = b"response.incomplete" if event.finish in INCOMPLETE else b"response.completed"
        output = [self._done[index] for index in sorted(self._done)]
        end = ResponseEnd(event.finish, event.usage, event.service_tier)
        return self._event(kind, (b'"response":', *self._frame.ended(output, end)))

    def _keep(self, size: int) -> None:
        self.kept_bytes += size
        if self.kept_bytes > KEPT_BYTES:
            raise Untranslatable("the provider's response is too long to be repeated at its end")

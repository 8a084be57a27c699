"""OpenAI's responses API.

Source: https://platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import msgspec

from sidecar.dialects.base import (
    ERROR_EVENT_SIGNS,
    ERROR_NULLS,
    EventKind,
    Problem,
    StreamRules,
    Turn,
    named_last_event,
)
from sidecar.dialects.errors import ERROR_SIGNS, is_error_event, is_error_response, read_maybe_error
from sidecar.dialects.lenient import decode_leniently
from sidecar.dialects.openai import OpenAIError, openai_error, openai_error_body
from sidecar.dialects.request import INPUT_BODY, newest_text, newest_turns
from sidecar.dialects.signed_cuts import Cut, body_without
from sidecar.dialects.signed_state import Said, is_newest_turn_signed
from sidecar.dialects.usage import NOTHING, UsageMembers, text_of
from sidecar.domain.call import RESPONSES, BodyFacts, Endpoint, Operation
from sidecar.domain.outcome import Served
from sidecar.wire.outline import QUOTE
from sidecar.wire.patch import patch_body
from sidecar.wire.places import Span, Text

_USAGE: Final = UsageMembers(
    "input_tokens",
    "output_tokens",
    ("input_tokens_details", "cached_tokens"),
    reasoning_tokens=("output_tokens_details", "reasoning_tokens"),
)
_LAST: Final = (b"response.completed", b"response.failed", b"response.incomplete")
_PREAMBLE: Final = (
    "response.created",
    "response.queued",
    "response.in_progress",
    "keepalive",
    "ping",
)


class _Item(msgspec.Struct):
    """An item of ``input``: a message, reasoning, a tool's call or its output."""

    role: Any = None
    type: Any = None
    encrypted_content: Any = None


class _Response(msgspec.Struct):
    """Any member may be of a wrong type."""

    model: Any = None
    usage: Any = None
    status: Any = None


class _Event(msgspec.Struct):
    response: _Response | None = None


class _ErrorEvent(msgspec.Struct, frozen=True):
    """Two readings at once: the documented ``error`` event has flat fields, the SDK wants an
    ``error`` member.
    """

    error: OpenAIError
    code: str
    message: str
    param: str | None
    type: str = "error"


_decode_item: Final = msgspec.json.Decoder(_Item).decode
_decode_response: Final = msgspec.json.Decoder(_Response).decode
_decode_event: Final = msgspec.json.Decoder(_Event).decode


def _served(response: _Response) -> Served:
    return Served(_USAGE.read(response.usage), text_of(response.model), text_of(response.status))


def _kind_of_event(name: bytes, data: bytes) -> EventKind:
    """An event without a name is known by the ``type`` in its data."""
    event = read_maybe_error(data)
    kind = name.decode("latin-1") if event is None or event.type is None else event.type
    if kind == "response.failed":
        return EventKind.FAILED
    if name == b"error" or (event is not None and is_error_event(event)):
        return EventKind.ERROR
    return EventKind.PREAMBLE if kind in _PREAMBLE else EventKind.CONTENT


def _read(raw: msgspec.Raw) -> Said:
    item = decode_leniently(_decode_item, raw)
    if item is None or item.role not in (None, "assistant"):
        return Said.ASKED
    is_encrypted = isinstance(item.encrypted_content, str) and bool(item.encrypted_content)
    if is_encrypted or item.type == "item_reference":
        return Said.SIGNED
    is_result = isinstance(item.type, str) and item.type.endswith("_output")
    return Said.RESULT if is_result else Said.PLAIN


def _least_request() -> bytes:
    return b'{"input":"ping","max_output_tokens":16}'


class Responses:
    """Implements `dialects.base.Dialect`."""

    name: Final = RESPONSES
    endpoints: Final = (Endpoint("/v1/responses", RESPONSES, Operation.GENERATE),)
    sdk_header: Final = ""
    home_prefix: Final = "openai"
    is_cache_apart: Final = False
    stream: Final = StreamRules(
        last_words=_LAST,
        last_event=named_last_event(*_LAST),
        # Its SDK hands out the response that the last event holds.
        is_last_event_whole=True,
        telling=(*(b'"%b"' % each for each in _LAST), *ERROR_EVENT_SIGNS),
        nulls=ERROR_NULLS,
        kind_of_event=_kind_of_event,
        failing=(b'"response.failed"', *ERROR_EVENT_SIGNS),
    )
    least_request = staticmethod(_least_request)
    peek = staticmethod(INPUT_BODY.peek)
    peek_in_steps = staticmethod(INPUT_BODY.peek_in_steps)
    patch = staticmethod(patch_body)
    error_signs: Final = ERROR_SIGNS
    is_error_response = staticmethod(is_error_response)
    usage_of = staticmethod(_USAGE.read)
    error_body = staticmethod(openai_error_body)

    @staticmethod
    def turns(
        body: bytes, facts: BodyFacts, room_bytes: int | None
    ) -> Generator[None, None, tuple[Turn, ...]]:
        """Read ``input``: items, or a text, which is one turn of the user's. Raises: nothing."""
        place = facts.conversation
        if place is None:
            return ()
        if body[place[0]] == QUOTE:
            return newest_text(body, place, room_bytes)
        return (yield from newest_turns(body, facts, room_bytes))

    @staticmethod
    def is_newest_turn_signed(body: bytes, facts: BodyFacts) -> bool:
        """Return whether it holds an item with ``encrypted_content``, or a reference to one that
        is stored at its maker.
        """
        return is_newest_turn_signed(body, facts.conversation, _read)

    @staticmethod
    def without_signed_state(
        body: bytes,
        facts: BodyFacts,
        refusal: bytes,  # noqa: ARG004
    ) -> Generator[None, None, bytes | None]:
        """Cut out reasoning with ``encrypted_content``, each item as a whole: without it an item is
        looked up among those that the provider has stored.
        """
        text = Text(body)

        def find(_: int, place: Span) -> Cut:
            item = decode_leniently(_decode_item, text.raw(place))
            is_hidden = item is not None and isinstance(item.encrypted_content, str)
            return Cut(is_whole=is_hidden and item is not None and item.type == "reasoning")

        items = yield from text.elements_in_steps(facts.conversation)
        return (yield from body_without(text, items, _read, find))

    @staticmethod
    def served_of_response(body: bytes) -> Served:
        """Read what a response says about itself. Raises: as `Dialect.served_of_response`."""
        return _served(_decode_response(body))

    @staticmethod
    def served_of_event(data: bytes) -> Served:
        """Read the response that an event holds; one without a response says nothing."""
        response = _decode_event(data).response
        return NOTHING if response is None else _served(response)

    @staticmethod
    def error_event(problem: Problem) -> bytes:
        """Write an ``error`` event."""
        error = openai_error(problem)
        event = _ErrorEvent(error, error.code, error.message, error.param)
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"

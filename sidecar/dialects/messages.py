"""Anthropic's messages, and their token counter.

Source: https://docs.anthropic.com/en/api/messages, /messages-streaming, /errors.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Final

import msgspec

from sidecar.dialects.base import (
    ERROR_EVENT_SIGNS,
    ERROR_NULLS,
    Choices,
    EventKind,
    Problem,
    StreamRules,
    named_last_event,
)
from sidecar.dialects.errors import ERROR_SIGNS, is_error_event, is_error_response, read_maybe_error
from sidecar.dialects.lenient import decode_leniently
from sidecar.dialects.request import REQUEST_BODY, newest_turns
from sidecar.dialects.signed_cuts import Cut, body_without
from sidecar.dialects.signed_state import (
    Block,
    Said,
    blocks_of,
    is_newest_turn_signed,
    is_signed_block,
)
from sidecar.dialects.usage import NOTHING, UsageMembers, merged, text_of
from sidecar.domain.call import MESSAGES, BodyFacts, Endpoint, Operation
from sidecar.domain.outcome import Served
from sidecar.wire.patch import patch_body
from sidecar.wire.places import Span, Text, cuts_of

_USAGE: Final = UsageMembers(
    "input_tokens",
    "output_tokens",
    ("cache_read_input_tokens",),
    cache_write_tokens=("cache_creation_input_tokens",),
)
_ERROR_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By status; the rest are ``api_error`` from 500 on and ``invalid_request_error`` below."""

_PREAMBLE: Final = ("ping", "message_start")


_THINKING: Final = ("thinking", "redacted_thinking")
_PLACE: Final = re.compile(rb"messages\.(\d{1,6})\.content\.(\d{1,6})\b")
"""Where Anthropic's refusals say that something is wrong; both numbers begin with 0."""


class _Said(msgspec.Struct):
    """A message of a request."""

    role: Any = None
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct):
    """A whole response; the same object begins a stream. Any member may be of a wrong type."""

    model: Any = None
    usage: Any = None
    stop_reason: Any = None


class _Event(msgspec.Struct):
    """``message_start`` has a message; ``message_delta`` has a delta, and usage beside it."""

    message: _Message | None = None
    delta: _Message | None = None
    usage: Any = None


class _Error(msgspec.Struct, frozen=True):
    type: str
    message: str


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error
    request_id: str
    type: str = "error"


_decode_block: Final = msgspec.json.Decoder(Block).decode
_decode_said: Final = msgspec.json.Decoder(_Said).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_event: Final = msgspec.json.Decoder(_Event).decode


def _served(message: _Message) -> Served:
    return Served(_USAGE.read(message.usage), text_of(message.model), text_of(message.stop_reason))


def _kind_of_event(name: bytes, data: bytes) -> EventKind:
    """An event without a name is known by the ``type`` in its data."""
    event = read_maybe_error(data)
    if name == b"error" or (event is not None and is_error_event(event)):
        return EventKind.ERROR
    kind = name.decode("latin-1") if event is None or event.type is None else event.type
    return EventKind.PREAMBLE if kind in _PREAMBLE else EventKind.CONTENT


def _choices_of_event(data: bytes) -> Choices:
    """There is one message, which ends with a stop reason."""
    event = decode_leniently(_decode_event, data)
    if event is not None and event.delta is not None and event.delta.stop_reason:
        yield 0, True


def _read(raw: msgspec.Raw) -> Said:
    said = decode_leniently(_decode_said, raw)
    blocks = [] if said is None else blocks_of(said.content)
    if said is not None and said.role == "assistant":
        return Said.SIGNED if any(map(is_signed_block, blocks)) else Said.PLAIN
    is_result = any(block.type == "tool_result" for block in blocks)
    return Said.RESULT if is_result else Said.ASKED


def _thinking_blocks(text: Text, message: Span) -> tuple[list[Span], list[bool]]:
    """Return the places of a message's blocks, and which of them are thinking."""
    content = text.value_of(b"content", message)
    places = [] if content is None else text.elements(content)
    blocks = [decode_leniently(_decode_block, text.raw(place)) for place in places]
    return places, [block is not None and block.type in _THINKING for block in blocks]


def _first_place(text: Text, messages: list[Span], refusal: bytes) -> tuple[int, int]:
    """Return message and block of the first thinking that a refusal names; else the beginning."""
    named = _PLACE.search(refusal)
    if named is None:
        return 0, 0
    at, part = int(named[1]), int(named[2])
    if at >= len(messages):
        return 0, 0
    _, is_thinking = _thinking_blocks(text, messages[at])
    return (at, part) if part < len(is_thinking) and is_thinking[part] else (0, 0)


def _least_request() -> bytes:
    return b'{"messages":[{"role":"user","content":"ping"}],"max_tokens":1}'


class Messages:
    """Implements `dialects.base.Dialect`."""

    name: Final = MESSAGES
    endpoints: Final = (
        Endpoint("/v1/messages", MESSAGES, Operation.GENERATE, base_path=""),
        Endpoint("/v1/messages/count_tokens", MESSAGES, Operation.COUNT_TOKENS, base_path=""),
    )
    sdk_header: Final = "anthropic-version"
    home_prefix: Final = "anthropic"
    is_cache_apart: Final = True
    stream: Final = StreamRules(
        last_words=(b"message_stop",),
        last_event=named_last_event(b"message_stop"),
        telling=(b'"message_start"', b'"message_delta"', *ERROR_EVENT_SIGNS),
        nulls=ERROR_NULLS,
        kind_of_event=_kind_of_event,
        choices_of_event=_choices_of_event,
    )
    least_request = staticmethod(_least_request)
    peek = staticmethod(REQUEST_BODY.peek)
    peek_in_steps = staticmethod(REQUEST_BODY.peek_in_steps)
    patch = staticmethod(patch_body)
    turns = staticmethod(newest_turns)
    error_signs: Final = ERROR_SIGNS
    is_error_response = staticmethod(is_error_response)
    usage_of = staticmethod(_USAGE.read)

    @staticmethod
    def is_newest_turn_signed(body: bytes, facts: BodyFacts) -> bool:
        """Return whether it holds a ``thinking`` block with a signature, or a redacted one."""
        return is_newest_turn_signed(body, facts.conversation, _read)

    @staticmethod
    def without_signed_state(
        body: bytes, facts: BodyFacts, refusal: bytes
    ) -> Generator[None, None, bytes | None]:
        """Cut out thinking blocks; a message of nothing else goes as a whole, since one without
        content would be refused.
        """
        text = Text(body)
        messages = yield from text.elements_in_steps(facts.conversation)
        first, part = _first_place(text, messages, refusal)

        def find(at: int, message: Span) -> Cut:
            places, is_cut = _thinking_blocks(text, message)
            if at == first:
                is_cut[:part] = [False] * len(is_cut[:part])
            is_whole = bool(is_cut) and all(is_cut)
            return Cut(cuts_of(places, is_cut), is_whole)

        return (yield from body_without(text, messages, _read, find, first))

    @staticmethod
    def served_of_response(body: bytes) -> Served:
        """Read what a message says about itself. Raises: as `Dialect.served_of_response`."""
        return _served(_decode_message(body))

    @staticmethod
    def served_of_event(data: bytes) -> Served:
        """Read the message that begins a stream, or the delta and usage before its end."""
        event = _decode_event(data)
        begun = NOTHING if event.message is None else _served(event.message)
        ended = None if event.delta is None else text_of(event.delta.stop_reason)
        return merged(begun, Served(usage=_USAGE.read(event.usage), finish=ended))

    @staticmethod
    def error_body(problem: Problem) -> bytes:
        """Write ``{"type": "error", "error": {"type", "message"}, "request_id"}``."""
        usual = "api_error" if problem.status >= 500 else "invalid_request_error"
        error = _Error(_ERROR_TYPES.get(problem.status, usual), problem.message)
        return msgspec.json.encode(_ErrorBody(error, problem.request_id))

    @staticmethod
    def error_event(problem: Problem) -> bytes:
        """Write the same object as the data of an ``error`` event."""
        return b"event: error\ndata: " + Messages.error_body(problem) + b"\n\n"

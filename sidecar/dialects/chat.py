"""OpenAI's chat completions, which most providers speak.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Final

import msgspec

from sidecar.dialects.base import ERROR_EVENT_SIGNS, ERROR_NULLS, Choices, EventKind, StreamRules
from sidecar.dialects.errors import ERROR_SIGNS, is_error_event, is_error_response, read_maybe_error
from sidecar.dialects.lenient import decode_leniently
from sidecar.dialects.openai import openai_error_body, openai_error_event
from sidecar.dialects.request import REQUEST_BODY, newest_turns
from sidecar.dialects.signed_cuts import EACH, Cut, Path, body_without, members_cut
from sidecar.dialects.signed_state import (
    Said,
    has_signed_details,
    has_thought_signature,
    is_newest_turn_signed,
)
from sidecar.dialects.usage import CompletionReader, UsageMembers
from sidecar.dialects.usage_option import USAGE_OPTION
from sidecar.domain.call import CHAT, BodyFacts, Endpoint, Operation
from sidecar.wire.patch import patch_body
from sidecar.wire.places import Span, Text

_RESULT_ROLES: Final = ("tool", "function")
_THOUGHT_SIGNATURES: Final[tuple[Path, ...]] = (
    (b"extra_content", b"google", b"thought_signature"),
    (b"provider_specific_fields", b"thought_signature"),
    (b"provider_specific_fields", b"thought_signatures"),
)
_SIGNED: Final[tuple[Path, ...]] = (
    (b"reasoning_details",),
    (b"thinking_blocks",),
    *_THOUGHT_SIGNATURES,
    *((b"tool_calls", EACH, *path) for path in _THOUGHT_SIGNATURES),
)
"""Members of an assistant message that only their maker can read."""
_USAGE: Final = UsageMembers(
    "prompt_tokens",
    "completion_tokens",
    ("prompt_tokens_details", "cached_tokens"),
    reasoning_tokens=("completion_tokens_details", "reasoning_tokens"),
)


class _Said(msgspec.Struct):
    """A message of a request. Any member may be of a wrong type."""

    role: Any = None
    tool_calls: Any = None
    reasoning_details: Any = None
    thinking_blocks: Any = None
    extra_content: Any = None
    provider_specific_fields: Any = None


class _Choice(msgspec.Struct):
    finish_reason: Any = None
    index: Any = 0
    usage: Any = None
    """Of Moonshot's last one: https://github.com/earendil-works/pi/issues/2017."""


class _Completion(msgspec.Struct):
    """A whole response, or what one event adds to it. Any member may be of a wrong type."""

    model: Any = None
    usage: Any = None
    choices: list[_Choice] | None = None
    """Some servers say null in the event that brings the usage."""
    x_groq: Any = None
    """Groq's streams say the usage in it, unasked: https://github.com/vercel/ai/issues/1651."""


_decode: Final = msgspec.json.Decoder(_Completion).decode
_served: Final = CompletionReader(_decode, _USAGE).read


def _kind_of_event(name: bytes, data: bytes) -> EventKind:
    """An event whose choices bring nothing but a role is a preamble, and so is one without any
    choice (Azure's first one tells what its filter found in the prompt).
    """
    if name == b"error":
        return EventKind.ERROR
    event = read_maybe_error(data)
    if event is None:
        return EventKind.CONTENT
    if is_error_event(event):
        return EventKind.ERROR
    if not isinstance(event.choices, list) or any(map(_has_content, event.choices)):
        return EventKind.CONTENT
    return EventKind.PREAMBLE


def _has_content(choice: object) -> bool:
    if not isinstance(choice, dict) or choice.get("finish_reason"):
        return True
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return True
    return any(value for name, value in delta.items() if name != "role")


def _choices_of_event(data: bytes) -> Choices:
    completion = decode_leniently(_decode, data)
    for choice in (completion and completion.choices) or ():
        if isinstance(choice.index, int):
            yield choice.index, bool(choice.finish_reason)


_decode_said: Final = msgspec.json.Decoder(_Said).decode


def _read(raw: msgspec.Raw) -> Said:
    said = decode_leniently(_decode_said, raw)
    if said is None or said.role != "assistant":
        return Said.RESULT if said is not None and said.role in _RESULT_ROLES else Said.ASKED
    holders = [msgspec.structs.asdict(said)]
    holders += said.tool_calls if isinstance(said.tool_calls, list) else []
    is_signed = (
        has_signed_details(said.reasoning_details)
        or has_signed_details(said.thinking_blocks)
        or any(map(has_thought_signature, holders))
    )
    return Said.SIGNED if is_signed else Said.PLAIN


def _least_request() -> bytes:
    return b'{"messages":[{"role":"user","content":"ping"}],"max_tokens":1}'


class Chat:
    """Implements `dialects.base.Dialect`."""

    name: Final = CHAT
    endpoints: Final = (Endpoint("/v1/chat/completions", CHAT, Operation.GENERATE),)
    sdk_header: Final = ""
    home_prefix: Final = "openai"
    is_cache_apart: Final = False
    stream: Final = StreamRules(
        last_words=(b"[DONE]",),
        last_event=re.compile(rb"[\r\n]data: ?\[DONE\]"),
        # Where choices are written side by side, each of their events is read.
        telling=(b'"usage"', b'"finish_reason"', b'"index"', *ERROR_EVENT_SIGNS),
        # Nearly every event of a stream says these.
        nulls=(
            b'"usage":null',
            b'"usage": null',
            b'"finish_reason":null',
            b'"finish_reason": null',
            b'"index":0',
            b'"index": 0',
            *ERROR_NULLS,
        ),
        # Every event names the model, but Azure leaves it empty in its first one.
        model_within=4,
        kind_of_event=_kind_of_event,
        choices_of_event=_choices_of_event,
        usage_option=USAGE_OPTION,
    )
    least_request = staticmethod(_least_request)
    peek = staticmethod(REQUEST_BODY.peek)
    peek_in_steps = staticmethod(REQUEST_BODY.peek_in_steps)
    patch = staticmethod(patch_body)
    turns = staticmethod(newest_turns)
    served_of_response = staticmethod(_served)
    served_of_event = staticmethod(_served)
    error_signs: Final = ERROR_SIGNS
    is_error_response = staticmethod(is_error_response)
    usage_of = staticmethod(_USAGE.read)
    error_body = staticmethod(openai_error_body)
    error_event = staticmethod(openai_error_event)

    @staticmethod
    def is_newest_turn_signed(body: bytes, facts: BodyFacts) -> bool:
        """Return whether it holds a thought signature, or reasoning that is signed or encrypted:
        what gateways and compatible providers add to this API.
        """
        return is_newest_turn_signed(body, facts.conversation, _read)

    @staticmethod
    def without_signed_state(
        body: bytes,
        facts: BodyFacts,
        refusal: bytes,  # noqa: ARG004
    ) -> Generator[None, None, bytes | None]:
        """Cut out thought signatures, and reasoning that is signed or encrypted."""
        text = Text(body)

        def find(_: int, message: Span) -> Cut:
            return Cut(members_cut(text, message, _SIGNED))

        messages = yield from text.elements_in_steps(facts.conversation)
        return (yield from body_without(text, messages, _read, find))

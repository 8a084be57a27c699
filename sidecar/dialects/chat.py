"""OpenAI's chat completions, which most providers speak.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from sidecar.dialects.base import StreamRules
from sidecar.dialects.openai import openai_error_body, openai_error_event
from sidecar.dialects.request import REQUEST_BODY, turns_of_messages
from sidecar.dialects.usage import CompletionReader, UsageMembers
from sidecar.domain.call import CHAT, Endpoint, Operation
from sidecar.wire.body import patch_body

_USAGE: Final = UsageMembers(
    "prompt_tokens",
    "completion_tokens",
    ("prompt_tokens_details", "cached_tokens"),
    reasoning_tokens=("completion_tokens_details", "reasoning_tokens"),
)


class _Choice(msgspec.Struct):
    finish_reason: Any = None


class _Completion(msgspec.Struct):
    """A whole response, or what one event adds to it. Any member may be of a wrong type."""

    model: Any = None
    usage: Any = None
    choices: list[_Choice] = []


_served: Final = CompletionReader(msgspec.json.Decoder(_Completion).decode, _USAGE).read


class Chat:
    """Implements `dialects.base.Dialect`."""

    name: Final = CHAT
    endpoints: Final = (Endpoint("/v1/chat/completions", CHAT, Operation.GENERATE),)
    sdk_header: Final = ""
    home_prefix: Final = "openai"
    stream: Final = StreamRules(
        last_words=(b"[DONE]",),
        last_event=re.compile(rb"[\r\n]data: ?\[DONE\]"),
        telling=(b'"usage"', b'"finish_reason"'),
        # Nearly every event of a stream says these.
        nulls=(
            b'"usage":null',
            b'"usage": null',
            b'"finish_reason":null',
            b'"finish_reason": null',
        ),
        # Every event names the model, but Azure leaves it empty in its first one.
        model_within=4,
    )
    peek = staticmethod(REQUEST_BODY.peek)
    patch = staticmethod(patch_body)
    turns = staticmethod(turns_of_messages)
    served_of_response = staticmethod(_served)
    served_of_event = staticmethod(_served)
    usage_of = staticmethod(_USAGE.read)
    error_body = staticmethod(openai_error_body)
    error_event = staticmethod(openai_error_event)

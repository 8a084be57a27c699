"""What a writer of responses must know of the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class ReplyContext(msgspec.Struct, frozen=True):
    """What a response says that only the request knows."""

    created_unix_s: int
    """When the call came, for APIs whose responses say when they were made."""
    request_id: str
    """Names a response where the provider gives it no id."""
    wants_usage: bool = True
    """Whether a stream of chat ends with a chunk that tells the usage."""
    echoed: Mapping[str, bytes] = {}
    """Members of a request of the responses API that its response repeats, each as raw JSON, by
    name: those of `ECHOED` that the request has. Empty for the other APIs.
    """
    tool_names: Mapping[str, str] = {}
    """Tool names that the target's API does not take, as they were sent, and the caller's own."""
    custom_tools: frozenset[str] = frozenset()
    """The caller's names of tools without a schema that were sent as functions with one text,
    ``input``: their calls go back with that text.
    """
    has_legacy_functions: bool = False
    """Whether a request of chat offers its tools as ``functions``: a call goes back as the
    message's ``function_call``, and ends it with the reason of that name.
    """


ECHOED: Final = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
"""Members of a request of the responses API that its response repeats."""

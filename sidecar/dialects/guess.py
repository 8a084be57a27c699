"""Which API a request body belongs to, where no path tells: for bodies that a person keeps in a
file.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName

_OF_MESSAGES: Final = frozenset(
    (
        "anthropic_version",
        "container",
        "mcp_servers",
        "stop_sequences",
        "system",
        "thinking",
        "top_k",
    )
)
"""Members that a body of messages alone has."""
_OF_CHAT: Final = frozenset(
    (
        *("frequency_penalty", "functions", "logit_bias", "logprobs", "max_completion_tokens", "n"),
        *("presence_penalty", "reasoning_effort", "response_format", "seed", "stop"),
        *("stream_options", "top_logprobs", "user"),
    )
)
_CHAT_ROLES: Final = ("system", "developer", "tool", "function")


def dialect_of_body(body: bytes) -> DialectName | None:
    """Return the dialect of a request body; None where it could be one of several, or is none.

    Raises: msgspec.DecodeError, UnicodeDecodeError, RecursionError where it is no object of JSON.
    """
    said = msgspec.json.decode(body, type=dict[str, Any])
    if said.get("messages") is None:
        return None if said.get("input") is None else RESPONSES
    tools, messages = (
        each if isinstance(each, list) else [] for each in (said.get("tools"), said["messages"])
    )
    roles = [each.get("role") for each in messages if isinstance(each, dict)]
    is_messages = not _OF_MESSAGES.isdisjoint(said) or _any_has(tools, "input_schema")
    is_chat = (
        not _OF_CHAT.isdisjoint(said)
        or _any_has(tools, "function")
        or any(role in _CHAT_ROLES for role in roles)
    )
    if is_messages is is_chat:
        return None
    return MESSAGES if is_messages else CHAT


def _any_has(tools: list[Any], member: str) -> bool:
    return any(isinstance(each, dict) and member in each for each in tools)

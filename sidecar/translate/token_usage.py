"""Token counts, from and to the ``usage`` of each API.

Anthropic counts input that was read from the cache, or written to it, apart from the other input;
OpenAI counts it inside.
"""

from __future__ import annotations

from typing import Final

from sidecar.dialects.usage import UsageMembers
from sidecar.translate.completion import TokenUsage

_CHAT: Final = UsageMembers(
    "prompt_tokens",
    "completion_tokens",
    ("prompt_tokens_details", "cached_tokens"),
    ("prompt_tokens_details", "cache_write_tokens"),
    ("completion_tokens_details", "reasoning_tokens"),
)
_RESPONSES: Final = UsageMembers(
    "input_tokens",
    "output_tokens",
    ("input_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cache_write_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
)
_MESSAGES: Final = UsageMembers(
    "input_tokens",
    "output_tokens",
    ("cache_read_input_tokens",),
    ("cache_creation_input_tokens",),
    ("output_tokens_details", "thinking_tokens"),
)

NO_USAGE: Final = TokenUsage()


def usage_of_chat(usage: object) -> TokenUsage:
    """Read a decoded ``usage`` of chat; nothing is known from what is none."""
    return _read(_CHAT, usage)


def usage_of_responses(usage: object) -> TokenUsage:
    """Read a decoded ``usage`` of the responses API."""
    return _read(_RESPONSES, usage)


def usage_of_messages(usage: object) -> TokenUsage:
    """Read a decoded ``usage`` of messages, whose input is told in three parts."""
    return _read(_MESSAGES, usage)


def _read(members: UsageMembers, usage: object) -> TokenUsage:
    read = members.read(usage)
    if read is None:
        return NO_USAGE
    return TokenUsage(
        read.input_tokens,
        read.cached_input_tokens,
        read.cache_write_tokens,
        read.output_tokens,
        read.reasoning_tokens,
    )


def with_cache_inside(usage: TokenUsage) -> TokenUsage:
    """Return what messages told in parts, with all of the prompt as its input."""
    if usage.input_tokens is None:
        return usage
    whole = usage.input_tokens + (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    return TokenUsage(
        whole,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )


def later_usage(earlier: TokenUsage, later: TokenUsage) -> TokenUsage:
    """Join what a stream said at two times: the later count is the one that holds."""
    if earlier is NO_USAGE:
        return later
    if later is NO_USAGE:
        return earlier
    return TokenUsage(
        _latest(earlier.input_tokens, later.input_tokens),
        _latest(earlier.cached_tokens, later.cached_tokens),
        _latest(earlier.cache_write_tokens, later.cache_write_tokens),
        _latest(earlier.output_tokens, later.output_tokens),
        _latest(earlier.reasoning_tokens, later.reasoning_tokens),
    )


def _latest(earlier: int | None, later: int | None) -> int | None:
    return earlier if later is None else later


def chat_usage(usage: TokenUsage) -> dict[str, object] | None:
    """Write chat's ``usage``; None where nothing is known."""
    if usage == NO_USAGE:
        return None
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    written: dict[str, object] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    inputs = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    if details := _known(inputs):
        written["prompt_tokens_details"] = details
    if details := _known({"reasoning_tokens": usage.reasoning_tokens}):
        written["completion_tokens_details"] = details
    return written


def responses_usage(usage: TokenUsage) -> dict[str, object] | None:
    """Write the ``usage`` of the responses API, in whose type no count may be missing."""
    if usage == NO_USAGE:
        return None
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": prompt + completion,
    }


def messages_usage(usage: TokenUsage) -> dict[str, object]:
    """Write the ``usage`` of messages, in whose type input and output may not be missing."""
    apart = (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    written: dict[str, object] = _known(
        {
            "input_tokens": max(0, (usage.input_tokens or 0) - apart),
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "cache_read_input_tokens": usage.cached_tokens,
            "output_tokens": usage.output_tokens or 0,
        }
    )
    if usage.reasoning_tokens is not None:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written


def _known(counts: dict[str, int | None]) -> dict[str, object]:
    return {name: count for name, count in counts.items() if count is not None}

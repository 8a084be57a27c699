"""Why a response ended, and which service tier served it, in the words of each API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.translate.completion import Finish

FROM_CHAT: Final[Mapping[object, Finish]] = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.REFUSAL,
    # What compatible servers say beside.
    "eos": Finish.STOP,
    "eos_token": Finish.STOP,
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.TOOL_CALLS,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "abort": Finish.LENGTH,
    "insufficient_system_resource": Finish.LENGTH,
    "refusal": Finish.REFUSAL,
    "safety": Finish.REFUSAL,
    "recitation": Finish.REFUSAL,
}
"""A word that is not known counts as `Finish.STOP`."""
TO_CHAT: Final = {
    Finish.STOP: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.REFUSAL: "content_filter",
    # It is no whole response, and no word says more of that.
    Finish.PAUSE: "length",
}
CHAT_ERROR: Final = "error"
"""OpenRouter's, where the provider behind it has failed."""

FROM_MESSAGES: Final[Mapping[object, Finish]] = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP_SEQUENCE,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "refusal": Finish.REFUSAL,
    "pause_turn": Finish.PAUSE,
    "compaction": Finish.PAUSE,
}
"""A word that is not known counts as `Finish.STOP`."""
TO_MESSAGES: Final = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.REFUSAL: "refusal",
    Finish.PAUSE: "pause_turn",
}

INCOMPLETE: Final = {
    Finish.LENGTH: "max_output_tokens",
    Finish.REFUSAL: "content_filter",
    Finish.PAUSE: "max_output_tokens",
}
"""The reason that the responses API gives for a response that is not complete."""
FILTERED: Final = "content_filter"

_TIERS_OF_MESSAGES: Final = {"standard": "default", "priority": "priority", "batch": "flex"}
_TIERS_TO_MESSAGES: Final = {"default": "standard", "priority": "priority"}
_TIERS: Final = ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")


def tier_of(tier: object) -> str | None:
    """Return OpenAI's word for a service tier of whatever API; None for what is none."""
    if not isinstance(tier, str):
        return None
    return _TIERS_OF_MESSAGES.get(tier, tier if tier in _TIERS else None)


def tier_for_messages(tier: str | None) -> str | None:
    """Return Anthropic's word for a service tier; None where it has none."""
    return _TIERS_TO_MESSAGES.get(tier or "")


def settled(finish: Finish, *, has_calls: bool) -> Finish:
    """Return why a response ended, in the light of what it holds.

    OpenAI says ``stop`` where a call was forced, and servers say ``tool_calls`` without one: agents
    go by the word, so it follows the calls.
    """
    if finish is Finish.STOP and has_calls:
        return Finish.TOOL_CALLS
    if finish is Finish.TOOL_CALLS and not has_calls:
        return Finish.STOP
    return finish

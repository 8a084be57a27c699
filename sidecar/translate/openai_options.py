"""What the requests of OpenAI's two APIs have in common beside turns and tools."""

from __future__ import annotations

import msgspec

from sidecar.translate.conversation import SamplingOptions, Thinking
from sidecar.translate.raw_json import Members
from sidecar.translate.reading import Reading


class OpenAIOptions(msgspec.Struct, frozen=True):
    """Parts of a conversation."""

    max_tokens: int | None
    may_call_in_parallel: bool | None
    sampling: SamplingOptions
    thinking: Thinking | None
    wants_stream: bool
    service_tier: str | None
    user: str | None
    cache_key: str | None


def read_options(
    reading: Reading, members: Members, max_tokens: int | None, effort: str | None
) -> OpenAIOptions:
    """Read what both APIs spell alike. Raises: InvalidBody.

    Args: ``max_tokens`` and ``effort`` are what each of them has by another name.
    """
    return OpenAIOptions(
        max_tokens,
        reading.flag(members, "parallel_tool_calls"),
        SamplingOptions(reading.number(members, "temperature"), reading.number(members, "top_p")),
        None if effort is None else Thinking(effort, is_off=effort == "none"),
        bool(reading.flag(members, "stream")),
        reading.text(members, "service_tier"),
        reading.text(members, "safety_identifier") or reading.text(members, "user"),
        reading.text(members, "prompt_cache_key"),
    )

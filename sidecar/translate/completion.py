"""A response, whatever API it came in: whole, or as the events of a stream."""

from __future__ import annotations

import enum

import msgspec

from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall


class Finish(enum.Enum):
    """Why a response ended."""

    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    """The token limit of the request, or of the model."""
    TOOL_CALLS = "tool_calls"
    REFUSAL = "refusal"
    """The model, or a filter of the provider's, would not go on."""
    PAUSE = "pause"
    """The provider wants the turn sent again to go on with it."""


class TokenUsage(msgspec.Struct, frozen=True):
    """What a response was billed for. None: not told."""

    input_tokens: int | None = None
    """All of the prompt, the cached part included."""
    cached_tokens: int | None = None
    """Of the prompt: read from the provider's cache."""
    cache_write_tokens: int | None = None
    """Of the prompt: written to the provider's cache."""
    output_tokens: int | None = None
    """The reasoning included."""
    reasoning_tokens: int | None = None


class Completion(msgspec.Struct, frozen=True):
    """A whole response."""

    id: str
    model: str
    """As the provider names it."""
    parts: tuple[TextPart | RefusalPart | ToolCall, ...]
    finish: Finish
    stop_sequence: str | None = None
    usage: TokenUsage = TokenUsage()
    service_tier: str | None = None


class Started(msgspec.Struct, frozen=True, tag=True):
    """A stream's first event."""

    id: str
    model: str
    usage: TokenUsage = TokenUsage()
    service_tier: str | None = None


class TextStarted(msgspec.Struct, frozen=True, tag=True):
    """A part of text, or of a refusal, begins."""

    index: int
    """Counts the parts of a response from 0, in the order in which they begin."""
    is_refusal: bool = False


class TextDelta(msgspec.Struct, frozen=True, tag=True):
    """Text is added to a part."""

    index: int
    text: str


class ToolCallStarted(msgspec.Struct, frozen=True, tag=True):
    """A tool call begins."""

    index: int
    id: str
    """Empty where the provider gave none."""
    name: str


class ArgumentsDelta(msgspec.Struct, frozen=True, tag=True):
    """JSON text is added to a tool call's arguments."""

    index: int
    text: str


class PartEnded(msgspec.Struct, frozen=True, tag=True):
    """A part is complete. Parts may be open side by side."""

    index: int


class Ping(msgspec.Struct, frozen=True, tag=True):
    """The provider shows that it is still there."""


class ResponseFinished(msgspec.Struct, frozen=True, tag=True):
    """The response is complete: the last event of its stream."""

    finish: Finish
    stop_sequence: str | None = None
    usage: TokenUsage = TokenUsage()
    service_tier: str | None = None


class StreamError(msgspec.Struct, frozen=True, tag=True):
    """The provider says that it failed: the last event of its stream."""

    message: str
    kind: str | None = None
    """The provider's own type or code."""
    status: int | None = None
    """The HTTP status that the provider's word for it stands for, where it has one."""


Event = (
    Started
    | TextStarted
    | TextDelta
    | ToolCallStarted
    | ArgumentsDelta
    | PartEnded
    | Ping
    | ResponseFinished
    | StreamError
)

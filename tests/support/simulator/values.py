"""The simulator's values: what its models are like, what a request holds, what a reply says."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

Json = dict[str, Any]


class Signing(enum.Enum):
    """Who can read the state that a model signs."""

    NONE = "nobody checks"
    """The model writes signatures of no meaning, and takes any."""
    FAMILY = "every model of the family, at any account"
    ACCOUNT = "the family's models at the account that made it"


class Price(NamedTuple):
    """USD per million tokens."""

    fresh: float = 3.0
    cached: float = 0.3
    written: float = 3.75
    output: float = 15.0


class ModelRules(NamedTuple):
    """What one model is like, and what it refuses."""

    name: str
    family: str
    signing: Signing = Signing.NONE
    thinks: bool = True
    needs_thinking_in_loop: bool = False
    """Whether an assistant message whose tool results are sent must begin with its thinking."""
    refused_parameter: str = ""
    """A member of the body that the model does not take: ``max_tokens`` or
    ``max_completion_tokens``.
    """
    least_cached_tokens: int = 0
    """Shorter prefixes are not kept."""
    parallel_calls: int = 1
    """How many tools it wants called at a time."""
    price: Price = Price()


class Refusal(NamedTuple):
    """An error reply: status, and the error object's members."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    reason: str = "other"
    """As the ledger counts it."""
    headers: tuple[tuple[str, str], ...] = ()


class Usage(NamedTuple):
    """Tokens of one request. Input is the sum of the first three."""

    fresh: int
    cached: int
    written: int
    output: int


class Segment(NamedTuple):
    """A piece of a prompt in its order: tools, system, then what was said, block by block where
    the API has blocks.
    """

    content: bytes
    ends_prefix: bool
    """Whether the app asks for the prefix up to here to be kept (``cache_control``)."""


class ToolCall(NamedTuple):
    """What a model wants to be done."""

    call_id: str
    name: str
    arguments: str
    """JSON."""


class Completion(NamedTuple):
    """What a model says."""

    text: str
    thinking: str | None = None
    is_redacted: bool = False
    tools: tuple[ToolCall, ...] = ()


class Prompt(NamedTuple):
    """A request, read by its dialect."""

    model: str
    wants_stream: bool
    wants_thinking: bool
    segments: tuple[Segment, ...]
    user_text: str
    """The newest message of the user."""
    tool_results: int
    """How many came since that message."""
    before: bytes
    """Digest of the conversation without its signed state: signatures are bound to it."""

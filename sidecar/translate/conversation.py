"""A request, whatever API it came in: what a reader makes of it, and a writer needs.

JSON that is carried as it is (schemas, arguments) stays text, never decoded: it is written as it
was read. A long conversation is many small values, none of which can hold another in a circle: the
garbage collector does not look at them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Literal

import msgspec

from sidecar.translate.losses import Feature, Loss


class CacheMark(msgspec.Struct, frozen=True, gc=False):
    """Asks the provider to cache the prompt up to and with the part that carries it."""

    ttl: str | None = None
    """Such as ``1h``; None: the provider's own."""


class TextPart(msgspec.Struct, frozen=True, gc=False):
    """What was said."""

    text: str
    cache: CacheMark | None = None


class ImagePart(msgspec.Struct, frozen=True, gc=False):
    """A picture, by address or as base64."""

    url: str | None = None
    media_type: str | None = None
    data: str | None = None
    """Base64, without line ends; exactly one of ``url`` and ``data`` is set."""
    detail: str | None = None
    cache: CacheMark | None = None


class DocumentPart(msgspec.Struct, frozen=True, gc=False):
    """A file: a PDF or plain text, by address, as base64 or as text."""

    url: str | None = None
    media_type: str | None = None
    data: str | None = None
    """Base64; exactly one of ``url``, ``data`` and ``text`` is set."""
    text: str | None = None
    name: str | None = None
    cache: CacheMark | None = None


class RefusalPart(msgspec.Struct, frozen=True, gc=False):
    """What the model said in the place of a response that it would not give."""

    text: str


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """The model asks for a tool to be run."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it; may be no JSON where the model failed at it."""
    cache: CacheMark | None = None


Content = TextPart | ImagePart | DocumentPart
"""What a tool's result may hold."""


class ToolResult(msgspec.Struct, frozen=True, gc=False):
    """What came of a tool call."""

    call_id: str
    parts: tuple[Content, ...]
    is_error: bool = False
    cache: CacheMark | None = None


Part = TextPart | ImagePart | DocumentPart | RefusalPart | ToolCall | ToolResult


class Role(enum.Enum):
    """Who speaks in a turn."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    """Tool results stand in a turn of the user's, as their own parts."""


class ConversationTurn(msgspec.Struct, frozen=True, gc=False):
    """What one side said at a time."""

    role: Role
    parts: tuple[Part, ...]


class ToolOffer(msgspec.Struct, frozen=True):
    """A function that the model may ask for."""

    name: str
    description: str | None
    schema: str | None
    """JSON Schema of its arguments, as it was written; None where it takes none."""
    is_strict: bool | None = None
    """None where the request does not say."""
    is_custom: bool = False
    """Whether it takes one text instead of arguments. It is sent as a function of one text,
    ``input``, which its calls have as their only argument.
    """
    cache: CacheMark | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether the model must call a tool."""

    kind: Literal["auto", "none", "any", "named"]
    names: tuple[str, ...] = ()
    """For ``named`` the one that must be called; for others those that alone may be, empty: any."""


class OutputFormat(msgspec.Struct, frozen=True):
    """The form in which the response's text is wanted, where it is not plain text."""

    schema: str | None
    """JSON Schema, as it was written; None: any JSON object."""
    name: str | None = None
    description: str | None = None
    is_strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """How much the model may think, as far as the request says."""

    effort: str | None = None
    """The word of the caller's API: ``minimal``, ``low``, ``medium``, ``high``, ``xhigh``, ...,
    ``none``.
    """
    budget_tokens: int | None = None
    is_adaptive: bool = False
    is_off: bool = False


class SamplingOptions(msgspec.Struct, frozen=True):
    """How the next token is chosen."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()


class Conversation(msgspec.Struct, frozen=True):
    """A whole request but for its model's name."""

    turns: tuple[ConversationTurn, ...]
    """Oldest first. System and developer texts are turns where they stand; the instructions of an
    API that has a field for them are the first.
    """
    tools: tuple[ToolOffer, ...] = ()
    tool_choice: ToolChoice | None = None
    may_call_in_parallel: bool | None = None
    output: OutputFormat | None = None
    max_tokens: int | None = None
    sampling: SamplingOptions = SamplingOptions()
    thinking: Thinking | None = None
    wants_stream: bool = False
    wants_usage: bool = True
    """Whether a stream's usage is told to the caller: chat asks for it, the others always have it.
    """
    service_tier: str | None = None
    user: str | None = None
    """The end user's opaque id."""
    cache_key: str | None = None
    """``prompt_cache_key``."""
    verbosity: str | None = None
    shared: tuple[tuple[str, str], ...] = ()
    """Members that chat and responses spell alike and messages has not, by name, each as JSON."""
    features: frozenset[Feature] = frozenset()
    """What the turns and tools hold that not every target can take, so that nothing is walked to
    weigh a candidate.
    """
    spelled: frozenset[str] = frozenset()
    """The names of its members, and of marks for caching, as the caller spells them."""
    unread: tuple[Loss, ...] = ()
    """The fields that have no place here, with what it means to lose them."""
    echoed: Mapping[str, bytes] = {}
    """Members of the request that its API's responses repeat, by name, each as JSON."""
    has_legacy_functions: bool = False
    """Whether a request of chat offers its tools as ``functions``: the calls go back as
    ``function_call``.
    """

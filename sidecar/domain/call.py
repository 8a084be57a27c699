"""A call as the app made it, and the ports through which rooms meet it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from sidecar.domain.ids import TraceContext

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Header fields as they stood on the wire: order, repetition and the case of names kept."""


class DialectName(enum.StrEnum):
    """The APIs a path can speak. The value is what configs and metrics call it."""

    CHAT = "chat"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    MESSAGES = "messages"

    __hash__ = str.__hash__
    """A key of dicts on every call; Enum's own hash is a Python function."""


class Operation(enum.StrEnum):
    """What a call wants done, which decides whether it is routed and pinned."""

    GENERATE = "generate"
    """Chat, responses, messages: routed, pinned, streamed."""
    EMBED = "embed"
    """Embeddings: to the requested model, never routed or pinned."""
    COUNT_TOKENS = "count_tokens"
    """Anthropic's token counter: to the session's pinned model or the requested one."""
    PASSTHROUGH = "passthrough"
    """The rest of a provider's API, bytes untouched."""


class Endpoint(msgspec.Struct, frozen=True):
    """A data path: where the app calls, what it speaks there, and what it wants."""

    path: str
    dialect: DialectName
    operation: Operation


ENDPOINTS: Final = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("/v1/chat/completions", DialectName.CHAT, Operation.GENERATE),
        Endpoint("/v1/responses", DialectName.RESPONSES, Operation.GENERATE),
        Endpoint("/v1/messages", DialectName.MESSAGES, Operation.GENERATE),
        Endpoint("/v1/embeddings", DialectName.EMBEDDINGS, Operation.EMBED),
        Endpoint("/v1/messages/count_tokens", DialectName.MESSAGES, Operation.COUNT_TOKENS),
    )
}
"""The POST paths whose bodies are understood, by path."""


class BodyFacts(msgspec.Struct, frozen=True):
    """What one partial decode of a request body told. Offsets are bytes into that very body.

    Source: made by `wire.body.peek_body`; read by lookup, and by `wire.body.patch_body` for each attempt.
    """

    requested_model: str | None = None
    """The ``model`` value; None where it is missing, null, empty or ``none``."""
    wants_stream: bool = False
    model_span: tuple[int, int] | None = None
    """Start and end of the ``model`` value's bytes (quotes included); None where the key is missing."""
    cuts: tuple[tuple[int, int], ...] = ()
    """Spans of our own fields (``routing_preferences``), each with one neighbouring comma, ascending."""
    insert_at: int = 0
    """Offset right behind the opening brace, where a missing ``model`` is inserted."""
    is_empty_object: bool = False
    """Whether nothing is left but braces once ``cuts`` are made: then an inserted member needs no comma."""
    routing_preferences: bytes | None = None
    """The raw inline list, None where the key is missing."""
    holds_provider_state: bool = False
    """The body names ``previous_response_id`` or ``conversation``: only the provider that made it can serve it."""


class InboundHeaders(msgspec.Struct, frozen=True):
    r"""The app's header fields, walked once and sorted by what becomes of them.

    Source: made by `wire.headers.read_headers`. Lines are ``Name: value\r\n`` with the app's own spelling.
    """

    common: Sequence[bytes] = ()
    """Lines for any provider: content and accept headers, user-agent, idempotency-key, x-stainless-*, ``propagate``."""
    openai_family: Sequence[bytes] = ()
    """Lines for OpenAI and compatible providers only."""
    anthropic_family: Sequence[bytes] = ()
    """Lines for Anthropic only."""
    openai_account: Sequence[bytes] = ()
    """``openai-organization`` and ``openai-project``: only with ``passthrough_auth``."""
    anthropic_account: Sequence[bytes] = ()
    """``anthropic-workspace-id``: only with ``passthrough_auth``."""
    credentials: Sequence[bytes] = ()
    """``authorization`` and ``x-api-key`` lines: only with ``passthrough_auth``."""
    accept_encoding: Sequence[bytes] = ()
    """For providers with ``accept_encoding: passthrough``."""
    baggage: Sequence[bytes] = ()
    """Only where ``propagate`` allows it."""
    has_anthropic_version: bool = False
    content_encoding: bytes = b""
    """The request body's coding, lower case; empty for identity."""
    request_ids: Sequence[bytes] = ()
    traceparents: Sequence[bytes] = ()
    tracestates: Sequence[bytes] = ()
    sessions: Sequence[tuple[str, bytes]] = ()
    """(lower-case name, value) of every header in ``routing.session_headers`` that is present."""
    tenants: Sequence[bytes] = ()
    patience: Sequence[tuple[str, bytes]] = ()
    """(lower-case name, value) of the headers by which an app says how long it will wait."""
    has_origin: bool = False
    is_upgrade: bool = False


class Call(msgspec.Struct, frozen=True):
    """One call of the app, as facts. The body is bytes and is never changed.

    Source: made by `listener.handlers`; read by every stop of `proxy.carry`.
    """

    endpoint: Endpoint
    method: str
    query: str
    """With its question mark, or empty; carried on as it came."""
    headers: InboundHeaders
    body: bytes
    facts: BodyFacts
    request_id: str
    trace: TraceContext
    admitted_s: float
    """Monotonic clock."""
    session_id: str | None = None
    tenant: str | None = None
    patience_s: float | None = None
    """How long the app said it will wait, from ``admitted_s``; None if it did not say."""
    passthrough_provider: str | None = None
    """For `Operation.PASSTHROUGH`: the provider entry that the config names for this path."""

    @property
    def dialect(self) -> DialectName:
        """What the app speaks and what errors must be written in."""
        return self.endpoint.dialect


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation, as text."""

    role: str
    text: str


class PromptFacts(msgspec.Struct, frozen=True):
    """The part of a conversation that routing reads; made from the body only when routing needs it."""

    turns: tuple[Turn, ...] = ()
    tool_names: tuple[str, ...] = ()
    holds_provider_state: bool = False


class Problem(msgspec.Struct, frozen=True):
    """An error as the app will read it, before it is put into a dialect's words."""

    status: int
    code: str
    """Ours, from the contract's table; also sent as ``x-plano-error``."""
    message: str
    param: str | None = None
    request_id: str = ""


class Dialect(Protocol):
    """How one API writes what the sidecar itself has to say in it."""

    name: DialectName

    def error_body(self, problem: Problem) -> bytes:
        """The JSON body of an error reply."""
        ...

    def error_event(self, problem: Problem) -> bytes:
        """The server-sent event, blank line included, that tells a started stream's reader that it failed."""
        ...


class Reply(Protocol):
    """A provider's answer whose head has arrived. Whoever holds it closes it: `read` to its end, or `abort`."""

    status: int
    reason: bytes
    headers: RawHeaders
    content_length: int | None
    """As announced; None where the answer is chunked or ends with the connection."""

    def take_whole(self) -> bytes | None:
        """The whole body if all of it has arrived, else None. Once taken, the reply is closed."""
        ...

    async def read(self) -> bytes:
        """The next bytes of the body, as they came; ``b""`` once it is complete, and the reply is closed then.

        Raises: UpstreamError subclasses where the provider dies, stalls or answers nonsense.
        """
        ...

    def abort(self) -> None:
        """Drop the connection at once, so that the provider stops generating. Idempotent; never raises."""
        ...


class Downstream(Protocol):
    """The app's end of a call."""

    def send_whole(self, status: int, reason: bytes, headers: list[bytes], body: bytes) -> None:
        r"""Answer at once: head lines (``Name: value\r\n``, no framing headers) and a complete body."""
        ...

    def start(self, status: int, reason: bytes, headers: list[bytes], content_length: int | None) -> None:
        """Send the head; the body follows by `write`. With None the body is chunked."""
        ...

    async def write(self, data: bytes) -> None:
        """Send body bytes, waiting while the app reads more slowly than the provider sends.

        Raises: ConnectionError if the app is gone.
        """
        ...

    def finish(self) -> None:
        """The body is complete."""
        ...

    def end_broken(self, event: bytes) -> None:
        """Send a last event (may be empty), then close without finishing: the app's client must see a broken
        transfer. Does nothing if the app is gone.
        """
        ...

    def abort(self) -> None:
        """Close at once, without flushing."""
        ...

"""A call as the app made it, read once."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NewType, final

from sidecar.domain.api_paths import ApiPath
from sidecar.domain.ids import TraceContext

if TYPE_CHECKING:
    from sidecar.domain.ports import Upload
    from sidecar.domain.translation import CallTranslation

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Header fields as they stood on the wire: order, repetition and the case of names kept."""

InboundLines = Mapping[str, Sequence[bytes]]
r"""The app's header lines that may go to a provider, ``Name: value\r\n`` with the app's own
spelling, by groups; a group without a line is absent.

``common``: any provider: content and accept headers, user-agent, idempotency-key, x-stainless-*,
and what the config's ``propagate`` names. ``openai``, ``anthropic``: providers of that header
family. ``openai_account``, ``anthropic_account``, ``credentials``: such providers with
``passthrough_auth``. ``accept_encoding``: providers with ``accept_encoding: passthrough``.
``baggage``: any provider, where ``propagate`` allows it. ``via``: providers that may be sidecars.
``coding``: with a body that is passed through. ``..._cache``: who reads it for a prompt cache.
``+name``: entries whose own ``propagate`` names it, and those that see it anyway.
"""

DialectName = NewType("DialectName", str)
"""The name of an API, as configs and metrics spell it. Open: a dialect is added by its module."""

CHAT: Final = DialectName("chat")
RESPONSES: Final = DialectName("responses")
EMBEDDINGS: Final = DialectName("embeddings")
MESSAGES: Final = DialectName("messages")


Edit = tuple[int, int, bytes]
"""Start and end of a piece of a body, and what is sent in its place."""

_MARK_BYTES: Final = 512
"""Of a body's beginning, of its end and of what lies between, so many are looked at for its mark.
"""


class Operation(enum.StrEnum):
    """What is done with a call, which decides whether it is routed and pinned."""

    GENERATE = "generate"
    """Chat, responses, messages: routed, pinned, streamed."""
    EMBED = "embed"
    """Embeddings: to the requested model, never routed or pinned."""
    COUNT_TOKENS = "count_tokens"
    """Anthropic's token counter: to the session's pinned model or the requested one."""
    PASSTHROUGH = "passthrough"
    """The rest of a provider's API, bytes untouched."""

    __hash__ = str.__hash__


@final
@dataclass(init=False, unsafe_hash=True)
class Endpoint:
    """A path of the data port: its dialect, and what is done with its calls."""

    path: Final[str]
    dialect: Final[DialectName]
    operation: Final[Operation]
    base_path: Final[str]
    """What of the path stands in the base URL of this API's SDKs; the rest they append."""
    api_path: Final[ApiPath | None]
    """For `Operation.PASSTHROUGH`: what the path belongs to, where no config names it."""
    is_body_read: Final[bool]
    """Whether bodies are read before the call goes on: they say which model is meant."""
    form_boundary: Final[bytes | None]
    """Of a form that may say which model is meant: what delimits its parts."""

    def __init__(
        self,
        path: str,
        dialect: DialectName,
        operation: Operation,
        base_path: str = "/v1",
        api_path: ApiPath | None = None,
        names_model: bool = False,
        form_boundary: bytes | None = None,
    ) -> None:
        """Args: ``names_model`` is whether a JSON body that is passed through says which one."""
        self.path, self.dialect = path, dialect
        self.operation = operation
        self.base_path = base_path
        self.api_path, self.form_boundary = api_path, form_boundary
        self.is_body_read = names_model or operation is not Operation.PASSTHROUGH


@final
@dataclass(init=False, unsafe_hash=True)
class BodyFacts:
    """What one partial decode of a request body yields. Offsets are bytes into that very body.

    Source: made by `Dialect.peek`; read by lookup, and by `Dialect.patch` for each attempt.
    """

    requested_model: Final[str | None]
    """The ``model`` value; None where it is missing, null, empty or ``none``."""
    wants_stream: Final[bool]
    model_span: Final[tuple[int, int] | None]
    """Start and end of the ``model`` value's bytes (quotes included); None where the key is
    missing.
    """
    edits: Final[tuple[Edit, ...]]
    """What of the body is sent otherwise, beside the model's name; ascending, apart from each
    other. The sidecar's own members (``routing_preferences``) are left out, each with one
    neighbouring comma.
    """
    insert_at: Final[int]
    """Offset right behind the opening brace, where a missing ``model`` is inserted."""
    is_empty_object: Final[bool]
    """Whether ``edits`` leave only braces: an inserted member then needs no comma."""
    routing_preferences: Final[bytes | None]
    """The raw JSON of the body's own list; None where the key is missing."""
    holds_provider_state: Final[bool]
    """Whether the body names ``previous_response_id`` or ``conversation``, which only the provider
    that made it can serve.
    """
    session_spans: Final[tuple[tuple[bytes, int, int], ...]]
    """Name, start and end of the value of each member that was asked for since it may name the
    session.
    """
    conversation: Final[tuple[int, int] | None]
    """Start and end of the value that holds the conversation; None where there is none."""
    is_written: Final[bool]
    """Whether the body is not the app's, but was written for a candidate of another API: it goes
    out as it is.
    """
    lost: Final[str]
    """What of the app's own is sent otherwise, or not at all, as ``x-plano-lost`` says it; empty
    for nothing.
    """
    stream_options: Final[tuple[int, int] | None]
    """Start and end of the value of ``stream_options``, which only streams have; None without."""

    def __init__(
        self,
        requested_model: str | None = None,
        wants_stream: bool = False,
        model_span: tuple[int, int] | None = None,
        edits: tuple[Edit, ...] = (),
        insert_at: int = 0,
        is_empty_object: bool = False,
        routing_preferences: bytes | None = None,
        holds_provider_state: bool = False,
        session_spans: tuple[tuple[bytes, int, int], ...] = (),
        conversation: tuple[int, int] | None = None,
        is_written: bool = False,
        lost: str = "",
        stream_options: tuple[int, int] | None = None,
    ) -> None:
        self.requested_model = requested_model
        self.wants_stream = wants_stream
        self.model_span = model_span
        self.edits = edits
        self.insert_at = insert_at
        self.is_empty_object = is_empty_object
        self.routing_preferences = routing_preferences
        self.holds_provider_state = holds_provider_state
        self.session_spans = session_spans
        self.conversation = conversation
        self.is_written = is_written
        self.lost, self.stream_options = lost, stream_options


@final
@dataclass(init=False, unsafe_hash=True)
class Call:
    """One call of the app, as facts. The body is bytes and is never changed.

    Source: made by `listener.handlers`; read by every stop of `proxy.handle`.
    """

    endpoint: Final[Endpoint]
    method: Final[str]
    query: Final[str]
    """With its question mark, or empty; sent on as it came to the providers of ``query_for``."""
    headers: Final[InboundLines]
    body: bytes
    """Empty once it was let go."""
    facts: Final[BodyFacts]
    request_id: Final[str]
    trace: Final[TraceContext]
    admitted_s: Final[float]
    """When the call was admitted, on the monotonic clock."""
    session_id: Final[str | None]
    """As the app sent it; None for a call without a session."""
    tenant: Final[str | None]
    """As the app sent it, or as the config fixes it; None without tenants."""
    agent: Final[str | None]
    """The sub-agent of the session that makes the call, as the app sent it; None for the session's
    main loop, and for a call without a session.
    """
    client_timeout_s: Final[float | None]
    """How long the app will wait, in seconds from ``admitted_s``; None if it did not say."""
    plano_timeout_s: Final[float | None]
    """What ``x-plano-timeout-ms`` says of that, which alone may also lengthen ``first_byte_s``:
    SDKs set the other headers without being asked. None where it is absent.
    """
    passthrough_provider: Final[str | None]
    """For `Operation.PASSTHROUGH`: the provider entry that the config names for this path; None
    where it names none, and one is meant all the same.
    """
    give_back: Final[Callable[[int], None] | None]
    """Gives back the memory that the body has taken, so many bytes; None where it has taken none.
    """
    upload: Final[Upload | None]
    """For `Operation.PASSTHROUGH`: a long body, in the place of ``body``."""
    query_for: frozenset[str] | None
    """The entries at the server that the query was written for: it may hold a key. None: any. Set
    once the call is sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        method: str,
        query: str,
        headers: InboundLines,
        body: bytes,
        facts: BodyFacts,
        request_id: str,
        trace: TraceContext,
        admitted_s: float,
        session_id: str | None = None,
        tenant: str | None = None,
        agent: str | None = None,
        client_timeout_s: float | None = None,
        plano_timeout_s: float | None = None,
        passthrough_provider: str | None = None,
        give_back: Callable[[int], None] | None = None,
        upload: Upload | None = None,
        query_for: frozenset[str] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.method = method
        self.query = query
        self.headers = headers
        self.body = body
        self.facts = facts
        self.request_id = request_id
        self.trace = trace
        self.admitted_s = admitted_s
        self.session_id = session_id
        self.tenant = tenant
        self.agent = agent
        self.client_timeout_s, self.plano_timeout_s = client_timeout_s, plano_timeout_s
        self.passthrough_provider = passthrough_provider
        self.upload, self.query_for = upload, query_for
        self.give_back = give_back
        self.body_bytes, self._body_mark, self._translation_bytes = len(body), 0, 0
        self.translation: CallTranslation | None = None
        """As the call was read for candidates of other APIs; None before, and without its body."""

    @property
    def bytes_in(self) -> int:
        """How long the body is, decompressed; of an upload, how much of it has come."""
        return self.body_bytes if self.upload is None else self.upload.received_bytes

    def keep_translation(self, translation: CallTranslation, size: int) -> None:
        """Keep what the body was read into, for as long as the body itself.

        Args: ``size`` is the memory that was taken for it.
        """
        self.translation, self._translation_bytes = translation, size

    def release_body(self) -> None:
        """Let go of the body: it has been sent, and no later attempt needs it. Idempotent."""
        if self.body:
            if self.facts.wants_stream:
                self._body_mark = self.body_mark()  # a stream may still fail
            self.body = b""
            if self.give_back is not None:
                self.give_back(self.body_bytes)
            if self.translation is not None:
                self.translation = None
                if self.give_back is not None:
                    self.give_back(self._translation_bytes)

    def body_mark(self) -> int:
        """Return a number that differs where the bodies of two calls do, as far as a look at some
        of their bytes tells. 0 once the body of a call without a stream was let go.
        """
        body = self.body
        if not body:
            return self._body_mark
        size = len(body)
        some = body[:: size // _MARK_BYTES + 1]
        return hash((size, some, body[:_MARK_BYTES], body[-_MARK_BYTES:]))

"""The vocabularies of telemetry: how attempts, calls, questions to the router model and operations
on pins can end, and why.

Each member's value is the label of a metric (later also of spans and log lines), and the line below
the member is what the references say about it.
"""

from __future__ import annotations

import enum


class AttemptOutcome(enum.StrEnum):
    """How one attempt at a provider ended."""

    OK = "ok"
    """Its response was complete, with a status below 400."""
    RATE_LIMITED = "rate_limited"
    """Status 429."""
    SERVER_ERROR = "server_error"
    """Status 500 or above."""
    CREDENTIAL_REFUSED = "credential_refused"
    """The provider refused the configured credential."""
    CLIENT_ERROR = "client_error"
    """Another status of 400 or above."""
    CONNECT_FAILED = "connect_failed"
    """No connection, or one that was gone before its first byte."""
    TIMEOUT = "timeout"
    """A timeout passed before the response was complete."""
    MALFORMED = "malformed"
    """What came back was not HTTP, or a page for a browser."""
    ERROR_BODY = "error_body"
    """Status 200, and an error in the place of the response or in mid-stream."""
    CUT = "cut"
    """The provider ended the response before it was complete."""
    CANCELLED = "cancelled"
    """The app left or stopped reading, or the sidecar stopped."""

    __hash__ = str.__hash__
    """A key of dicts on every call; Enum's own hash is a Python function."""


class CallOutcome(enum.StrEnum):
    """How a request of the app ended."""

    OK = "ok"
    """Served completely."""
    CLIENT_ERROR = "client_error"
    """The sidecar refused the request as wrong, or a provider did: with a 4xx other than 429, and
    not for the configured credential.
    """
    UPSTREAM_ERROR = "upstream_error"
    """No provider could be reached, or the provider's response was a 429 or a 5xx, or refused the
    configured credential.
    """
    SIDECAR_ERROR = "sidecar_error"
    """The sidecar is overloaded or draining, or failed."""
    CANCELLED = "cancelled"
    """The app left before its response was complete."""
    DOWNSTREAM_IDLE = "downstream_idle"
    """The app stopped reading its response: it was let go after ``timeouts.downstream_idle_s``."""
    INCOMPLETE = "incomplete"
    """The response broke off after its beginning had been sent: by the provider, or as the sidecar
    stopped.
    """

    __hash__ = str.__hash__


class FailureClass(enum.StrEnum):
    """Why a candidate did not serve a call."""

    CALLERS_FAULT = "callers_fault"
    """The request is wrong, as the model that the app asked for says."""
    SWAPPED = "swapped"
    """A model that the app did not ask for refused the request as wrong."""
    CALLERS_PATIENCE = "callers_patience"
    """The app left, or its own timeout ended within 10 s."""
    SIGNED_STATE = "signed_state"
    """The model or account cannot read a signature or encrypted content of the conversation."""
    REFUSED = "refused"
    """Status 403 without an authentication code of the provider's own, as a firewall sends it; or a
    gateway's filter left no server for this request."""
    TOO_LONG = "too_long"
    """The prompt does not fit this model's context."""
    OUR_CREDENTIAL = "our_credential"
    """The provider refused the configured credential."""
    CALLERS_CREDENTIAL = "callers_credential"
    """The provider refused the credential that the app sent."""
    QUOTA = "quota"
    """The account has nothing left to spend."""
    MODEL_GONE = "model_gone"
    """The provider does not know the model."""
    BUSY = "busy"
    """Rate limited, overloaded or unreachable."""
    FAILING = "failing"
    """A server error, a broken connection or a late response, which a request may have caused."""
    CONTENT_POLICY = "content_policy"
    """The provider's content filter refused the prompt."""


class RouterOutcome(enum.StrEnum):
    """What came of a call's need for the router model."""

    MATCHED = "matched"
    """It named a route."""
    OTHER = "other"
    """It said that no route fits."""
    UNKNOWN_ROUTE = "unknown_route"
    """It named only routes that do not exist."""
    UNREADABLE = "unreadable"
    """Its text could not be understood."""
    HTTP_ERROR = "http_error"
    """It could not be reached, or its status was not 2xx."""
    TIMEOUT = "timeout"
    """It took longer than ``routing.router_timeout_ms``, or than the app would wait."""
    BREAKER_OPEN = "breaker_open"
    """It was not asked, since it failed several times in a row."""
    BUSY = "busy"
    """It was not asked, since too many questions to it were under way."""


class PinOperation(enum.StrEnum):
    """What was done with a session's pin."""

    GET = "get"
    """Read, for a call."""
    CLAIM = "claim"
    """Written, unless there is one already."""
    REPLACE = "replace"
    """Moved to another model."""
    RELEASE = "release"
    """Dropped."""
    REFRESH = "refresh"
    """Its time to live set anew."""
    WRITE_BACK = "write_back"
    """Written to Redis after an outage."""
    BYPASS = "bypass"
    """Passed over: the call was served without it."""

    __hash__ = str.__hash__


class PinOutcome(enum.StrEnum):
    """What came of an operation on a pin."""

    NEAR_HIT = "near_hit"
    """Found in the sidecar's own memory."""
    HIT = "hit"
    """Found in Redis."""
    MISS = "miss"
    """There is none."""
    CLAIMED = "claimed"
    """Written."""
    ADOPTED = "adopted"
    """Not written: there was one already, which holds."""
    REPLACED = "replaced"
    """Moved."""
    RELEASED = "released"
    """Dropped."""
    LOST = "lost"
    """Not changed: another pod had changed it meanwhile, and its pin holds."""
    STALE_VALUE = "stale_value"
    """Redis holds what cannot be read."""
    ERROR = "error"
    """Redis failed."""
    TIMEOUT = "timeout"
    """Redis took longer than ``routing.session_cache.call_budget_ms``."""
    SKIPPED = "skipped"
    """Redis was not asked: it is down, or the call's budget is spent."""
    DIALECT = "dialect"
    """Bypass: the pinned model does not speak the call's dialect."""
    INLINE_LIST = "inline_list"
    """Bypass: the pinned entry is not on the call's own list, or no route is in effect and the call
    asks for another model."""
    NO_TENANT = "no_tenant"
    """Bypass: the call names a session but no tenant, which is required."""
    UNKNOWN_MODEL = "unknown_model"
    """Bypass: the pinned model is not configured here."""

    __hash__ = str.__hash__


class TokenKind(enum.StrEnum):
    """Tokens as providers count and price them."""

    INPUT = "input"
    """Of the prompt."""
    OUTPUT = "output"
    """Of the response."""
    CACHED_INPUT = "cached_input"
    """Of the prompt, read from the provider's cache."""
    CACHE_WRITE = "cache_write"
    """Of the prompt, written to the provider's cache."""
    REASONING = "reasoning"
    """Of the response, spent on thinking."""


class CandidateCondition(enum.StrEnum):
    """How a candidate stands."""

    SERVING = "serving"
    """It has its usual place in plans."""
    COOLING = "cooling"
    """It failed, and goes last for seconds."""
    EJECTED = "ejected"
    """It goes last for minutes, since a person has to mend something."""


class ConnectionEnd(enum.StrEnum):
    """Why the sidecar closed a connection of an app's."""

    IDLE = "idle"
    """No request came for ``timeouts.idle_connection_s``."""
    CROWDED = "crowded"
    """It was idle the longest of ``limits.idle_connections`` when another one came."""
    UNREAD = "unread"
    """The app has read nothing for ``timeouts.downstream_idle_s``."""


class ConnectionState(enum.StrEnum):
    """What a connection does, to a provider or of an app's."""

    ACTIVE = "active"
    """It carries a call."""
    IDLE = "idle"
    """It is kept for the next call."""


class SpanDrop(enum.StrEnum):
    """Why a span was dropped."""

    QUEUE_FULL = "queue_full"
    """Too many spans waited for the exporter."""
    NOT_EXPORTED = "not_exported"
    """The collector could not be reached, or did not take it."""

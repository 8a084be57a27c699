"""How an attempt and a call ended."""

from __future__ import annotations

import enum

import msgspec

from sidecar.domain.decision import Candidate


class AttemptOutcome(enum.StrEnum):
    """How one attempt at a provider ended: the ``outcome`` label of ``upstream_attempts_total``."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CLIENT_ERROR = "client_error"
    CONNECT_FAILED = "connect_failed"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    CUT = "cut"
    CANCELLED = "cancelled"


class CallOutcome(enum.StrEnum):
    """How a call ended for the app: the ``outcome`` label of ``requests_total``."""

    OK = "ok"
    CLIENT_ERROR = "client_error"
    UPSTREAM_ERROR = "upstream_error"
    SIDECAR_ERROR = "sidecar_error"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"

    __hash__ = str.__hash__
    """A key of dicts on every call; Enum's own hash is a Python function."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens as the provider counted them; None means that it did not say, 0 that it said zero."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class Served(msgspec.Struct, frozen=True, gc=False):
    """What an answer said about itself."""

    usage: Usage | None = None
    """None where it did not say."""
    served_model: str | None = None
    """The provider's own name for the model that answered."""
    finish: str | None = None
    """Why it ended, in the provider's word: ``stop``, ``tool_calls``, ``end_turn``, ``completed``, ..."""


class Timing(msgspec.Struct, frozen=True, gc=False):
    """Where the time of one call went. Durations in seconds on the monotonic clock."""

    total_s: float
    """From admission to the last byte, or to the moment the app left."""
    routing_s: float = 0.0
    """From admission to a finished plan, Redis and the router model included."""
    affinity_s: float = 0.0
    router_s: float = 0.0
    upstream_s: float = 0.0
    """Spent waiting for providers, over all attempts."""
    first_byte_s: float | None = None
    """From admission to the first byte sent to the app; None if none was sent."""

    @property
    def overhead_s(self) -> float:
        """What the sidecar itself added: the total less waiting for Redis, the router model and providers."""
        return max(0.0, self.total_s - self.affinity_s - self.router_s - self.upstream_s)


class Attempt(msgspec.Struct, frozen=True):
    """One try at one candidate."""

    candidate: Candidate
    outcome: AttemptOutcome
    status: int | None
    """The provider's status, None where no head arrived."""
    first_byte_s: float | None
    total_s: float


class Outcome(msgspec.Struct, frozen=True):
    """How a call ended, for observers."""

    result: CallOutcome
    status: int
    """What the app saw; 0 if it left before a head was sent."""
    timing: Timing
    streamed: bool = False
    served: Served | None = None
    """What the answer said about itself; None where nothing was to be read: no answer, an error, a passthrough."""
    candidate: Candidate | None = None
    """Who answered; None where nobody did."""
    error_code: str | None = None
    bytes_out: int = 0

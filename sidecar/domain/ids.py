"""Names that travel with a call: request id, trace context, session."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Final, final

MAX_NAME_BYTES: Final = 256
"""Of a model or a route that a caller names, in UTF-8. Callers invent them, and caches keep them:
OpenAI's own API takes no longer ones either. Sessions, tenants and agents may be longer, since only
their hashes are kept.
"""
_REQUEST_ID_BYTES: Final = 128
_REQUEST_ID_ALPHABET: Final = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:/+=@-"
)

# Ids need to be unique, not secret, and SystemRandom costs a system call for each. Seeded by the
# kernel at import.
_random: Final = random.Random()

FLAG_SAMPLED: Final = 0x01
FLAG_RANDOM_TRACE_ID: Final = 0x02
FLAGS_TEXT: Final = ("00", "01", "02", "03")
"""As headers spell them."""

_LOW_64_BITS: Final = (1 << 64) - 1
_SPAN_ID_STEP: Final = 0x9E3779B97F4A7C15
"""Odd, so that no two numbers below 2**64 give the same span id; large, so that ids of neighbouring
numbers look unlike each other.
"""
AFFINITY_SPAN: Final = -1
"""See `child_span_id`; attempts at providers count from 1."""
ROUTE_SPAN: Final = -2
ROUTER_SPAN: Final = -3


def is_request_id(value: bytes) -> bool:
    """Return whether an incoming ``x-request-id`` may be kept byte for byte: 1 to 128 characters
    of letters, digits and ``._~:/+=@-``.
    """
    return 0 < len(value) <= _REQUEST_ID_BYTES and not value.translate(None, _REQUEST_ID_ALPHABET)


def mint_request_id() -> str:
    """Return a new UUIDv4 in its usual text form."""
    bits = (_random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@final
@dataclass(init=False, unsafe_hash=True)
class TraceContext:
    """A W3C trace context (level 2), valid by construction.

    Source: https://www.w3.org/TR/trace-context-2/
    """

    trace_id: Final[str]
    """32 lower-case hex digits, not all zero."""
    parent_id: Final[str]
    """16 lower-case hex digits, not all zero: the app's span where the context was received, a span
    of the sidecar's own where it was minted here.
    """
    flags: Final[int]
    """Only the bits that level 2 defines: ``FLAG_SAMPLED``, ``FLAG_RANDOM_TRACE_ID``."""
    tracestate: Final[str]
    """The combined list members, at most 32, without blanks around them; empty if the app sent
    none.
    """
    received: Final[bool]
    """Whether the app sent the context; else it was minted here."""
    span_id: Final[str]
    """The sidecar's own span of the call, from which those below it are derived (`child_span_id`);
    empty while tracing is off.
    """

    def __init__(
        self,
        trace_id: str,
        parent_id: str,
        flags: int,
        tracestate: str = "",
        received: bool = False,
        span_id: str = "",
    ) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.flags = flags
        self.tracestate = tracestate
        self.received = received
        self.span_id = span_id

    @property
    def traceparent(self) -> str:
        """Return the value of the header ``traceparent``, as version 00."""
        return f"00-{self.trace_id}-{self.parent_id}-{FLAGS_TEXT[self.flags]}"


@final
@dataclass(init=False, unsafe_hash=True)
class Sampling:
    """Which traces are sampled, while tracing is on."""

    follows_app: Final[bool]
    """Whether the flag of a received context decides, and the share only for new traces."""
    bound: Final[int]
    """The share of traces, as a part of 2**64: those are sampled whose id's lower 64 bits are below
    it. OpenTelemetry's own ratio sampler decides so, hence all services alike.
    """

    def __init__(self, *, follows_app: bool, share: float) -> None:
        """Args: ``share`` is from 0 to 1."""
        self.follows_app = follows_app
        self.bound = round(share * (_LOW_64_BITS + 1))


def mint_trace_context(sampling: Sampling | None = None) -> TraceContext:
    """Return a new trace. It does not claim that its id is random, although it is.

    Args: ``sampling`` decides whether it is sampled; None while tracing is off: it is not.
    """
    bits, span_id = _random.getrandbits(128) or 1, mint_span_id()
    if sampling is None:
        return TraceContext(f"{bits:032x}", span_id, 0)
    is_sampled = bits & _LOW_64_BITS < sampling.bound
    return TraceContext(f"{bits:032x}", span_id, FLAG_SAMPLED if is_sampled else 0, span_id=span_id)


def mint_span_id() -> str:
    """Return a new span id: 16 lower-case hex digits, never all zero."""
    return f"{_random.getrandbits(64) or 1:016x}"


def child_span_id(span_id: str, number: int) -> str:
    """Return the id of a span below another one: a function of both, so that what sends it and what
    exports the span need not tell each other.

    Args: ``number`` counts attempts at providers from 1, or is one of the constants ``..._SPAN``.
    """
    return f"{(int(span_id, 16) + number * _SPAN_ID_STEP) & _LOW_64_BITS or 1:016x}"


def is_sampled_id(trace_id: str, sampling: Sampling) -> bool:
    """Return whether a trace belongs to the share that is sampled."""
    return int(trace_id[16:], 16) < sampling.bound


def shown_hash(text: str) -> str:
    """Return what stands for a session's or tenant's name where operators read: the first 16 hex
    digits of the SHA-256 of its UTF-8.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def as_shown(text: str) -> str:
    """Return `shown_hash` of a name that an operator typed, or copied from where it is shown."""
    is_shown = len(text) == 16 and not text.strip("0123456789abcdef")
    return text if is_shown else shown_hash(text)


@final
@dataclass(init=False, unsafe_hash=True)
class Session:
    """The conversation that a call belongs to, with the key under which a store finds its pins.

    Source: made by `affinity.session`, once per call.
    """

    tenant: Final[str | None]
    """As the app sent it."""
    session_id: Final[str]
    """As the app sent it."""
    agent: Final[str | None]
    """The sub-agent that makes the call, as the app sent it: a session of its own beside the main
    loop's.
    """
    lane: Final[str]
    """The requested model after alias: agents make side calls to other models under the same id."""
    key: Final[str]
    """The key that all lanes of the session share."""

    def __init__(
        self,
        tenant: str | None,
        session_id: str,
        agent: str | None,
        lane: str,
        key: str,
    ) -> None:
        self.tenant = tenant
        self.session_id = session_id
        self.agent = agent
        self.lane = lane
        self.key = key

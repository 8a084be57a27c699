"""Names that travel with a call: request id, trace context, session."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Final, final

_REQUEST_ID_BYTES: Final = 128
_REQUEST_ID_ALPHABET: Final = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:/+=@-"
)

# Ids need to be unique, not secret, and SystemRandom costs a system call for each. Seeded by the
# kernel at import.
_random: Final = random.Random()

FLAG_SAMPLED: Final = 0x01
FLAG_RANDOM_TRACE_ID: Final = 0x02
_FLAGS: Final = ("00", "01", "02", "03")


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

    def __init__(
        self,
        trace_id: str,
        parent_id: str,
        flags: int,
        tracestate: str = "",
        received: bool = False,
    ) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.flags = flags
        self.tracestate = tracestate
        self.received = received

    @property
    def traceparent(self) -> str:
        """Return the value of the header ``traceparent``, as version 00."""
        return f"00-{self.trace_id}-{self.parent_id}-{_FLAGS[self.flags]}"


def mint_trace_context() -> TraceContext:
    """Return a new trace whose flags are 00: it is not sampled, and does not claim that its id is
    random, although it is.
    """
    return TraceContext(
        trace_id=f"{_random.getrandbits(128) or 1:032x}",
        parent_id=mint_span_id(),
        flags=0,
    )


def mint_span_id() -> str:
    """Return a new span id: 16 lower-case hex digits, never all zero."""
    return f"{_random.getrandbits(64) or 1:016x}"


def shown_hash(name: str) -> str:
    """Return what logs and traces show of a session, tenant or agent: the first 16 hex digits of
    the SHA-256 of its UTF-8.
    """
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


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

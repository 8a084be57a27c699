"""What the config says about headers, and what comes of it for one of them."""

from __future__ import annotations

from typing import Final

import msgspec

AFFINITY_HEADER: Final = "x-model-affinity"


class HeaderPolicy(msgspec.Struct, frozen=True, cache_hash=True):
    """What the config says about headers. Names in any case."""

    session_headers: tuple[str, ...] = (AFFINITY_HEADER,)
    """Names that carry a session id; the first present one counts. `AFFINITY_HEADER` leads where it
    is not listed.
    """
    tenant_header: str | None = None
    propagate: frozenset[str] = frozenset()
    """More names that go to every provider."""


class Treatment(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one request header."""

    line: str = ""
    """The field of InboundHeaders that takes its line; empty: it is not forwarded."""
    fact: str = ""
    """The field of InboundHeaders that takes its value, or ``special``; empty: it is not read."""
    key: str = ""
    """The lower-case name, where the fact is kept with it."""
    may_be_dropped: bool = True
    """Whether a Connection header may name it."""

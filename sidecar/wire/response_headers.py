"""A provider's response headers for the app.

Source: RFC 9110, 7.6.1 (Connection).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from sidecar.domain.call import RawHeaders
from sidecar.runtime.bounded import BoundedMap
from sidecar.wire.headers import PLAIN_CONNECTIONS, is_hop_by_hop, tokens_of

_MAX_KEPT_NAMES: Final = 512
_MAX_KEPT_NAME_BYTES: Final = 64
_CODING: Final = b"content-encoding"
_PLAIN_CODINGS: Final = (b"identity", b"none", b"")
"""Codings that leave the bytes as they are. ``none`` is no registered coding: apps set it so that
their framework does not compress an event stream.
"""


class Passage(enum.IntEnum):
    """What becomes of one response header."""

    DROP = 0
    PASS = 1
    UPSTREAM_ID = 2
    """The provider's ``x-request-id``: ours takes that name."""
    PASS_AND_UPSTREAM_ID = 3
    """The provider's ``request-id``."""
    CONNECTION = 4


_PASSAGES: Final = {
    "connection": Passage.CONNECTION,
    "content-length": Passage.DROP,
    "x-request-id": Passage.UPSTREAM_ID,
    "request-id": Passage.PASS_AND_UPSTREAM_ID,
    # What a provider says of its own origin would be taken for true of this host and all its ports:
    # other servers for it, TLS alone, stored data to delete, where to report its errors.
    **dict.fromkeys(
        ("alt-svc", "clear-site-data", "nel", "report-to", "strict-transport-security"),
        Passage.DROP,
    ),
}


class ResponseNames(BoundedMap[bytes, Passage]):
    """Response header names as spelled -> what becomes of them. Filled as names come."""

    def __init__(self) -> None:
        super().__init__(_MAX_KEPT_NAMES)

    def __missing__(self, name: bytes) -> Passage:
        lower = name.decode("latin-1").lower()
        passage = _PASSAGES.get(lower)
        if passage is None:
            ours = lower.startswith("x-plano-")
            passage = Passage.DROP if ours or is_hop_by_hop(lower) else Passage.PASS
        if len(name) <= _MAX_KEPT_NAME_BYTES:
            self.add(name, passage)
        return passage


_PASS: Final = Passage.PASS
_DROP: Final = Passage.DROP
_response_names: Final = ResponseNames()
"""A cache, at most 512 names."""


def coding_of(headers: RawHeaders) -> bytes:
    """Return the content coding of a provider's body, in lower case; empty where its bytes are
    plain. Of several the last one counts that is not plain.
    """
    coding = b""
    for name, value in headers:
        if len(name) == len(_CODING) and name.lower() == _CODING:
            found = value.strip().lower()
            if found not in _PLAIN_CODINGS:
                coding = found
    return coding


def response_lines(raw: RawHeaders, extra: Iterable[bytes] = ()) -> list[bytes]:
    """Write the provider's header fields as lines for the app, in their order and spelling, then
    our own ``extra`` lines.

    Left out: what is the connection's, framing, and names that are ours (``x-plano-*``). The
    provider's id goes to ``x-plano-upstream-request-id``. Values are written as
    `http1.parser` accepted them.
    """
    names = _response_names
    lines: list[bytes] = []
    listed: set[bytes] = set()
    for name, value in raw:
        passage = names[name]
        if passage is _PASS:
            lines.append(name + b": " + value + b"\r\n")
        elif passage is _DROP:
            continue
        elif passage is Passage.CONNECTION:
            if value not in PLAIN_CONNECTIONS:
                listed |= tokens_of(value)
        else:
            if passage is Passage.PASS_AND_UPSTREAM_ID:
                lines.append(name + b": " + value + b"\r\n")
            lines.append(b"x-plano-upstream-request-id: " + value + b"\r\n")
    if listed:
        listed.add(b"connection")
        return response_lines(
            [(name, value) for name, value in raw if name.lower() not in listed], extra
        )
    lines.extend(extra)
    return lines

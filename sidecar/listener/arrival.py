"""What the data port lets in, and a request that it has let in."""

from __future__ import annotations

import msgspec

from sidecar.domain.call import InboundHeaders
from sidecar.listener.intake import Intake
from sidecar.listener.request import Request
from sidecar.wire.header_policy import HeaderPolicy


class DoorPolicy(msgspec.Struct, frozen=True):
    """What the data port lets in."""

    headers: HeaderPolicy
    intake: Intake
    allow_origins: frozenset[str] = frozenset()
    fixed_tenant: str | None = None
    """Wins over the tenant header."""
    passthrough: tuple[tuple[str, str], ...] = ()
    """(path prefix, provider), longest prefix first."""


class Arrival(msgspec.Struct, frozen=True):
    """A request whose head was read."""

    request: Request
    path: str
    query: str
    """With its question mark, or empty."""
    headers: InboundHeaders
    request_id: str
    admitted_s: float

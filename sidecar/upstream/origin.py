"""Where a provider is, how long it may take, and how many connections it has."""

from __future__ import annotations

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """Where a provider is."""

    scheme: str
    host: str
    port: int
    server_name: str | None = None
    """For SNI and verification, where it is not ``host``."""

    @property
    def place(self) -> str:
        """``host:port``, as errors name it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ExchangeTimeouts(msgspec.Struct, frozen=True):
    """How long one exchange may take. None: for ever."""

    connect_s: float
    """Name, TCP and TLS together."""
    first_byte_s: float | None = None
    """From sending to the end of the answer's head."""
    response_s: float | None = None
    """From sending to the answer's last byte."""
    idle_s: float | None = None
    """A read of the body that brings nothing."""


class Connections(msgspec.Struct, frozen=True):
    """The connections that one pool holds."""

    provider: str
    """The first entry that uses the pool."""
    active: int
    idle: int

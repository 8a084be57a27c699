"""Where a provider is, how long it may take, and how many connections it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final


@final
@dataclass(init=False, unsafe_hash=True)
class Origin:
    """Where a provider is."""

    scheme: Final[str]
    host: Final[str]
    port: Final[int]
    server_name: Final[str | None]
    """For SNI and verification, where it is not ``host``."""

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        server_name: str | None = None,
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.server_name = server_name

    @property
    def place(self) -> str:
        """``host:port``, as errors name it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@final
@dataclass(init=False, unsafe_hash=True)
class ExchangeTimeouts:
    """How long one exchange may take. None: for ever."""

    connect_s: Final[float]
    """Name, TCP and TLS together."""
    first_byte_s: Final[float | None]
    """From sending to the end of the answer's head."""
    response_s: Final[float | None]
    """From sending to the answer's last byte."""
    idle_s: Final[float | None]
    """A read of the body that brings nothing."""

    def __init__(
        self,
        connect_s: float,
        first_byte_s: float | None = None,
        response_s: float | None = None,
        idle_s: float | None = None,
    ) -> None:
        self.connect_s = connect_s
        self.first_byte_s = first_byte_s
        self.response_s = response_s
        self.idle_s = idle_s


@final
@dataclass(init=False, unsafe_hash=True)
class Connections:
    """The connections that one pool holds."""

    provider: Final[str]
    """The first entry that uses the pool."""
    active: Final[int]
    idle: Final[int]

    def __init__(
        self,
        provider: str,
        active: int,
        idle: int,
    ) -> None:
        self.provider = provider
        self.active = active
        self.idle = idle

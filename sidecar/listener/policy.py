"""What the data port lets in, and a request that it has let in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.listener.body_reader import BodyReader
from sidecar.listener.request import Request
from sidecar.wire.header_names import HeaderPolicy
from sidecar.wire.request_headers import RequestHeaders


@final
@dataclass(init=False, unsafe_hash=True)
class ListenerPolicy:
    """What the data port lets in."""

    headers: Final[HeaderPolicy]
    intake: Final[BodyReader]
    allow_origins: Final[frozenset[str]]
    fixed_tenant: Final[str | None]
    """Wins over the tenant header."""
    passthrough: Final[tuple[tuple[str, str], ...]]
    """(path prefix, provider), longest prefix first."""

    def __init__(
        self,
        headers: HeaderPolicy,
        intake: BodyReader,
        allow_origins: frozenset[str] = frozenset(),
        fixed_tenant: str | None = None,
        passthrough: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.headers = headers
        self.intake = intake
        self.allow_origins = allow_origins
        self.fixed_tenant = fixed_tenant
        self.passthrough = passthrough


@final
@dataclass(init=False, unsafe_hash=True)
class RequestHead:
    """A request whose head was read."""

    request: Final[Request]
    path: Final[str]
    query: Final[str]
    """With its question mark, or empty."""
    headers: Final[RequestHeaders]
    request_id: Final[str]
    admitted_s: Final[float]

    def __init__(
        self,
        request: Request,
        path: str,
        query: str,
        headers: RequestHeaders,
        request_id: str,
        admitted_s: float,
    ) -> None:
        self.request = request
        self.path = path
        self.query = query
        self.headers = headers
        self.request_id = request_id
        self.admitted_s = admitted_s

"""What a scripted provider remembers of a request, byte for byte."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec


class RecordedRequest:
    """One request as it came, and what became of its reply."""

    def __init__(
        self, *, method: str, path: str, query: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        self.method = method
        self.path = path
        """As it was on the request line, without the query."""
        self.query = query
        """With its question mark, or empty."""
        self.headers = headers
        """Order, repetition and the case of names kept."""
        self.body = body
        self.peer: tuple[str, int] | None = None
        """The caller's address: equal for requests on one connection."""
        self.sent = bytearray()
        """The reply's body so far, before any chunking, after any compression."""
        self.when_closed = asyncio.Event()
        """Set when the caller closed the connection before the reply was complete."""
        self.when_done = asyncio.Event()
        """Set when all that was to be sent was handed to the socket."""

    def header(self, name: str) -> str | None:
        """The first value of a header field, whatever its case; None if it is missing."""
        values = self.header_values(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        """All values of a header field, in order."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]

    def json(self) -> Any:
        """The body, decoded. Raises: msgspec.DecodeError."""
        return msgspec.json.decode(self.body)

    def __repr__(self) -> str:
        return f"<RecordedRequest {self.method} {self.path}{self.query}, {len(self.body)} bytes>"

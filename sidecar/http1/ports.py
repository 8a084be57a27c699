"""What a reply, a connection and a pool need of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sidecar.runtime.write_coalescer import Message

if TYPE_CHECKING:
    from sidecar.http1.connection import Connection


Write = Callable[[asyncio.Transport, Message], None]
"""Sends a whole request, a long one in pieces."""


class Source(Protocol):
    """The connection, as far as a reply needs it."""

    def abort(self) -> None:
        """Drop the connection at once; the reply is not interested any more."""
        ...

    def expect_body(self) -> None:
        """The reader is about to wait: the idle timeout runs from now."""
        ...

    def drained(self) -> None:
        """The reader has taken all that was held."""
        ...


class Owner(Protocol):
    """The pool, as far as a connection needs it."""

    read_buffer: memoryview
    """Shared by all connections: a transport fills it and reports that in one go."""

    write: Write
    """Sends a whole request, at once or together with others."""

    def recycle(self, connection: Connection) -> None:
        """The exchange is over and the connection clean."""
        ...

    def discard(self, connection: Connection) -> None:
        """The connection will not be used again; its transport is about to close."""
        ...

    def lost(self, connection: Connection) -> None:
        """The transport has closed."""
        ...

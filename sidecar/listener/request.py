"""A request as the data port's handler sees it, on either path into aiohttp."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Final, Protocol

from aiohttp import StreamReader

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import Overloaded
from sidecar.runtime.memory_budget import HeldBytes

_HEAD_COPIES: Final = 4
"""So often the bytes of a head are in memory: as aiohttp's parser keeps them, twice, as lines for a
provider, and as what is sent of these.
"""


class Request(Protocol):
    """A request whose head has arrived."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where the response goes; None if the app is gone."""
        ...

    @property
    def method(self) -> str:
        """The method, as sent."""
        ...

    @property
    def target(self) -> str:
        """Path and query as sent; the authority of an absolute target is left out."""
        ...

    @property
    def authority(self) -> str:
        """The authority of an absolute target; empty where the target has none."""
        ...

    @property
    def raw_headers(self) -> RawHeaders:
        """Names and values of the header fields, as sent."""
        ...

    @property
    def version(self) -> tuple[int, int]:
        """The version of HTTP that the app speaks. Below 1.1 it knows no chunks; below 1.0 its head
        cannot be trusted.
        """
        ...

    @property
    def keep_alive(self) -> bool:
        """Whether the app wants to send another request."""
        ...

    @property
    def content(self) -> StreamReader:
        """The body, as it arrives."""
        ...

    @property
    def task(self) -> asyncio.Task[Any]:
        """The task that serves the request; it is cancelled when the app goes away."""
        ...

    @property
    def is_last_sent(self) -> bool:
        """Whether all of it has arrived and no request behind it, so that its response may wait for
        the end of the event loop's turn.
        """
        ...

    @property
    def is_write_paused(self) -> bool:
        """Whether the transport holds as much of the response as it should."""
        ...

    def header_values(self, name: str) -> list[str]:
        """Return every value of a header. Args: ``name`` in any case."""
        ...

    def hold_head(self, size: int) -> None:
        """Count a head of so many bytes for as long as the request is at hand.

        Raises: Overloaded where memory has no room for it.
        """
        ...

    def take_body(self) -> bytes | None:
        """Return the whole body if it has arrived, else None."""
        ...

    def bound_framing(self, size: int) -> None:
        """Let the bytes around the body be so many, or as many as the body itself: chunk sizes,
        extensions, trailers. Its reader gets BodyTooLarge where they are more.
        """
        ...

    async def drain(self) -> None:
        """Wait until the app has read enough of what was written.

        Raises: ConnectionError if the app is gone, DownstreamIdle if it has stopped reading.
        """
        ...


class Finished(Protocol):
    """What a handler returns once its response is on the transport."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection can carry another request."""
        ...


Handler = Callable[[Request], Awaitable[Finished]]
ParseErrorHandler = Callable[[Request, BaseException | None], Finished]


_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
"""RFC 9112, 3.2.2."""
NO_HEAD: Final = SimpleNamespace(
    method="UNKNOWN",
    path="/",
    version=(1, 0),
    headers=None,
    raw_headers=(),
    should_close=True,
)
"""Stands for the head of a request whose bytes could not be parsed, or did not come in time."""


class FastRequest:
    """Implements `request.Request`."""

    # aiohttp's own are `Any`: in C or not, as it was built, and mypyc would insist on what mypy
    # sees.
    def __init__(self, message: Any, payload: Any, connection: Any) -> None:
        """Args: a ``RawRequestMessage`` or `NO_HEAD`, its ``StreamReader``, and the
        `connection.Connection` on which it came.
        """
        self._message = message
        self._connection = connection
        self.content: Any = payload
        self.keep_alive: bool = not message.should_close
        self.method: str = message.method
        self.raw_headers: Any = message.raw_headers
        self.target: str = message.path
        self.authority: str = ""
        if self.target[:1] != "/":
            self.authority, self.target = _split(self.target)
        self.task: Any = connection.task
        """Kept by the connection: in Python 3.11 asking asyncio costs a system call."""
        self.transport: Any = connection.transport
        self.version: tuple[int, int] = message.version
        self._held_head: HeldBytes | None = None

    @property
    def is_last_sent(self) -> bool:
        """See `Request.is_last_sent`."""
        return not self._connection.pending and bool(self.content.is_eof())

    @property
    def is_write_paused(self) -> bool:
        """See `Request.is_write_paused`."""
        return bool(self._connection.writing_paused)

    def header_values(self, name: str) -> list[str]:
        """See `Request.header_values`."""
        return list(self._message.headers.getall(name, ())) if self._message.headers else []

    def hold_head(self, size: int) -> None:
        """See `Request.hold_head`."""
        held = self._held_head = HeldBytes(self._connection.head_memory, 0)
        if not held.grow_nowait(_HEAD_COPIES * size):
            raise Overloaded(
                "limits.memory_bytes are taken by other requests' heads", retry_after_s=1
            )

    def take_body(self) -> bytes | None:
        """See `Request.take_body`."""
        if not self.content.is_eof():
            return None
        body: bytes = self._connection.take_buffered(self.content)
        return body

    def bound_framing(self, size: int) -> None:
        """See `Request.bound_framing`."""
        self._connection.framing_at_most = size

    async def drain(self) -> None:
        """See `Request.drain`."""
        await self._connection.drain()

    def _cancel(self, exc: BaseException) -> None:
        """Called by aiohttp when the connection is gone, as it would call its own request."""
        self.content.set_exception(exc)


def _split(target: str) -> tuple[str, str]:
    """Return authority and origin form of an absolute target; of any other none, and itself."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return "", target
    rest = found[2]
    # An authority that is empty must not pass for none.
    return found[1] or "@", rest if rest[:1] == "/" else f"/{rest}"

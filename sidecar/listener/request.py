"""A request as the data port's handler sees it, on either path into aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import StreamReader

from sidecar.domain.call import RawHeaders


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

    def take_body(self) -> bytes | None:
        """Return the whole body if it has arrived, else None."""
        ...

    async def drain(self) -> None:
        """Wait until the app has read enough of what was written.

        Raises: ConnectionError if the app is gone.
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

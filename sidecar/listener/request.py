"""A request as the data port's handler sees it, however aiohttp hands it over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import StreamReader, web

from sidecar.domain.call import RawHeaders


class Answer(Protocol):
    """What a handler returns once it has written its answer."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection can carry another request."""
        ...


class Request(Protocol):
    """A request whose head has arrived."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where the answer goes; None if the app is gone."""
        ...

    @property
    def method(self) -> str:
        """As sent."""
        ...

    @property
    def target(self) -> str:
        """Path and query as sent; the authority of an absolute form is left out."""
        ...

    @property
    def raw_headers(self) -> RawHeaders:
        """Names and values as sent."""
        ...

    @property
    def version(self) -> tuple[int, int]:
        """Of HTTP, as the app says. Below 1.1 there are no chunks, below 1.0 no head that could be
        trusted.
        """
        ...

    @property
    def keep_alive(self) -> bool:
        """Whether the app wants to send another request."""
        ...

    @property
    def content(self) -> StreamReader:
        """The body as it arrives."""
        ...

    @property
    def task(self) -> asyncio.Task[Any]:
        """Which task carries the request; it is cancelled when the app goes away."""
        ...

    @property
    def is_last_sent(self) -> bool:
        """Whether all of it is here and nothing behind it, so that its answer may wait for the end
        of the turn.
        """
        ...

    @property
    def is_write_paused(self) -> bool:
        """Whether the transport holds enough of the answer for now."""
        ...

    def header_values(self, name: str) -> list[str]:
        """Every value of a header, name in any case."""
        ...

    def take_body(self) -> bytes | None:
        """The whole body if it has arrived, else None."""
        ...

    async def drain(self) -> None:
        """Wait until the app has read enough of what was written.

        Raises: ConnectionError if the app is gone.
        """
        ...


Handler = Callable[[Request], Awaitable[Answer]]
ParseErrorHandler = Callable[[Request, BaseException | None], Answer]


class PlainRequest:
    """Implements `Request` on aiohttp's public request alone: the way for releases that
    `connection` does not know.
    """

    __slots__ = ("_request", "transport")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.transport = request.transport

    @property
    def method(self) -> str:
        """See `Request.method`."""
        return self._request.method

    @property
    def target(self) -> str:
        """See `Request.target`."""
        target = self._request.raw_path
        return target if target.startswith("/") else self._request.rel_url.raw_path_qs

    @property
    def raw_headers(self) -> RawHeaders:
        """See `Request.raw_headers`."""
        return self._request.raw_headers

    @property
    def version(self) -> tuple[int, int]:
        """See `Request.version`."""
        return self._request.version

    @property
    def keep_alive(self) -> bool:
        """See `Request.keep_alive`."""
        return self._request.keep_alive

    @property
    def content(self) -> StreamReader:
        """See `Request.content`."""
        return self._request.content

    @property
    def task(self) -> asyncio.Task[Any]:
        """See `Request.task`."""
        task = asyncio.current_task()
        assert task is not None
        return task

    @property
    def is_last_sent(self) -> bool:
        """See `Request.is_last_sent`. What stands behind it is not public: no answer waits."""
        return False

    @property
    def is_write_paused(self) -> bool:
        """See `Request.is_write_paused`."""
        return self._request.protocol.writing_paused

    def header_values(self, name: str) -> list[str]:
        """See `Request.header_values`."""
        return list(self._request.headers.getall(name, ())) if self._request.headers else []

    def take_body(self) -> bytes | None:
        """See `Request.take_body`."""
        content = self._request.content
        return content.read_nowait() if content.is_eof() else None

    async def drain(self) -> None:
        """See `Request.drain`."""
        await self._request.writer.drain()

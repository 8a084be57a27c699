"""A request on what aiohttp's parser hands over, without a request object of aiohttp's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

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
        target: str = message.path
        self.target: str = target if target[:1] == "/" else _origin_form(message)
        self.task: Any = connection.task
        """Kept by the connection: in Python 3.11 asking asyncio costs a system call."""
        self.transport: Any = connection.transport
        self.version: tuple[int, int] = message.version

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

    def take_body(self) -> bytes | None:
        """See `Request.take_body`."""
        if not self.content.is_eof():
            return None
        body: bytes = self._connection.take_buffered(self.content)
        return body

    async def drain(self) -> None:
        """See `Request.drain`."""
        await self._connection.drain()

    def _cancel(self, exc: BaseException) -> None:
        """Called by aiohttp when the connection is gone, as it would call its own request."""
        self.content.set_exception(exc)


def _origin_form(message: Any) -> str:
    """Path and query of a target that has an authority before them, or of one that is none."""
    url = message.url
    form: str = url.raw_path_qs if url.absolute else message.path
    return form

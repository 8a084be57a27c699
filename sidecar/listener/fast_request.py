"""A request on what aiohttp's parser hands over; `connection` makes it, and says what that relies
on.
"""

from __future__ import annotations

from typing import Any


class FastRequest:
    """Implements `request.Request` on what aiohttp's parser hands over, without a request object of
    aiohttp's.
    """

    # aiohttp's own are `Any`: in C or not, as it was built, and mypyc would insist on what mypy
    # sees.
    def __init__(self, message: Any, payload: Any, protocol: Any) -> None:
        """Args: a ``RawRequestMessage``, its ``StreamReader``, and the ``RequestHandler`` of its
        connection.
        """
        self._message = message
        self._protocol = protocol
        self.content: Any = payload
        self.keep_alive: bool = not message.should_close
        self.method: str = message.method
        self.raw_headers: Any = message.raw_headers
        target: str = message.path
        self.target: str = target if target[:1] == "/" else _origin_form(message)
        self.transport: Any = protocol.transport

    @property
    def version(self) -> tuple[int, int]:
        """See `Request.version`."""
        version: tuple[int, int] = self._message.version
        return version

    @property
    def task(self) -> Any:
        """See `Request.task`. Kept by the connection: in Python 3.11 asking asyncio costs a system
        call.
        """
        return self._protocol._task_handler  # noqa: SLF001

    @property
    def is_last_sent(self) -> bool:
        """See `Request.is_last_sent`."""
        return not self._protocol._messages and bool(self.content.is_eof())  # noqa: SLF001

    @property
    def is_write_paused(self) -> bool:
        """See `Request.is_write_paused`."""
        return bool(self._protocol.writing_paused)

    def header_values(self, name: str) -> list[str]:
        """See `Request.header_values`."""
        # The message that aiohttp makes of a parse error has no multidict.
        return list(self._message.headers.getall(name, ())) if self._message.headers else []

    def take_body(self) -> bytes | None:
        """See `Request.take_body`."""
        payload = self.content
        if not payload.is_eof():
            return None
        pieces: Any = getattr(payload, "_buffer", None)
        if not pieces:
            rest: bytes = payload.read_nowait()
            return rest
        # Reading the stream's way asks the parser for more each time, which costs a parse of
        # nothing.
        body: bytes = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    async def drain(self) -> None:
        """See `Request.drain`."""
        await self._protocol._drain_helper()  # noqa: SLF001 - what aiohttp's own writer calls

    def _cancel(self, exc: BaseException) -> None:
        """aiohttp: the connection is gone."""
        self.content.set_exception(exc)


def _origin_form(message: Any) -> str:
    """Path and query of a target that has an authority before them, or of one that is none."""
    url = message.url
    form: str = url.raw_path_qs if url.absolute else message.path
    return form

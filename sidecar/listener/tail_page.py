"""The page `/tail`: calls as they end, one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Generic, Protocol, TypeVar

from aiohttp import web

from sidecar.listener.operators import OF_ALL_PAGES, OperatorPage
from sidecar.listener.page_replies import refusal
from sidecar.runtime.timers import Timeout

TAIL_PATH: Final = "/tail"
_LOOK_S: Final = 60.0
"""Between two looks whether the reader is still there; one that leaves ends the request at once."""
_STALLED_S: Final = 60.0
"""A reader that takes nothing for so long loses its place: there are few."""
_HEADERS: Final = {"Content-Type": "application/x-ndjson", **OF_ALL_PAGES}


class CallLines(Protocol):
    """Calls as they end, for one reader."""

    async def read(self, within_s: float) -> bytes | None:
        """Return the lines that have come; empty where none came in time; None at the end."""
        ...


Lines = TypeVar("Lines", bound=CallLines)


class TailPage(Generic[Lines]):
    """Serves calls as they end. It ends when the reader leaves, or the sidecar does.

    Args: ``follow`` returns the lines of those calls that a query asks for, or None where there are
        enough readers, and raises ValueError for a query that cannot be understood; ``unfollow`` is
        told when the reader has left; a reader that takes nothing for ``stalled_s`` seconds is cut
        off.
    """

    def __init__(
        self,
        follow: Callable[[Mapping[str, str]], Lines | None],
        unfollow: Callable[[Lines], None],
        stalled_s: float = _STALLED_S,
    ) -> None:
        self._follow = follow
        self._unfollow = unfollow
        self._stalled_s = stalled_s

    def pages(self) -> tuple[OperatorPage]:
        """Return the page."""
        text = "calls as they end, one JSON object a line; ?model=&route=&status=&session= choose"
        return (OperatorPage(TAIL_PATH, ("GET",), self._serve, text),)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one reader."""
        try:
            lines = self._follow(dict(request.query))
        except ValueError as error:
            return refusal(400, str(error))
        if lines is None:
            return refusal(503, "there are enough readers; one of them has to leave first")
        try:
            return await self._stream(request, lines)
        finally:
            self._unfollow(lines)

    async def _stream(self, request: web.BaseRequest, lines: Lines) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            while (piece := await lines.read(_LOOK_S)) is not None:
                if piece:
                    async with Timeout(self._stalled_s):
                        await response.write(piece)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()  # what is still buffered is never read
            return response
        await response.write_eof()
        return response

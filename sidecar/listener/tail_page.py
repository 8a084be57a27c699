"""The page `/tail`: calls as they end, one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Generic, Protocol, TypeVar

from aiohttp import web

from sidecar.listener.operators import OperatorPage
from sidecar.listener.page_replies import refusal

TAIL_PATH: Final = "/tail"
_LOOK_S: Final = 60.0
"""Between two looks whether the reader is still there; one that leaves ends the request at once."""
_HEADERS: Final = {
    "Content-Type": "application/x-ndjson",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


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
        told when the reader has left.
    """

    def __init__(
        self,
        follow: Callable[[Mapping[str, str]], Lines | None],
        unfollow: Callable[[Lines], None],
    ) -> None:
        self._follow = follow
        self._unfollow = unfollow

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
            return await _stream(request, lines)
        finally:
            self._unfollow(lines)


async def _stream(request: web.BaseRequest, lines: CallLines) -> web.StreamResponse:
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    while (piece := await lines.read(_LOOK_S)) is not None:
        if piece:
            await response.write(piece)
    await response.write_eof()
    return response

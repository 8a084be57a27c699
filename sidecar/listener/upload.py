"""A long body of a passthrough path, sent on while it arrives, at the pace of the slower side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from sidecar.domain.errors import MalformedRequest, RequestTimeout
from sidecar.listener.request import Request
from sidecar.runtime.timers import Timeout

WINDOW_BYTES: Final = 256 * 1024
"""Of an upload that are here at a time: what aiohttp and the provider's transport buffer of it."""
_INTERIM_SINCE: Final = (1, 1)
_LAST_CHUNK: Final = b"0\r\n\r\n"


class StreamedUpload:
    """Implements `domain.call.Upload` for a request whose body is still arriving."""

    def __init__(
        self, request: Request, length: int | None, silence_s: float, first: Sequence[bytes] = ()
    ) -> None:
        """Args: ``silence_s`` is for how long the app may send nothing while its next bytes are
        waited for; ``first`` are the bytes that were read already.
        """
        self.length = length
        self.received_bytes = sum(map(len, first))
        self.is_begun = False
        self.is_complete = False
        """Whether it was read to its end."""
        self._request = request
        self._silence_s = silence_s
        self._first = b"".join(first)

    async def read(self) -> bytes:
        """See `domain.call.Upload.read`. HTTP/1.1 clients that wait to be told so go on now."""
        if self.is_complete:
            return b""
        if not self.is_begun and not self._first:
            say_continue(self._request)
        self.is_begun = True
        piece, self._first = self._first, b""
        if not piece:
            piece = await next_piece(self._request, self._silence_s)
            self.received_bytes += len(piece)
        if piece:
            return piece if self.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
        self.is_complete = True
        return b"" if self.length is not None else _LAST_CHUNK


async def next_piece(request: Request, within_s: float) -> bytes:
    """Return the next bytes of a body; ``b""`` at its end.

    Raises: RequestTimeout, MalformedRequest, BodyTooLarge; ConnectionError if the app left.
    """
    try:
        async with Timeout(within_s):
            piece: bytes = await request.content.readany()
            return piece
    except TimeoutError as error:
        raise RequestTimeout(f"nothing came of the request body for {within_s:g} s") from error
    except web.RequestPayloadError as error:
        raise MalformedRequest("the request body's framing is broken") from error


def say_continue(request: Request) -> None:
    """Tell an app that waits for it to send its body. HTTP/1.0 knows no interim response (RFC 9110,
    10.1.1).
    """
    if request.version < _INTERIM_SINCE or request.transport is None:
        return
    if any("100-continue" in value.lower() for value in request.header_values("Expect")):
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

"""A long body of a passthrough path, sent on while it arrives, at the pace of the slower side."""

from __future__ import annotations

from typing import Final, final

from aiohttp import web

from sidecar.domain.call import Edit
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
        self, request: Request, length: int | None, silence_s: float, first: bytes = b""
    ) -> None:
        """Args: ``silence_s`` is for how long the app may send nothing while its next bytes are
        waited for; ``first`` are the bytes that were read already.
        """
        self.length = length
        self.received_bytes = len(first)
        self.is_begun = False
        self.is_complete = False
        """Whether it was read to its end."""
        self._request = request
        self._silence_s = silence_s
        self._first = _FirstBytes(first)

    def use(self, edit: Edit | None) -> None:
        """See `domain.ports.Upload.use`."""
        more = self._first.use(edit)
        if self.length is not None:
            self.length += more

    async def read(self) -> bytes:
        """See `domain.call.Upload.read`. HTTP/1.1 clients that wait to be told so go on now."""
        if self.is_complete:
            return b""
        if not self.is_begun and not self._first.came:
            say_continue(self._request)
        self.is_begun = True
        piece = self._first.take()
        if not piece:
            piece = await next_piece(self._request, self._silence_s)
            self.received_bytes += len(piece)
        if piece:
            return piece if self.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
        self.is_complete = True
        return b"" if self.length is not None else _LAST_CHUNK


@final
class _FirstBytes:
    """What of an upload had come before it was begun."""

    def __init__(self, came: bytes) -> None:
        self.came = came
        self._edit: Edit = 0, 0, b""

    def use(self, edit: Edit | None) -> int:
        """Have a piece of it sent otherwise; return how many bytes more are sent of it than were
        to be before.
        """
        former, self._edit = self._edit, edit or (0, 0, b"")
        return _added(self._edit) - _added(former)

    def take(self) -> bytes:
        """Return what is sent of it, once."""
        start, end, text = self._edit
        came, self.came, self._edit = self.came, b"", (0, 0, b"")
        return came if start == end else came[:start] + text + came[end:]


def _added(edit: Edit) -> int:
    start, end, text = edit
    return len(text) - (end - start)


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

"""Reading a request's body: whole, within its limit, as it came."""

from __future__ import annotations

from aiohttp import web

from sidecar.domain.call import InboundHeaders
from sidecar.domain.errors import BodyTooLarge, MalformedRequest, UnsupportedEncoding


async def read_body(request: web.BaseRequest, headers: InboundHeaders, limit_bytes: int) -> bytes:
    """The whole body, at most ``limit_bytes``.

    Raises: UnsupportedEncoding, BodyTooLarge, MalformedRequest; ConnectionError if the app left.
    """
    if headers.content_encoding not in (b"", b"identity"):
        raise UnsupportedEncoding("the request body must not be compressed: send it with content-encoding identity")
    payload = request.content
    if payload.is_eof():
        # The usual case: the body came with the head. Nothing to wait for, and most often one piece.
        body = payload.read_nowait()
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
        return body
    announced = request.content_length
    if announced is not None and announced > limit_bytes:
        raise _too_large(limit_bytes)
    if "100-continue" in request.headers.get("Expect", "").lower() and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await _gather(request, limit_bytes)


async def _gather(request: web.BaseRequest, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := await request.content.readany():
            size += len(piece)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            pieces.append(piece)
    except web.RequestPayloadError as error:
        raise MalformedRequest("the request body's framing is broken") from error
    return b"".join(pieces)


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request body is longer than limits.body_bytes ({limit_bytes})")

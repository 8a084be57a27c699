"""Reading a request's body: whole, within its limit, as it came."""

from __future__ import annotations

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from sidecar.domain.call import InboundHeaders
from sidecar.domain.errors import (
    BodyTooLarge,
    DownstreamError,
    HeadersTooLarge,
    MalformedRequest,
    UnsupportedEncoding,
)
from sidecar.listener.request import Request


def take_whole_body(request: Request, headers: InboundHeaders, limit_bytes: int) -> bytes | None:
    """The body if all of it came with the head, as it mostly does; None where it must be waited for.

    Raises: UnsupportedEncoding, BodyTooLarge.
    """
    if headers.content_encoding:
        raise UnsupportedEncoding("the request body must not be compressed: send it with content-encoding identity")
    body = request.take_body()
    if body is not None and len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    return body


async def read_body(request: Request, headers: InboundHeaders, limit_bytes: int) -> bytes:
    """The whole body, at most ``limit_bytes``, waiting for it.

    Raises: UnsupportedEncoding, BodyTooLarge, MalformedRequest; ConnectionError if the app left.
    """
    body = take_whole_body(request, headers, limit_bytes)
    if body is not None:
        return body
    announced = request.header_values("Content-Length")
    if announced and int(announced[0]) > limit_bytes:
        raise _too_large(limit_bytes)
    if (
        any("100-continue" in value.lower() for value in request.header_values("Expect"))
        and request.transport is not None
    ):
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await _gather(request, limit_bytes)


def parse_error_of(error: BaseException | None) -> DownstreamError:
    """What aiohttp's parser complained of, in our words: its own repeat the bytes, credentials included."""
    if isinstance(error, LineTooLong) or "Too many headers" in str(error):
        return HeadersTooLarge("the request's headers are over 64 KiB, or more than 128")
    return MalformedRequest("the request is not well-formed HTTP/1.1")


async def _gather(request: Request, limit_bytes: int) -> bytes:
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

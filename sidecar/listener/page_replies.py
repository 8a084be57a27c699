"""Replies of the pages for operators, and the JSON that their requests bring."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from sidecar.runtime.timers import Timeout

BODY_BYTES: Final = 4096
"""A body that changes something is one small JSON object."""
_BODY_S: Final = 5.0
_PIECE_BYTES: Final = 32_768


class BadBody(Exception):
    """A request's body is not what its page takes; the text says why."""


def text_reply(status: int, text: str) -> web.Response:
    """Return a reply for a person to read."""
    return web.Response(status=status, text=text, content_type="text/plain")


def json_reply(status: int, facts: object) -> web.Response:
    """Return a reply of one JSON value, a line."""
    return web.Response(
        status=status, body=msgspec.json.encode(facts) + b"\n", content_type="application/json"
    )


def refusal(status: int, why: str, allow: str = "") -> web.Response:
    """Return a reply that says why nothing was done.

    Args: ``allow`` names the methods that a page takes.
    """
    response = json_reply(status, {"error": why})
    if allow:
        response.headers["Allow"] = allow
    return response


def is_long(response: web.Response) -> bool:
    """Return whether a reply is longer than what is held for a peer that does not read."""
    return isinstance(response.body, bytes) and len(response.body) > _PIECE_BYTES


async def send_in_pieces(
    request: web.BaseRequest, response: web.Response, within_s: float
) -> web.StreamResponse:
    """Send a reply of which `is_long` is true as fast as its peer reads. All replies share one
    body's bytes: of each no more than a piece is held. A peer that has not read it all within
    ``within_s`` seconds is cut off.
    """
    assert isinstance(response.body, bytes)
    sent = web.StreamResponse(status=response.status, headers=response.headers)
    sent.content_length = len(response.body)
    body = memoryview(response.body)
    try:
        async with Timeout(within_s):
            await sent.prepare(request)
            for at in range(0, len(body), _PIECE_BYTES):
                await sent.write(body[at : at + _PIECE_BYTES])
                await request.writer.drain()
            await sent.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return sent


def wants_text(request: web.BaseRequest) -> bool:
    """Return whether a page that has both forms is asked for the one that a person reads: by
    ``?format=text``, or by an ``Accept`` that names text before JSON.
    """
    form = request.query.get("format")
    if form is not None:
        return form == "text"
    accepted = [item.partition(";")[0].strip() for item in _accepted(request).split(",")]
    for kind in accepted:
        if kind in ("application/json", "*/*", "application/*"):
            return False
        if kind.startswith("text/"):
            return True
    return False


def _accepted(request: web.BaseRequest) -> str:
    return request.headers.get("Accept", "").lower()


async def read_object(request: web.BaseRequest) -> dict[str, Any]:
    """Return the JSON object that a request's body is; an empty body is an empty object.

    Raises: BadBody, also where the body is too long, or does not come within `_BODY_S` seconds.
    """
    body = bytearray()
    try:
        async with Timeout(_BODY_S):
            while piece := await request.content.readany():
                body += piece
                if len(body) > BODY_BYTES:
                    raise BadBody(f"the body is longer than {BODY_BYTES} bytes")
    except TimeoutError:
        raise BadBody(f"the body did not come within {_BODY_S:.0f} s") from None
    except web.RequestPayloadError:
        raise BadBody("the body is broken off") from None
    if not body.strip():
        return {}
    try:
        facts = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise BadBody("the body is not JSON") from None
    if not isinstance(facts, dict):
        raise BadBody("the body is not a JSON object")
    return facts

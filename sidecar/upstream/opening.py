"""The beginning of a response of status 200: whether the provider serves the call with it, or says
in it that it cannot.

A stream may begin with a preamble (comments, pings, the response's id) and go on with an error; a
whole body may be an error object, and a proxy on the way may send a page of its own. While that can
still be seen, nothing goes to the app, so that another candidate may serve the call. Bytes are only
looked at: they are read by the relay, as they came.

`EventScan` and the functions below it decide, and wait for nothing; `opened` waits.
"""

from __future__ import annotations

import enum
import re
from typing import Final, final

from sidecar.dialects.base import Dialect, EventKind
from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import (
    LoopDetected,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRedirects,
    UpstreamReset,
)
from sidecar.domain.ports import ArrivingReply
from sidecar.runtime.memory_budget import HeldBytes, MemoryShare
from sidecar.upstream.buffered_reply import FREE_BYTES, BufferedReply
from sidecar.wire.response_headers import coding_of

HELD_BYTES: Final = 64 * 1024
"""As much of a beginning is held at most: what the connection's reader buffers anyway. OpenAI's
``response.created`` repeats the instructions and tools of the request, tens of KiB for an agent.
"""
HELD_S: Final = 0.5
"""From the first byte on, a beginning is held for so long at most."""

LOOP_STATUS: Final = LoopDetected.status
_LOOP_CODE: Final = LoopDetected.code.encode()
_OK: Final = 200
_NO_CONTENT: Final = frozenset({204, 205, 304})
"""Statuses without a body: no API has one of them for a model's response, and no SDK can read it.
"""

_BOM: Final = b"\xef\xbb\xbf"
_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|[\r\n])")
"""The end of a line and an empty line behind it."""
_COMMENTS: Final = re.compile(rb"(?:(?::[^\r\n]*+)?(?:\r\n|[\r\n]))++")
"""Lines before an event that say nothing; a stream may begin with thousands."""
_ERROR_FIRST: Final = re.compile(rb'\s*(?:\[\s*)?\{\s*"error"\s*:\s*\{')
"""A body whose first member is an error object is one, also if the rest does not come in time."""
_JSON_FIRST: Final = (b"{", b"[")
_FIELDS: Final = b":deir"
"""First letters of a stream's lines: a comment, ``data``, ``event``, ``id``, ``retry``."""
_CONTENT_TYPE: Final = b"content-type"
_HTML: Final = (b"text/html", b"application/xhtml")
_TEXT: Final = b"text/plain"
_FIELD: Final = re.compile(rb":|(?:data|event|id|retry)\b")
"""What a line of a stream begins with."""


class Opening(enum.Enum):
    """What the beginning of a response shows."""

    UNDECIDED = "undecided"
    SERVED = "served"
    ERROR = "error"
    PAGE = "page"


UNDECIDED: Final = Opening.UNDECIDED
SERVED: Final = Opening.SERVED
ERROR: Final = Opening.ERROR
PAGE: Final = Opening.PAGE


@final
class EventScan:
    """Looks for the first event of a stream that is no preamble, each byte once."""

    def __init__(self, dialect: Dialect) -> None:
        self.error = b""
        """The data of the error event that was found."""
        self._dialect = dialect
        self._event_at = 0
        """Where the first event begins that is not read yet."""
        self._searched_to = 0

    def look(self, data: bytes, *, is_all: bool) -> Opening:
        """Look at the stream as far as it has come.

        Args: ``data`` begins with what was given before; ``is_all`` says that nothing follows. Some
            servers forget the empty line behind an error.
        """
        while True:
            comments = _COMMENTS.match(data, self._event_at)
            if comments is not None:
                self._event_at = comments.end()
                self._searched_to = max(self._searched_to, self._event_at)
            end = _EVENT_END.search(data, self._searched_to)
            if end is None:
                break
            found = self._read(data[self._event_at : end.start()])
            if found is not UNDECIDED:
                return found
            self._event_at = self._searched_to = end.end()
        # A line end and an empty line may be cut: at most three bytes of them are here.
        self._searched_to = max(self._event_at, len(data) - 3)
        return self._read(data[self._event_at :]) if is_all else UNDECIDED

    def _read(self, event: bytes) -> Opening:
        name, data = fields_of_event(event.removeprefix(_BOM))
        if not name and not data:
            return UNDECIDED
        kind = self._dialect.stream.kind_of_event(name, data)
        if kind is EventKind.PREAMBLE:
            return UNDECIDED
        if kind is EventKind.CONTENT:
            return SERVED
        self.error = data
        return ERROR


def fields_of_event(event: bytes) -> tuple[bytes, bytes]:
    """Return the name and the data of one event, both empty where it has only comments."""
    name, data = b"", []
    for line in event.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return name, b"\n".join(data)


def serves_nowait(reply: ArrivingReply, dialect: Dialect, *, is_stream: bool) -> bool:
    """Return whether a whole response is here and shows no sign of an error, as nearly every one
    does; `opened` need not be called then.
    """
    if is_stream or not reply.is_complete or reply.status != _OK or len(reply.pieces) != 1:
        return False
    body = reply.pieces[0]
    if body[:1] != b"{" or len(body) > HELD_BYTES:
        return False
    for sign in dialect.error_signs:  # noqa: SIM110 - a generator costs a frame for each call
        if sign in body:
            return False
    return True


async def opened(
    reply: ArrivingReply, dialect: Dialect, share: MemoryShare, *, is_stream: bool
) -> ArrivingReply | BufferedReply:
    """Wait until a response of a status below 400 shows what it is; at most `HELD_S` from its first
    byte on, and for `HELD_BYTES`, while there is memory in ``share``. Of another success than 200
    the first byte alone is waited for, where it is a stream.

    Returns: the reply, of which nothing is read; as a `BufferedReply` with its ``error`` where the
        provider says that it failed.
    Raises: UpstreamRedirects, since an SDK would follow with the app's prompt to where nobody has
        sent it; UpstreamMalformed for a page in the place of a response, and for none (204, 304);
        UpstreamReset
        where the response ended before it showed anything; FirstByteTimeout, ResponseTimeout,
        StreamIdleTimeout.
    """
    status = reply.status
    if status in _NO_CONTENT:
        reply.abort()
        raise _failure(reply, UpstreamMalformed, f"no response to what was asked ({status})")
    if status >= 300:
        reply.abort()
        raise _failure(reply, UpstreamRedirects, f"the provider redirects ({status})")
    if not reply.is_complete and (is_stream or status == _OK):
        await reply.begin()
    if status != _OK:
        return reply
    held = HeldBytes(share, FREE_BYTES)
    try:
        error = await _held(reply, dialect, EventScan(dialect) if is_stream else None, held)
    finally:
        held.give_back()
    if error is None:
        return reply
    failed = BufferedReply(reply, share)
    failed.error = error
    return failed


def refuse_loop(reply: ArrivingReply) -> None:
    """Raises: LoopDetected for a reply by which a sidecar says that the request has come through it
    before.
    """
    for name, value in reply.headers:
        if value == _LOOP_CODE and name.lower() == b"x-plano-error":
            reply.abort()
            raise _failure(reply, LoopDetected, "the request came back to this sidecar")


async def _held(
    reply: ArrivingReply, dialect: Dialect, scan: EventScan | None, held: HeldBytes
) -> bytes | None:
    """Hold a response until it shows what it is. Return what the provider says of its failure in
    it; None where it serves.
    """
    by_s = None
    while True:
        data = reply.peek()
        found = _look(reply, data, dialect, scan)
        if found is not UNDECIDED or reply.is_complete or len(data) >= HELD_BYTES:
            break
        if not held.grow_nowait(len(data)):
            break  # it goes on to the app as far as it has come
        by_s = by_s or reply.in_s(HELD_S)
        try:
            if not await reply.wait_for_more(len(data), by_s):
                break
        except UpstreamCut as error:
            raise _failure(reply, UpstreamReset, error.message) from error
    if found is UNDECIDED:
        if reply.is_complete:
            raise _failure(reply, UpstreamReset, "the response ended before it began")
        is_error = _ERROR_FIRST.match(data) is not None
        found = ERROR if is_error else SERVED
    if found is PAGE:
        reply.abort()
        raise _failure(reply, UpstreamMalformed, "a page came in the place of a response")
    if found is SERVED:
        return None
    return scan.error if scan is not None and scan.error else data


def _failure(reply: ArrivingReply, kind: type[UpstreamError], message: str) -> UpstreamError:
    failure = kind(message)
    failure.sends = reply.sends
    return failure


def _look(reply: ArrivingReply, data: bytes, dialect: Dialect, scan: EventScan | None) -> Opening:
    """Look at the beginning as what its first byte says that it is: JSON, a page, or events."""
    text = data.lstrip().removeprefix(_BOM).lstrip()
    first = text[:1]
    if not first:
        return UNDECIDED
    if first in _JSON_FIRST:
        found = _look_at_body(reply, text, dialect)
        if first == b"{" or found is not SERVED:
            return found
    is_field = first in _FIELDS and (not reply.is_complete or _FIELD.match(text) is not None)
    if not is_field and _is_page(reply.headers, first):
        return PAGE
    if scan is None or coding_of(reply.headers):
        return SERVED
    return scan.look(data, is_all=reply.is_complete)


def _look_at_body(reply: ArrivingReply, body: bytes, dialect: Dialect) -> Opening:
    """Look at JSON. A long body is not waited for, nor decoded."""
    length = reply.content_length or 0
    if max(length, len(body)) > HELD_BYTES:
        return SERVED
    if not reply.is_complete:
        return UNDECIDED
    return ERROR if dialect.is_error_response(body) else SERVED


def _is_page(headers: RawHeaders, first: bytes) -> bool:
    """Tell whether a body that is neither a JSON object nor events is a page for a browser, or a
    proxy's notice in words.
    """
    content_type = _content_type_of(headers)
    is_words = content_type.startswith(_HTML) or (content_type.startswith(_TEXT) and first != b"[")
    return (is_words or first == b"<") and not coding_of(headers)


def _content_type_of(headers: RawHeaders) -> bytes:
    """Return the last content type in lower case; empty where there is none."""
    found = b""
    for name, value in headers:
        if len(name) == len(_CONTENT_TYPE) and name.lower() == _CONTENT_TYPE:
            found = value.strip().lower()
    return found

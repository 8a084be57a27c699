"""llhttp's callbacks, gathered into a reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NoReturn

import httptools

from sidecar.domain.call import RawHeaders
from sidecar.http1.response import UpstreamResponse

HEAD_BYTES: Final = 64 * 1024
"""Bytes of an answer's head, interim answers included; also of framing that brings no body
bytes.
"""
HEADER_FIELDS: Final = 256
_IDLE_HINT: Final = re.compile(rb"(?:^|[,;\s])timeout=([0-9]{1,6})(?:$|[,;\s])", re.IGNORECASE)


class ResponseParser:
    """Fills one reply after another. Callbacks never raise: what they dislike is left in
    ``complaint``.
    """

    def __init__(self) -> None:
        self.complaint: str | None = None
        self.keeps_alive = False
        """Whether the connection may be used again; valid once the reply is complete."""
        self.idle_hint_s: int | None = None
        """How long the provider said that it keeps an idle connection."""
        self._is_head_request = False
        self._is_current = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._reply: UpstreamResponse | None = None
        llhttp = httptools.HttpResponseParser(self)
        self.feed: Callable[[bytes | memoryview], None] = llhttp.feed_data
        """Raises httptools.HttpParserError, httptools.HttpParserUpgrade."""
        self._status_code = llhttp.get_status_code
        self._version = llhttp.get_http_version
        self._should_keep_alive = llhttp.should_keep_alive

    def begin(self, reply: UpstreamResponse, *, is_head_request: bool) -> None:
        """The next answer goes into ``reply``."""
        self._reply = reply
        self._is_head_request = is_head_request
        self._reason = b""
        self.keeps_alive = False

    def end(self) -> None:
        """Let go of the reply."""
        self._reply = None

    def close(self) -> None:
        """For good. The callbacks tie this object and llhttp's together; untied, they go without
        the collector.
        """
        self._reply = None
        self.feed = self._status_code = self._version = self._should_keep_alive = _closed

    def on_parse_error(self, error: Exception) -> None:
        """Llhttp refused what came: inside an answer that spoils it, behind one only the
        connection.
        """
        self.keeps_alive = False
        reply = self._reply
        if self.complaint is None and reply is not None and not reply.is_complete:
            self.complaint = f"the answer is not HTTP: {error}"

    def on_message_begin(self) -> None:
        """A second answer to one request: the connection is out of step."""
        self.keeps_alive = False

    def on_status(self, reason: bytes) -> None:
        """A part of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field, of the head or of the trailers."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is whole: an interim one is forgotten, the real one becomes the reply's."""
        reply = self._reply
        if reply is None or reply.status:
            return
        fields, self._fields = self._fields, []
        reason, self._reason = self._reason, b""
        status = self._status_code()
        if status < 200:
            if status == 101 or status < 100:
                self.complaint = f"unexpected status {status}"
            return
        self._read_head(reply, fields)
        if self.complaint is not None:
            return
        reply.headers = fields
        reply.reason = reason
        reply.status = status
        if self._is_head_request:
            # llhttp cannot be told that no body follows, so this connection is not used again.
            reply.is_complete = True

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        reply = self._reply
        if reply is not None and not reply.is_complete:
            if not reply.status:
                self.complaint = self.complaint or "an interim answer with a body"
            reply.feed(piece)

    def on_message_complete(self) -> None:
        """The answer is whole, or was an interim one."""
        reply = self._reply
        self._fields = []  # Trailers end here.
        if reply is not None and reply.status and not reply.is_complete:
            reply.is_complete = True
            self.keeps_alive = self._is_current and self._should_keep_alive()

    def _read_head(self, reply: UpstreamResponse, fields: list[tuple[bytes, bytes]]) -> None:
        if len(fields) > HEADER_FIELDS:
            self.complaint = f"more than {HEADER_FIELDS} header fields"
        version = self._version()
        self._is_current = version == "1.1"
        if not self._is_current and version != "1.0":
            self.complaint = "not HTTP/1.1"
        for name, value in fields:
            length = len(name)
            if length == 10 and name.lower() == b"keep-alive":
                self.idle_hint_s = _idle_hint_s(value)
            elif length == 14 and name.lower() == b"content-length":
                reply.content_length = int(value)
            elif (
                length == 17
                and name.lower() == b"transfer-encoding"
                and not _is_only_chunked(value)
            ):
                # A coding that we cannot undo, on a hop that ends here.
                self.complaint = "a transfer coding other than chunked"


def _closed(*_: object) -> NoReturn:
    raise AssertionError("the connection is closed")


def is_chunked(headers: RawHeaders) -> bool:
    """Whether an accepted answer is chunked."""
    return any(len(name) == 17 and name.lower() == b"transfer-encoding" for name, _ in headers)


def head_bytes(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """What header fields weighed on the wire."""
    return sum(len(name) + len(value) + 4 for name, value in fields)


def _idle_hint_s(value: bytes) -> int | None:
    """The ``timeout`` of a Keep-Alive header (RFC 2068, 19.7.1.1), which nginx, Apache and many
    others send.
    """
    match = _IDLE_HINT.search(value)
    return int(match[1]) if match is not None else None


def _is_only_chunked(value: bytes) -> bool:
    return value.strip().lower() == b"chunked"

"""llhttp's callbacks, gathered into a response, and the states between them.

| state     | a body piece | the message's end      | another message | what is not HTTP |
|-----------|--------------|------------------------|-----------------|------------------|
| HEAD      | refused      | of an interim response |                 | refused          |
| HEAD_ONLY | refused      | of an interim response |                 | refused          |
| BODY      | fed          | CLEAN, or else SPENT   |                 | refused          |
| LAST_BODY | fed          | SPENT                  |                 | refused          |
| CLEAN     | ignored      |                        | SPENT           | SPENT            |
| SPENT     | ignored      |                        |                 | SPENT            |
"""

from __future__ import annotations

import enum
import re
from typing import Any, Final

import httptools

from sidecar.http1.response import FREE_HEAD_BYTES, UpstreamResponse

HEAD_BYTES: Final = 64 * 1024
"""Bytes of a response's head, interim responses included; also of framing that brings no body
bytes.
"""
HEADER_FIELDS: Final = 256
_FIELD_BYTES: Final = 160
"""What a field takes beside its bytes: a tuple, and two objects that hold them."""
LAST_STATUS: Final = 599
"""RFC 9110, 15: what is above is invalid, and means something to no client."""
_IDLE_HINT: Final = re.compile(rb"(?:^|[,;\s])timeout=([0-9]{1,6})(?:$|[,;\s])", re.IGNORECASE)
"""RFC 2068, 19.7.1.1; nginx, Apache and many others send it."""


class ParserState(enum.Enum):
    """Where in a response the parser is."""

    HEAD = enum.auto()
    """No head has come, but for interim ones."""
    HEAD_ONLY = enum.auto()
    """The same, and no body will follow: the request was a HEAD."""
    BODY = enum.auto()
    LAST_BODY = enum.auto()
    """A body after which the connection cannot be used again."""
    CLEAN = enum.auto()
    """The response is complete, and the connection may be used again."""
    SPENT = enum.auto()
    """The response is complete, and the connection cannot be used again."""


# Names of the module are faster to read than members of the class, compiled or not.
HEAD: Final = ParserState.HEAD
HEAD_ONLY: Final = ParserState.HEAD_ONLY
BODY: Final = ParserState.BODY
LAST_BODY: Final = ParserState.LAST_BODY
CLEAN: Final = ParserState.CLEAN
SPENT: Final = ParserState.SPENT


class ResponseParser:
    """Fills one response after another. Callbacks never raise: what they refuse is left in
    ``complaint``, with its ``cause``.
    """

    def __init__(self) -> None:
        self.state = SPENT
        self.complaint: str | None = None
        self.cause: Exception | None = None
        self.overhead_bytes = 0
        """Bytes of this response that brought none of its body, since some last did."""
        self._response: UpstreamResponse | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._llhttp: Any = httptools.HttpResponseParser(self)

    def begin(self, response: UpstreamResponse, *, is_head_request: bool) -> None:
        """Fill ``response`` from now on."""
        self._response = response
        self.state = HEAD_ONLY if is_head_request else HEAD
        self.overhead_bytes = 0

    def end(self) -> None:
        """Let go of a response that is not complete."""
        self._response = None

    def close(self) -> None:
        """Parse nothing any more. The callbacks tie this object and llhttp's together; untied, both
        go without the garbage collector.
        """
        self._response = self._llhttp = None

    def receive(self, data: bytes | memoryview) -> None:
        """Parse a segment of the response."""
        response = self._response
        assert response is not None
        buffered_bytes, had_head = response.buffered_bytes, response.status != 0
        try:
            self._llhttp.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._on_parse_error(error)
        if had_head and response.buffered_bytes != buffered_bytes:
            self.overhead_bytes = 0
            return
        # The head is bounded, and chunk framing or trailers that never end.
        self.overhead_bytes = seen_bytes = self.overhead_bytes + len(data)
        has_head = response.status != 0
        if seen_bytes > HEAD_BYTES and (
            had_head or not has_head or response.head_bytes > HEAD_BYTES
        ):
            self.complaint = f"more than {HEAD_BYTES} bytes of head or framing"
        elif not has_head:
            self._hold(response, seen_bytes + len(self._fields) * _FIELD_BYTES)
        elif not had_head:
            self.overhead_bytes = 0

    # llhttp's side

    def on_message_begin(self) -> None:
        """A second response to one request: the connection is out of step."""
        if self.state is CLEAN:
            self.state = SPENT

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; those of trailers are not kept."""
        state, fields = self.state, self._fields
        if state is not HEAD and state is not HEAD_ONLY:
            return
        if len(fields) < HEADER_FIELDS:
            fields.append((name, value))
        else:
            self.complaint = f"more than {HEADER_FIELDS} header fields"

    def on_headers_complete(self) -> None:
        """A head is complete: an interim one is forgotten, the real one becomes the response's."""
        response = self._response
        if response is None or response.status:
            return
        fields, self._fields = self._fields, []
        status: int = self._llhttp.get_status_code()
        if not 102 <= status <= LAST_STATUS and status != 100:
            # 101 too: no request asks for another protocol.
            self.complaint = f"unexpected status {status}"
            return
        if status < 200:
            return
        version: str = self._llhttp.get_http_version()
        if version not in ("1.1", "1.0"):
            self.complaint = "not HTTP/1.1"
        self._read_fields(response, fields)
        if self.complaint is not None:
            return
        response.headers = fields
        response.status = status
        if self.state is HEAD_ONLY:
            # llhttp cannot be told that no body follows, so this connection is not used again.
            response.is_complete = True
            self._response, self.state = None, SPENT
        else:
            self.state = BODY if version == "1.1" else LAST_BODY

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        response, state = self._response, self.state
        if response is None:
            return
        if state is BODY or state is LAST_BODY:
            response.feed(piece)
        else:
            self.complaint = self.complaint or "an interim response with a body"

    def on_message_complete(self) -> None:
        """The response is complete, or was an interim one."""
        response, state = self._response, self.state
        if response is not None and (state is BODY or state is LAST_BODY):
            response.is_complete = True
            is_clean = state is BODY and self._llhttp.should_keep_alive()
            self._response, self.state = None, CLEAN if is_clean else SPENT

    def _on_parse_error(self, error: Exception) -> None:
        """Llhttp refused what came: inside a response that spoils it, behind one only the
        connection.
        """
        self.cause = error.with_traceback(None)  # a traceback would keep frames, and the response
        if self.state is CLEAN or self.state is SPENT:
            self.state = SPENT
        elif self.complaint is None:
            self.complaint = f"the response is not HTTP: {error}"

    def _read_fields(self, response: UpstreamResponse, fields: list[tuple[bytes, bytes]]) -> None:
        is_chunked, head_bytes = False, 0
        for name, value in fields:
            length = len(name)
            head_bytes += length + len(value) + 4
            if length == 10 and name.lower() == b"keep-alive":
                response.keep_alive_s = _keep_alive_s(value)
            elif length == 14 and name.lower() == b"content-length":
                response.content_length = int(value)
            elif length == 17 and name.lower() == b"transfer-encoding":
                if is_chunked or value.strip().lower() != b"chunked":
                    # A coding that we cannot undo, on a hop that ends here. llhttp refuses chunks
                    # within chunks in one field, and not in two.
                    self.complaint = "a transfer coding other than chunked"
                is_chunked = True
        response.head_bytes = head_bytes
        memory_bytes = head_bytes + len(fields) * _FIELD_BYTES
        if memory_bytes > FREE_HEAD_BYTES:
            self._hold(response, memory_bytes)

    def _hold(self, response: UpstreamResponse, size: int) -> None:
        """Count the memory of a head that is long, or refuse it where there is none."""
        source = response.source
        if source is not None and not response.hold(source.head_memory, size):
            self.complaint = "limits.memory_bytes has no room for so long a head"


def _keep_alive_s(value: bytes) -> int | None:
    hint = _IDLE_HINT.search(value)
    return int(hint[1]) if hint is not None else None

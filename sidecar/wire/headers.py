"""Header lines for the other side: the head of a request to a provider, and a provider's response
headers for the app.

Source: RFC 9110, 7.6.1 (Connection).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import MalformedRequest
from sidecar.wire.header_names import PLAIN_CONNECTIONS, Passage, ResponseNames, tokens_of

_TARGET: Final = re.compile(r"[!-~]+")
_PASS: Final = Passage.PASS
_DROP: Final = Passage.DROP
_response_names: Final = ResponseNames()
"""A cache, at most 512 names."""


def request_head(
    method: str, target: str, host: str, lines: Iterable[bytes], content_length: int | None
) -> bytes:
    """Write the head of an HTTP/1.1 request, blank line included.

    Args: ``target`` is path and query; ``host`` with its port where it is not the scheme's;
    ``lines`` end in CRLF; ``content_length`` None: no such header.

    Raises: MalformedRequest where method, target or host holds a blank, a control character or is
        not ASCII.
    """
    for part in (method, target, host):
        if _TARGET.fullmatch(part) is None:
            raise MalformedRequest("the request's target holds characters that no target may hold")
    start = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode()
    framing = b"\r\n" if content_length is None else b"Content-Length: %d\r\n\r\n" % content_length
    return b"".join((start, *lines, framing))


def response_lines(raw: RawHeaders, extra: Iterable[bytes] = ()) -> list[bytes]:
    """Write the provider's header fields as lines for the app, in their order and spelling, then
    our own ``extra`` lines.

    Left out: what is the connection's, framing, and names that are ours (``x-plano-*``). The
    provider's id goes to ``x-plano-upstream-request-id``. Values are as
    `http1.parser` let them through.
    """
    names = _response_names
    lines: list[bytes] = []
    listed: set[bytes] = set()
    for name, value in raw:
        passage = names[name]
        if passage is _PASS:
            lines.append(name + b": " + value + b"\r\n")
        elif passage is _DROP:
            continue
        elif passage is Passage.CONNECTION:
            if value not in PLAIN_CONNECTIONS:
                listed |= tokens_of(value)
        else:
            if passage is Passage.PASS_AND_UPSTREAM_ID:
                lines.append(name + b": " + value + b"\r\n")
            lines.append(b"x-plano-upstream-request-id: " + value + b"\r\n")
    if listed:
        listed.add(b"connection")
        return response_lines(
            [(name, value) for name, value in raw if name.lower() not in listed], extra
        )
    lines.extend(extra)
    return lines

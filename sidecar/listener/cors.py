"""CORS: the headers that a browser wants to read before a page of an allowed origin may call, and
on each response to it.

Source: the Fetch standard, "CORS protocol". Pages bring no cookies here, so `*` is enough
where names need not be listed.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.listener.request import Request

_NAMES: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\s*,\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
_PREFIX: Final = b"access-control-"


def is_preflight(request: Request) -> bool:
    """Whether this is a browser's request for permission, sent before a page's own request."""
    return request.method == "OPTIONS" and bool(
        request.header_values("Access-Control-Request-Method")
    )


def page_lines(request: Request, origin: str) -> list[bytes]:
    """Return header lines that let a page of an allowed origin read the response or, on a
    preflight, send its request.
    """
    lines = [b"Access-Control-Allow-Origin: %b\r\n" % origin.encode("latin-1"), b"Vary: Origin\r\n"]
    if not is_preflight(request):
        return [*lines, b"Access-Control-Expose-Headers: *\r\n"]
    lines.append(b"Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n")
    lines.append(b"Access-Control-Max-Age: 600\r\n")
    # Named one by one: `*` would leave `Authorization` out, which SDKs send.
    names = ", ".join(request.header_values("Access-Control-Request-Headers"))
    if _NAMES.fullmatch(names):
        lines.append(b"Access-Control-Allow-Headers: %b\r\n" % names.encode("ascii"))
    return lines


def without_others(lines: list[bytes]) -> list[bytes]:
    """Return header lines without a provider's own CORS headers: browsers refuse a response with
    two sets of them.
    """
    return [line for line in lines if not line[: len(_PREFIX)].lower().startswith(_PREFIX)]

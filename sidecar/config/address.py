"""Reads and checks what a provider's URL and headers may hold. Pure."""

from __future__ import annotations

import re
import urllib.parse
from typing import Final

import msgspec

_HOST: Final = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_HOST_HEADER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_VISIBLE: Final = re.compile(r"[!-~]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2."""
_FIELD_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
"""RFC 9110, 5.5: no control character but the tab. A line break in it would begin another
header.
"""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

MANAGED_HEADERS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
     "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
"""Headers that the HTTP client writes, or that belong to one connection (RFC 9110, 7.6.1)."""


class Address(msgspec.Struct, frozen=True):
    """A base URL, taken apart."""

    scheme: str
    host: str
    """Without brackets."""
    port: int
    path: str
    """Without a final slash; empty for none."""
    query: str = ""

    @property
    def host_header(self) -> str:
        """``host`` or ``host:port``, the port only where it is not the scheme's own (RFC 9110,
        7.2).
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read_base_url(url: str) -> Address | str:
    """Return a base URL's address, or a sentence that says what is wrong with it. The sentence
    never quotes the URL, which may hold a secret.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL with a valid host and port"
    if parts.scheme not in _DEFAULT_PORTS:
        return "must begin with http:// or https://"
    if "@" in parts.netloc:
        return "must not hold a user or password; put the key under access_key"
    host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    if not _HOST.fullmatch(host.removesuffix(":")) or port == 0:
        return "is not a URL with a valid host and port"
    if "#" in url or not _VISIBLE.fullmatch(parts.path + parts.query):
        return "must not hold a fragment, blanks or characters beyond ASCII"
    return Address(
        scheme=parts.scheme,
        host=host.removesuffix(":").strip("[]").lower(),
        port=port or _DEFAULT_PORTS[parts.scheme],
        path=parts.path.rstrip("/"),
        query=parts.query,
    )


def is_http_url(text: str) -> bool:
    """Return whether a text is an ``http`` or ``https`` URL with a host; a user and a password may
    precede the host.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme in _DEFAULT_PORTS and has_host and _VISIBLE.fullmatch(text) is not None


def is_host_header(text: str) -> bool:
    """Return whether a text may be the value of a Host header."""
    return _HOST_HEADER.fullmatch(text) is not None


def is_header_name(text: str) -> bool:
    """Return whether a text may name a header."""
    return _TOKEN.fullmatch(text) is not None


def is_header_value(text: str) -> bool:
    """Return whether a text may be a header's value: one line, no control characters, no blanks
    around it.
    """
    return _FIELD_VALUE.fullmatch(text) is not None and text == text.strip()

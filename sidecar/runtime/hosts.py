"""Hosts and ports as URLs, headers and messages spell them."""

from __future__ import annotations


def bracketed(host: str) -> str:
    """Return a host as it stands before a port: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int) -> str:
    """Return ``host:port``, as errors and pages name a server."""
    return f"{bracketed(host)}:{port}"

"""Hosts and ports as URLs, headers and messages spell them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})(?:%[0-9A-Za-z._~%-]{1,32})?\]"
    r"|(?P<name>(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){1,255}))(?::[0-9]{0,5})?"
)
"""RFC 3986, 3.2, without user info. The zone of an IPv6 address is in RFC 6874."""
_LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})
"""What every hosts file of Debian and of a kubelet gives to 127.0.0.1 and ::1."""


def bracketed(host: str) -> str:
    """Return a host as it stands before a port: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int) -> str:
    """Return ``host:port``, as errors and pages name a server."""
    return f"{bracketed(host)}:{port}"


def host_of(authority: str) -> str | None:
    """Return the host that a Host header names, or an authority without user info: a name in lower
    case and without its final dot, or an IP address without brackets and zone. None where it is
    malformed.
    """
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    address = found["ipv6"]
    if address is None:
        return found["name"].lower().removesuffix(".") or None
    return None if _ip_address(address) is None else address.lower()


def is_loopback(host: str) -> bool:
    """Return whether a host, as `host_of` returns it, is a name or an address of this machine's
    loopback interface. Nothing is looked up: whoever owns a name decides where it leads.
    """
    if host in _LOOPBACK_NAMES:
        return True
    address = _ip_address(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return address is not None and (mapped or address).is_loopback


def _ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None

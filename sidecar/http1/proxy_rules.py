"""Which forward proxy, if any, a host is reached through: the environment's rules. Pure.

There is no standard. These are the rules that curl and Go agree on, with Go's CIDR blocks and
loopback exception.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import msgspec

from sidecar.runtime.hosts import host_port

_USUAL_PORT: Final = 80


class ForwardProxy(msgspec.Struct, frozen=True):
    """A forward proxy."""

    host: str
    port: int
    authorization: str | None = None
    """The value of Proxy-Authorization: a secret, which printing the proxy does not show."""

    @property
    def place(self) -> str:
        """``host:port``, as errors name it."""
        return host_port(self.host, self.port)

    def __repr__(self) -> str:
        return f"ForwardProxy({self.place})"


class ProxyRules(msgspec.Struct, frozen=True):
    """The environment's ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``, upper or lower case;
    lower wins.
    """

    by_scheme: Mapping[str, ForwardProxy] = {}
    exceptions: tuple[str, ...] = ()
    """The members of ``NO_PROXY``, in lower case."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables.

        Raises: ValueError naming the variable, and never its value, which may hold a password.
        """
        proxies = {}
        for scheme in ("https", "http"):
            name = f"{scheme}_proxy"
            value = environ.get(name) or environ.get(name.upper()) or ""
            if value.strip():
                proxies[scheme] = _proxy(name.upper(), value.strip())
        exceptions = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        return cls(proxies, tuple(exceptions.lower().replace(",", " ").split()))

    def proxy_for(self, scheme: str, host: str, port: int) -> ForwardProxy | None:
        """The proxy for a host, None where it is called directly. Loopback always is."""
        proxy = self.by_scheme.get(scheme)
        if proxy is None or _is_loopback(host):
            return None
        name = host.lower().rstrip(".")
        return None if any(_matches(rule, name, port) for rule in self.exceptions) else proxy


def _proxy(name: str, value: str) -> ForwardProxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError:
        raise ValueError(f"{name} is no URL") from None
    if parts.scheme != "http":
        raise ValueError(
            f"{name}: only http:// proxies are supported (TLS to the upstream goes through them)"
        )
    if not parts.hostname:
        raise ValueError(f"{name} names no host")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode()}"
    return ForwardProxy(parts.hostname, port or _USUAL_PORT, authorization)


def _matches(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    pattern, rule_port = _parted(rule)
    if rule_port is not None and rule_port != port:
        return False
    pattern = pattern.strip("[]")
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    suffix = pattern.removeprefix("*").strip(".")
    if not suffix:
        return False
    is_itself = host == suffix and not pattern.startswith((".", "*"))
    return is_itself or host.endswith(f".{suffix}")


def _parted(rule: str) -> tuple[str, int | None]:
    """Part a rule from its port. An IPv6 address has one only behind brackets."""
    pattern, _, port = rule.rpartition(":")
    if port.isdecimal() and pattern and (":" not in pattern or pattern.endswith("]")):
        return pattern, int(port)
    return rule, None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host.lower().rstrip(".") == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

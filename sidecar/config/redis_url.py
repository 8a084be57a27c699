"""Reads ``session_cache.url``, which says where a Redis server is. Pure."""

from __future__ import annotations

import re
import urllib.parse
from typing import Final

import msgspec

from sidecar.config.secret import Secret

_ONE_SERVER: Final = frozenset({"redis", "rediss"})
_SEVERAL_SERVERS: Final = re.compile(r"redis\+(?:sentinel|cluster)://\S+", re.IGNORECASE)
_SEVERAL_HOSTS: Final = re.compile(r"rediss?://(?:[^/]*@)?[^/@]*,[^/@]*(?:/|$)", re.IGNORECASE)
_USUAL_PORT: Final = 6379
_DATABASE: Final = re.compile(r"/?[0-9]{0,6}/?")
_ESCAPE: Final = (
    "; in a user or password @ : / ? # must be percent-encoded, "
    "or stand under username and password"
)


class RedisAddress(msgspec.Struct, frozen=True):
    """One server, and the user who may use it."""

    host: str
    port: int
    database: int
    is_tls: bool
    username: str | None
    password: Secret | None


def names_several_servers(url: str) -> bool:
    """Return whether a URL names a Sentinel or a Cluster, which `read_redis_url` does not read."""
    return _SEVERAL_SERVERS.fullmatch(url) is not None


def read_redis_url(url: str) -> RedisAddress | str:
    """Return the server of a URL, or a sentence that says what is wrong with it. The sentence never
    quotes the URL, which may hold a password.
    """
    if _SEVERAL_HOSTS.match(url):
        return "names several servers: redis+sentinel:// and redis+cluster:// do that"
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        return f"is not a URL with a valid host and port{_ESCAPE}"
    if (fault := _fault_of(url, parts)) is not None:
        return fault
    password = urllib.parse.unquote(parts.password or "")
    return RedisAddress(
        host=parts.hostname or "localhost",
        port=port or _USUAL_PORT,
        database=int(parts.path.strip("/") or 0),
        is_tls=parts.scheme == "rediss",
        username=urllib.parse.unquote(parts.username or "") or None,
        password=Secret(password) if password else None,
    )


def _fault_of(url: str, parts: urllib.parse.SplitResult) -> str | None:
    if (
        parts.scheme not in _ONE_SERVER
        or not url[len(parts.scheme) :].startswith("://")
        or url.endswith("://")
    ):
        return "must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://"
    if parts.port == 0 or any(blank.isspace() for blank in url):
        return f"is not a URL with a valid host and port{_ESCAPE}"
    if not _DATABASE.fullmatch(parts.path):
        return f"must end with the number of a database, or without a path{_ESCAPE}"
    if parts.query or parts.fragment:
        return f"must not hold a query or fragment{_ESCAPE}"
    return None

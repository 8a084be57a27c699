"""Connections to Redis, made from the config, and what redis-py has no public name for.

No default of redis-py that retries or waits is left. All its private names that this package uses
are at the end of this module; a test checks that they exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from redis.asyncio.connection import Connection, RedisSSLContext, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from sidecar.config.address import RedisAddress, read_redis_url
from sidecar.config.schema_routing import SessionCache

CONNECT_S: Final = 1.0
"""For a connection, its greetings included."""


def connection_maker(cache: SessionCache) -> Callable[[int], Connection]:
    """Return what makes an unconnected connection, of a version of RESP, to the server that
    ``session_cache.url`` names.

    ``username`` and ``password`` of the config go before those of the URL.
    """
    assert cache.url is not None  # the config was checked for that
    address = read_redis_url(cache.url.reveal())
    assert isinstance(address, RedisAddress)  # and for that
    password = cache.password or address.password
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": address.database,
        "username": cache.username or address.username,
        "password": None if password is None else password.reveal() or None,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "driver_info": None,  # spares a fenced user the permission for it
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if address.is_tls:
        options |= {
            "ssl_ca_certs": cache.tls.ca_file,
            "ssl_certfile": cache.tls.cert_file,
            "ssl_keyfile": cache.tls.key_file,
        }
        return _tls_maker(options)
    return lambda protocol: Connection(**options, protocol=protocol)


def _tls_maker(options: Mapping[str, Any]) -> Callable[[int], Connection]:
    """Return what makes connections that share one TLS context, until the files change.

    Reading all CAs of a machine takes 20 ms, in which no call is served, and a Redis that is gone
    is tried every second.
    """
    files = [
        options[name] for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if options[name]
    ]
    kept: list[tuple[list[int], RedisSSLContext]] = []

    def make(protocol: int) -> Connection:
        connection = SSLConnection(**options, protocol=protocol)
        changed_ns = [_changed_ns(file) for file in files]
        if kept and kept[0][0] == changed_ns:
            connection.ssl_context = kept[0][1]
        else:
            kept[:] = [(changed_ns, connection.ssl_context)]
        return connection

    return make


def _changed_ns(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return 0  # connecting says what is wrong with it


# The private names of redis-py, which has no public ones for these.


def send_nowait(connection: Connection, commands: Sequence[Sequence[bytes | str | int]]) -> None:
    """Write commands without waiting until they have left; nothing happens on a lost connection."""
    writer = connection._writer  # noqa: SLF001
    # On a transport that is closing, asyncio's writelines of Python 3.12 and later registers the
    # descriptor once more, whose next owner is then never read.
    if writer is not None and not writer.transport.is_closing():
        writer.writelines(connection.pack_commands(commands))


def abort(connection: Connection) -> None:
    """Close a connection at once, without waiting for what is in flight."""
    writer = connection._writer  # noqa: SLF001
    if writer is not None:
        writer.transport.abort()


def on_push(connection: Connection, handler: Callable[..., Awaitable[None]]) -> None:
    """Hand every push message of RESP3 to ``handler``."""
    connection._parser.handle_push_response = handler  # type: ignore[attr-defined] # noqa: SLF001


def transport_of(connection: Connection) -> asyncio.BaseTransport | None:
    """Return the transport of a connected connection."""
    writer = connection._writer  # noqa: SLF001
    return None if writer is None else writer.transport

"""Connections to Redis, made from the config, and what redis-py has no public name for.

No default of redis-py that retries or waits is left. All its private names that this package uses
are at the end of this module; a test checks that they exist.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.asyncio.connection import Connection, RedisSSLContext, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from sidecar.affinity.redis.login import RedisLogin
from sidecar.config.schema_routing import RedisTls, SessionCache
from sidecar.runtime.tls_files import RenewableTls, watched_files

CONNECT_S: Final = 1.0
"""For a connection, its greetings included."""


MakeConnection = Callable[[int], Awaitable[Connection]]
"""Makes an unconnected connection of a version of RESP. Raises: nothing."""


def connection_maker(cache: SessionCache) -> MakeConnection:
    """Return what makes connections to the server that ``session_cache.url`` names, with the login
    and the certificates that their files hold at that moment.
    """
    login = RedisLogin(cache)
    address = login.address
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": address.database,
        "socket_timeout": None,
        "socket_connect_timeout": None,  # who connects has a timeout of its own
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "driver_info": None,  # spares a fenced user the permission for it
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    tls = _tls_of(cache.tls) if address.is_tls else None

    async def make(protocol: int) -> Connection:
        await login.renew()
        username, password = login.words()
        more: dict[str, Any] = {"username": username, "password": password, "protocol": protocol}
        if tls is None:
            return Connection(**options, **more)
        await tls.renew()
        connection = SSLConnection(**options, **more, **_tls_options(cache.tls))
        # Without one, connecting says what is wrong with the files.
        connection.ssl_context.context = tls.context
        return connection

    return make


def _tls_of(files: RedisTls) -> RenewableTls:
    """Return the TLS context that all connections share, until the files change: to read all CAs of
    a machine takes 20 ms, and a Redis that is gone is tried every second.
    """
    make = functools.partial(RedisSSLContext, check_hostname=True, cert_reqs="required")
    options = {name.removeprefix("ssl_"): value for name, value in _tls_options(files).items()}
    named = files.ca_file, files.cert_file, files.key_file

    def load() -> ssl.SSLContext:
        context: ssl.SSLContext = make(**options).get()
        context.hostname_checks_common_name = False  # as for providers: `http1.origin`
        return context

    return RenewableTls(load, watched_files(*named))


def _tls_options(files: RedisTls) -> dict[str, Any]:
    return {
        "ssl_ca_certs": files.ca_file,
        "ssl_certfile": files.cert_file,
        "ssl_keyfile": files.key_file,
        "ssl_password": "",  # without one OpenSSL would ask the terminal for it, and wait
    }


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

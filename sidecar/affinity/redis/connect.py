"""From the config to connections to Redis. Of redis-py's defaults nothing that retries or waits is
left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from redis.asyncio.connection import Connection, RedisSSLContext, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from sidecar.affinity.redis.link import CONNECT_S
from sidecar.config.redis_url import RedisAddress, read_redis_url
from sidecar.config.schema_routing import SessionCache


def connection_maker(cache: SessionCache) -> Callable[[int], Connection]:
    """Makes unconnected connections, of a version of RESP, to the one server that
    ``session_cache.url`` names.

    ``username`` and ``password`` go before those of the URL.
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
    """Makes connections of one TLS context, since to read all CAs holds everybody up for 20 ms, and
    a Redis that is gone is tried every second; a new one where the files have changed.
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

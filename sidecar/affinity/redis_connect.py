"""From the config to connections to Redis. Of redis-py's defaults nothing that retries or waits is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from sidecar.affinity.redis_link import CONNECT_S
from sidecar.config.redis_url import RedisAddress, read_redis_url
from sidecar.config.schema_routing import SessionCache


def connection_maker(cache: SessionCache) -> Callable[[], Connection]:
    """Makes unconnected connections to the one server that ``session_cache.url`` names.

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
        "protocol": 3,  # invalidations come between the replies
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "driver_info": None,  # spares a fenced user the permission for it
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    kind: type[Connection] = Connection
    if address.is_tls:
        kind = SSLConnection
        options |= {
            "ssl_ca_certs": cache.tls.ca_file,
            "ssl_certfile": cache.tls.cert_file,
            "ssl_keyfile": cache.tls.key_file,
        }
    return lambda: kind(**options)

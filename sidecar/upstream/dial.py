"""From an origin to a connected transport. The seam for name caching, proxies and client certificates."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import Final

import aiohappyeyeballs

from sidecar.domain.errors import ConnectFailed, ConnectTimeout
from sidecar.upstream.connection import Connection
from sidecar.upstream.origin import Origin

_ATTEMPT_DELAY_S: Final = 0.25
"""Head start of one address over the next: RFC 8305, section 8."""


async def dial(origin: Origin, tls: ssl.SSLContext | None, connection: Connection, *, connect_s: float) -> None:
    """Connect ``connection`` to ``origin``: name, TCP and TLS within ``connect_s``. It is ready on return.

    Raises: ConnectTimeout, ConnectFailed. Nothing is left open then, nor after a cancellation.
    """
    try:
        async with asyncio.timeout(connect_s):
            await _connect(origin, tls, connection)
    except TimeoutError as error:
        connection.abort()
        raise ConnectTimeout(f"{origin.place}: no connection within {connect_s:g} s") from error
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no IDNA name
        connection.abort()
        raise ConnectFailed(f"{origin.place}: could not connect: {_reason(error)}") from error
    except BaseException:
        connection.abort()
        raise


async def _connect(origin: Origin, tls: ssl.SSLContext | None, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    server_name = None if tls is None else origin.server_name or origin.host
    if _is_address(origin.host):
        await loop.create_connection(lambda: connection, origin.host, origin.port, ssl=tls, server_hostname=server_name)
        return
    # The race is run by aiohappyeyeballs, as in aiohttp: uvloop's create_connection has none.
    addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    sock = await aiohappyeyeballs.start_connection(
        addresses, happy_eyeballs_delay=_ATTEMPT_DELAY_S, interleave=1, loop=loop
    )
    is_handed_over = False

    def take_over() -> Connection:
        nonlocal is_handed_over
        is_handed_over = True  # From here on the transport closes the socket.
        return connection

    try:
        await loop.create_connection(take_over, sock=sock, ssl=tls, server_hostname=server_name)
    finally:
        if not is_handed_over:
            sock.close()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__

"""From an origin to a connected transport: name, proxy, TCP, TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohappyeyeballs
import msgspec

from sidecar.domain.errors import ConnectFailed, ConnectTimeout
from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.origin import Origin
from sidecar.http1.proxy_rules import ForwardProxy, ProxyRules
from sidecar.runtime.single_flight import SingleFlight

_ATTEMPT_DELAY_S: Final = 0.25
"""Head start of one address over the next: RFC 8305, section 8."""
_PROXY_HEAD_BYTES: Final = 16 * 1024
_PROXY_AUTHENTICATION_REQUIRED: Final = 407


class ProxyRefused(OSError):
    """The proxy did not open a tunnel. Its message is fit for the app: it holds no credential."""


class Dialer:
    """Opens connections. One dialer serves all pools, so that a name is looked up once for all
    upstreams behind it.
    """

    def __init__(self, resolver: Resolver | None = None, proxies: ProxyRules | None = None) -> None:
        self._resolver = resolver or Resolver()
        self._proxies = proxies or ProxyRules()

    async def dial(
        self,
        origin: Origin,
        tls: ssl.SSLContext | None,
        connection: UpstreamConnection,
        *,
        connect_s: float,
    ) -> None:
        """Connect ``connection`` to ``origin``: name, proxy, TCP and TLS within ``connect_s``. It
        is ready on return.

        Raises: ConnectTimeout, ConnectFailed. Nothing is left open then, nor after a cancellation.
        """
        try:
            async with asyncio.timeout(connect_s):
                await self._connect(origin, tls, connection)
        except TimeoutError as error:
            connection.abort()
            raise ConnectTimeout(f"{origin.place}: no connection within {connect_s:g} s") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no IDNA name
            connection.abort()
            raise ConnectFailed(f"{origin.place}: could not connect: {_reason(error)}") from error
        except BaseException:
            connection.abort()
            raise

    async def aclose(self) -> None:
        """Cancel the lookups under way."""
        await self._resolver.aclose()

    async def _connect(
        self, origin: Origin, tls: ssl.SSLContext | None, connection: UpstreamConnection
    ) -> None:
        loop = asyncio.get_running_loop()
        # Plain HTTP goes directly: a tunnel to port 80 is what proxies refuse, and another form of
        # request is not ours.
        proxy = (
            None
            if tls is None
            else self._proxies.proxy_for(origin.scheme, origin.host, origin.port)
        )
        server_name = None if tls is None else origin.server_name or origin.host
        if proxy is None and _is_address(origin.host):
            await loop.create_connection(
                lambda: connection, origin.host, origin.port, ssl=tls, server_hostname=server_name
            )
            return
        sock = await self._open_socket(
            *(origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)
        )
        is_handed_over = False

        def take_over() -> UpstreamConnection:
            nonlocal is_handed_over
            is_handed_over = True  # From here on the transport closes the socket.
            return connection

        try:
            if proxy is not None:
                await _open_tunnel(sock, proxy, origin)
            await loop.create_connection(take_over, sock=sock, ssl=tls, server_hostname=server_name)
        finally:
            if not is_handed_over:
                sock.close()

    async def _open_socket(self, host: str, port: int) -> socket.socket:
        # The race is run by aiohappyeyeballs, as in aiohttp: uvloop's create_connection has none.
        addresses = await self._resolver.addresses(host, port)
        return await aiohappyeyeballs.start_connection(
            addresses,
            happy_eyeballs_delay=_ATTEMPT_DELAY_S,
            interleave=1,
            loop=asyncio.get_running_loop(),
        )


async def _open_tunnel(sock: socket.socket, proxy: ForwardProxy, origin: Origin) -> None:
    """CONNECT: RFC 9110, 9.3.6. The socket is the origin's on return.

    Raises: ProxyRefused.
    """
    loop = asyncio.get_running_loop()
    credential = (
        "" if proxy.authorization is None else f"Proxy-Authorization: {proxy.authorization}\r\n"
    )
    request = f"CONNECT {origin.place} HTTP/1.1\r\nHost: {origin.place}\r\n{credential}\r\n"
    await loop.sock_sendall(sock, request.encode("latin-1"))
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > _PROXY_HEAD_BYTES:
            raise ProxyRefused(f"the proxy {proxy.place} answered nonsense")
        data = await loop.sock_recv(sock, _PROXY_HEAD_BYTES)
        if not data:
            raise ProxyRefused(f"the proxy {proxy.place} closed the connection")
        head += data
    status = _status_of(head)
    if status == _PROXY_AUTHENTICATION_REQUIRED:
        raise ProxyRefused(
            f"the proxy {proxy.place} wants other credentials (407): see HTTPS_PROXY"
        )
    if not 200 <= status < 300:
        raise ProxyRefused(f"the proxy {proxy.place} refused the tunnel ({status or 'not HTTP'})")
    if not head.endswith(b"\r\n\r\n"):
        # Behind a tunnel's head only the origin could speak, and in TLS the client speaks first.
        raise ProxyRefused(f"the proxy {proxy.place} answered nonsense")


def _status_of(head: bytes) -> int:
    """Return the status of a response's head, 0 where it is not HTTP/1."""
    version, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    is_http = version in (b"HTTP/1.1", b"HTTP/1.0") and rest[:3].isdigit()
    return int(rest[:3]) if is_http else 0


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, ProxyRefused):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({(error.reason or 'no reason given').lower().replace('_', ' ')})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


FRESH_S: Final = 5.0
"""Shorter than the TTL of any large service's name: an address that changes is followed at the next
connection.
"""
STALE_S: Final = 3600.0
"""How long the last addresses found serve while the name server fails."""
_REFRESH_TIMEOUT_S: Final = 0.5
"""How long a lookup is waited for where older addresses are at hand."""

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` has it."""
Lookup = Callable[[str, int], Awaitable[list[AddressInfo]]]


class _Known(msgspec.Struct, frozen=True):
    addresses: list[AddressInfo]
    at_s: float


async def _look_up(host: str, port: int) -> list[AddressInfo]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Resolver:
    """Looks names up, from memory where it can. ``lookup`` is the system's in a thread, or a
    test's.
    """

    def __init__(self, lookup: Lookup = _look_up) -> None:
        self._lookup = lookup
        self._known: dict[tuple[str, int], _Known] = {}
        self._flights: SingleFlight[tuple[str, int], list[AddressInfo]] = SingleFlight("resolve")

    async def addresses(self, host: str, port: int) -> list[AddressInfo]:
        """Return the host's addresses, at least one.

        Raises: OSError where the name is not known, or its server fails and nothing is remembered;
        UnicodeError for what is no name.
        """
        key, now_s = (host, port), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is not None and now_s - known.at_s < FRESH_S:
            return known.addresses
        if known is None or now_s - known.at_s > STALE_S:
            return await self._flights.run(key, lambda: self._fly(key))
        try:
            async with asyncio.timeout(_REFRESH_TIMEOUT_S):
                return await self._flights.run(key, lambda: self._fly(key))
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            return known.addresses

    async def aclose(self) -> None:
        """Cancel the lookups under way."""
        await self._flights.aclose()

    async def _fly(self, key: tuple[str, int]) -> list[AddressInfo]:
        addresses = await self._lookup(*key)
        if not addresses:
            raise OSError("the name has no address")
        self._known[key] = _Known(addresses, asyncio.get_running_loop().time())
        return addresses

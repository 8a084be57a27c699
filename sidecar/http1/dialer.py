"""From an origin to a connected transport: name, proxy, TCP, TLS."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable
from math import inf
from typing import Final

import aiohappyeyeballs

from sidecar.domain.errors import ConnectFailed, ConnectStage, ConnectTimeout
from sidecar.http1.certificate import (
    EXPIRED,
    NOT_YET_VALID,
    CertificateOutOfDate,
    Validity,
    out_of_date,
    trusting_context,
    validity_of,
)
from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.origin import Origin
from sidecar.http1.proxy_rules import ForwardProxy, ProxyRules
from sidecar.http1.resolver import Resolver
from sidecar.runtime.bounded import BoundedMap
from sidecar.runtime.timers import Timeout

_ATTEMPT_DELAY_S: Final = 0.25
"""Head start of one address over the next: RFC 8305, section 8."""
_PROXY_HEAD_BYTES: Final = 16 * 1024
_PROXY_AUTHENTICATION_REQUIRED: Final = 407
_LOOK_AT_MOST_S: Final = 1.0
"""For the look at a certificate that was refused for its dates: the call waits for it."""
_LOOKED_AT_S: Final = 60.0
"""For so long the dates that were found are not looked for again."""
_LOOKED_AT_MOST: Final = 256
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)


class ProxyRefused(OSError):
    """The proxy did not open a tunnel. Its message is fit for the app: it holds no credential."""


class Dialer:
    """Opens connections. One dialer serves all pools, so that a name is looked up once for all
    upstreams behind it.
    """

    def __init__(
        self,
        resolver: Resolver | None = None,
        proxies: ProxyRules | None = None,
        unix_s: Callable[[], float] | None = None,
    ) -> None:
        """Args: ``unix_s`` tells the time of day, so that the day can be named by which a
        certificate is out of date; None: it is not named.
        """
        self._resolver = resolver or Resolver()
        self._proxies = proxies or ProxyRules()
        self._unix_s = unix_s
        self._validities: BoundedMap[Origin, tuple[float, Validity | None]] = BoundedMap(
            _LOOKED_AT_MOST
        )

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
        stages: list[ConnectStage] = []
        try:
            async with Timeout(connect_s):
                try:
                    await self._connect(origin, tls, connection, stages)
                except ssl.SSLCertVerificationError as error:
                    dated = await self._dated(origin, error)
                    if dated is None:
                        raise
                    raise dated from error
        except TimeoutError as error:
            connection.abort()
            late = ConnectTimeout(f"{origin.place}: no connection within {connect_s:g} s")
            late.stage = stages[-1] if stages else None
            raise late from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no IDNA name
            failed = ConnectFailed(f"{origin.place}: could not connect: {_reason(error)}")
            failed.is_own_shortage = _is_without_descriptors(error)
            connection.abort()
            raise failed from error
        except BaseException:
            connection.abort()
            raise

    async def aclose(self) -> None:
        """Cancel the lookups under way."""
        await self._resolver.aclose()

    async def _dated(
        self, origin: Origin, refusal: ssl.SSLCertVerificationError
    ) -> CertificateOutOfDate | None:
        """Return a refusal with the day by which the certificate is out of date, if it is."""
        if self._unix_s is None or refusal.verify_code not in (EXPIRED, NOT_YET_VALID):
            return None
        now_s = asyncio.get_running_loop().time()
        looked_s, validity = self._validities.get(origin, (-inf, None))
        if now_s - looked_s > _LOOKED_AT_S:
            validity = await self._look_at_validity(origin)
            self._validities.add(origin, (now_s, validity))
        return out_of_date(refusal, validity, self._unix_s())

    async def _look_at_validity(self, origin: Origin) -> Validity | None:
        """Make a handshake that trusts any certificate, and send nothing."""
        try:
            async with Timeout(_LOOK_AT_MOST_S):
                transport = await self._connect(
                    origin, trusting_context(), asyncio.Protocol(), stages=[]
                )
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            return None
        certificate = transport.get_extra_info("ssl_object").getpeercert(True)
        transport.abort()
        return validity_of(certificate or b"")

    async def _connect(
        self,
        origin: Origin,
        tls: ssl.SSLContext | None,
        protocol: asyncio.BaseProtocol,
        stages: list[ConnectStage],
    ) -> asyncio.Transport:
        """Connect ``protocol``, and add to ``stages`` what is begun with."""
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
            if tls is None:
                stages.append(ConnectStage.TCP)
            transport, _ = await loop.create_connection(
                lambda: protocol, origin.host, origin.port, ssl=tls, server_hostname=server_name
            )
            return transport
        sock = await self._reach(origin, proxy, stages)
        is_handed_over = False

        def take_over() -> asyncio.BaseProtocol:
            nonlocal is_handed_over
            is_handed_over = True  # From here on the transport closes the socket.
            return protocol

        try:
            stages.append(ConnectStage.TLS)
            transport, _ = await loop.create_connection(
                take_over, sock=sock, ssl=tls, server_hostname=server_name
            )
            return transport
        finally:
            if not is_handed_over:
                sock.close()

    async def _reach(
        self, origin: Origin, proxy: ForwardProxy | None, stages: list[ConnectStage]
    ) -> socket.socket:
        """Return a socket at whose other end the origin is, through the proxy if there is one."""
        if proxy is None:
            return await self._open_socket(origin.host, origin.port, stages)
        sock = await self._open_socket(proxy.host, proxy.port, stages)
        try:
            stages.append(ConnectStage.PROXY)
            await _open_tunnel(sock, proxy, origin)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _open_socket(self, host: str, port: int, stages: list[ConnectStage]) -> socket.socket:
        stages.append(ConnectStage.NAME)
        addresses = await self._resolver.addresses(host, port)
        stages.append(ConnectStage.TCP)
        # The race is run by aiohappyeyeballs, as in aiohttp: uvloop's create_connection has none.
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


def _is_without_descriptors(error: Exception) -> bool:
    """Return whether this process could open no socket. A failed look-up of a name says so in no
    way; errors of several addresses hide their numbers.
    """
    if isinstance(error, ssl.SSLError | ProxyRefused):
        return False
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTORS:
        return True
    try:
        socket.socket().close()
    except OSError as now:
        return now.errno in _NO_DESCRIPTORS
    return False


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

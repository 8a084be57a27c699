"""Through a forward proxy: a tunnel by CONNECT, TLS inside it, and clear words where it is
refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from sidecar.domain.errors import ConnectFailed
from sidecar.http1.dialer import Dialer
from sidecar.http1.origin import Origin, make_ssl_context
from sidecar.http1.pool import Pool
from sidecar.http1.proxy_rules import ProxyRules
from tests.contract.http1.peer import HELLO, Certificates, Peer, answers, ask, whole
from tests.contract.http1.test_tls import server_tls


class TunnelProxy:
    """A forward proxy: answers CONNECT with what it is told to, and joins the two ends where that
    is a 200.
    """

    def __init__(self, target_port: int, answer: bytes) -> None:
        self.heads: list[bytes] = []
        self._target_port, self._answer = target_port, answer
        self._running: set[asyncio.Task[None] | None] = set()

    async def ended(self) -> None:
        """Until every connection is closed on both sides."""
        while self._running:
            await asyncio.sleep(0.005)  # sleep: the last bytes of a farewell are in the kernel

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._running.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._running.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            for at in range(len(self._answer)):
                writer.write(self._answer[at : at + 1])
                await writer.drain()
            if b" 200 " in self._answer:
                there_reader, there_writer = await asyncio.open_connection(
                    "127.0.0.1", self._target_port
                )
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pump(reader, there_writer))
                    group.create_task(_pump(there_reader, writer))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def tunnelled(
    certificates: Certificates, answer: bytes, *, user: str = ""
) -> AsyncIterator[tuple[Peer, TunnelProxy, Pool]]:
    """An upstream whose name only the proxy knows, the proxy, and a pool that goes through it."""
    async with Peer(server_tls(certificates.other)) as peer:
        peer.follows(answers(HELLO, HELLO))
        proxy = TunnelProxy(peer.port, answer)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rules = ProxyRules.from_environment({"HTTPS_PROXY": f"http://{user}127.0.0.1:{port}"})
        origin = Origin("https", "other.example", 443)
        pool = Pool(
            origin,
            ssl_context=make_ssl_context(certificates.ca),
            dialer=Dialer(proxies=rules),
        )
        try:
            yield peer, proxy, pool
        finally:
            await pool.aclose()
            await proxy.ended()
            server.close()


@pytest.mark.parametrize("user", ["", "me:secret@"])
async def test_a_tunnel_is_opened_and_tls_goes_through_it(certificates: Certificates, user: str):
    """The name is the proxy's to resolve; the certificate is verified end to end; the credential is
    the proxy's only.
    """
    async with tunnelled(certificates, b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n", user=user) as (
        peer,
        proxy,
        pool,
    ):
        assert await whole(await ask(pool)) == b"hello"
        assert await whole(await ask(pool)) == b"hello"

    (head,) = proxy.heads
    assert head.startswith(b"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n")
    assert (b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in head) == bool(user)
    assert peer.connects == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            r"other credentials \(407\)",
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", r"refused the tunnel \(403\)"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", r"refused the tunnel \(502\)"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", r"refused the tunnel \(not HTTP\)"),
        (b"HTTP/1.1 2xx OK\r\n\r\n", r"refused the tunnel \(not HTTP\)"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 403 Forb", "closed the connection"),
        (b"HTTP/1.1 403 " + b"x" * 40_000, "answered nonsense"),
    ],
)
async def test_a_proxy_that_refuses_is_named(
    certificates: Certificates, answer: bytes, reason: str
):
    """ConnectFailed with the proxy's place and its status, and without our credential."""
    async with tunnelled(certificates, answer, user="me:secret@") as (peer, _, pool):
        with pytest.raises(
            ConnectFailed, match=rf"the proxy 127\.0\.0\.1:\d+ .*{reason}"
        ) as raised:
            await ask(pool)
        assert "secret" not in str(raised.value)
        assert (peer.connects, pool.active) == (0, 0)


async def test_bytes_behind_the_proxys_head_are_nonsense(certificates: Certificates):
    """Nobody in the tunnel may speak before TLS does."""
    proxy_answer = b"HTTP/1.1 200 OK\r\n\r\nX"
    async with tunnelled(certificates, proxy_answer) as (_, _, pool):
        with pytest.raises(ConnectFailed):
            await ask(pool)


async def test_plain_upstreams_and_exceptions_go_directly(peer: Peer):
    """No proxy listens there: it would be noticed."""
    peer.follows(answers(HELLO))
    rules = ProxyRules.from_environment(
        {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    )
    pool = Pool(peer.origin, dialer=Dialer(proxies=rules))
    assert await whole(await ask(pool)) == b"hello"
    await pool.aclose()

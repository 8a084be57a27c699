"""All providers at their own names: a forward proxy whose every tunnel ends, by TLS, at one demo
provider.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from sidecar.demo.provider import DemoProvider
from tests.support.certificates import CertificateAuthority


class EveryProvider(DemoProvider):
    """A provider that remembers what it was asked, and takes every request for a model's name for
    a name.
    """

    fails_on_request = False

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Host with path and query, and the headers by their names in lower case."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((headers["host"] + request.path_qs, headers))
        return await super().handle(request)


@contextlib.asynccontextmanager
async def every_provider(hosts: set[str], work: Path) -> AsyncIterator[tuple[EveryProvider, str]]:
    """Serve https at all these names, reached through a forward proxy.

    Yields: the provider and the proxy's URL; ``ca.pem`` in ``work`` is what to trust.
    """
    names = ",".join(f"DNS:{host}" for host in sorted(hosts))
    pem = CertificateAuthority(work).sign("all", names, common_name="all")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    tunnels: set[asyncio.Task[None]] = set()

    async with EveryProvider() as provider:
        port = int(provider.url.rpartition(":")[2])

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            loop = asyncio.get_running_loop()
            tunnels.add(loop.create_task(_tunnel(reader, writer, context, port)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield provider, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for tunnel in tunnels:
                tunnel.cancel()
            await asyncio.gather(*tunnels, return_exceptions=True)


async def _tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    context: ssl.SSLContext,
    port: int,
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"CONNECT "), head
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await writer.drain()
    await writer.start_tls(context)
    provider_reader, provider_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pipe(reader, provider_writer))
            group.create_task(_pipe(provider_reader, writer))
    finally:
        writer.close()
        provider_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

"""A server of pages on a free port, and what comes back from it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sidecar.listener.page_room import PageLimits
from sidecar.listener.page_server import PageHandler, PageServer
from sidecar.listener.server import bind, port_of


class RunningPages:
    """A page server that listens."""

    def __init__(self, server: PageServer, port: int) -> None:
        self.server = server
        self.port = port

    async def send(self, *sent: bytes, source: str = "127.0.0.1") -> bytes:
        """All that comes back for these bytes, each piece sent for itself, until the other end
        closes.
        """
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(source, 0)
        )
        for piece in sent:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            received = await reader.read()
        writer.close()
        return received


@contextlib.asynccontextmanager
async def running_pages(
    handler: PageHandler, limits: PageLimits | None = None
) -> AsyncIterator[RunningPages]:
    """Start a page server on 127.0.0.1."""
    server = PageServer(handler, limits)
    (listening,) = await bind(server, ["127.0.0.1"], 0, "the pages", server.room)
    await listening.start_serving()
    try:
        yield RunningPages(server, port_of(listening))
    finally:
        listening.close()
        await server.shutdown(1)

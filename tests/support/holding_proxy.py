"""A TCP proxy that holds what a server says, or part of what its client does, and lets go of it in
one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class HoldingProxy:
    """Between one server and its clients. While it holds, what the server sends is collected."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self._server_port = server_port
        self._holds = False
        self._split_at = b""
        self._rest = asyncio.Event()
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def hold(self) -> None:
        """From now on."""
        self._holds = True

    def split_at(self, text: bytes) -> None:
        """Hold what a client says from this text on, until `join`: a segment that is still under
        way.
        """
        self._split_at = text
        self._rest.clear()

    def join(self) -> None:
        """The rest of it arrives."""
        self._rest.set()

    async def wait_for(self, text: bytes) -> None:
        """Until the held bytes have ``text`` in them."""
        async with self._arrived, asyncio.timeout(20):
            await self._arrived.wait_for(lambda: text in b"".join(data for _, data in self._held))

    def release(self) -> None:
        """Send what is held, all of a client's bytes in one write."""
        self._holds = False
        by_client: dict[asyncio.StreamWriter, bytes] = {}
        for writer, data in self._held:
            by_client[writer] = by_client.get(writer, b"") + data
        self._held.clear()
        for writer, data in by_client.items():
            writer.write(data)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self._tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(reader, server_writer))
                group.create_task(self._down(server_reader, writer))
        finally:
            writer.close()
            server_writer.close()

    async def aclose(self) -> None:
        """Drop every client."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _up(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self._split_at and self._split_at in data:
                first, text, rest = data.partition(self._split_at)
                self._split_at = b""
                server.write(first)
                await self._rest.wait()
                data = text + rest
            server.write(data)

    async def _down(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await server.read(65536):
            if self._holds:
                async with self._arrived:
                    self._held.append((writer, data))
                    self._arrived.notify_all()
            else:
                writer.write(data)


@contextlib.asynccontextmanager
async def holding_proxy(server_port: int) -> AsyncIterator[HoldingProxy]:
    """A proxy on a free port."""
    proxy = HoldingProxy(server_port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.aclose()

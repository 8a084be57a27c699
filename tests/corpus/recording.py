"""A whole sidecar before an upstream that keeps every byte it gets, and says what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple, Self
from unittest.mock import patch

from sidecar.app import App
from sidecar.listener import server
from sidecar.listener.connection import missing_names
from tests.support.in_process import running_app
from tests.support.net import read_chunks
from tests.support.sidecar_process import sidecar_config

GOOD_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)
PATHS: Final = ("fast", "plain")
"""The two listener paths."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Speech(NamedTuple):
    """What is said to one request."""

    pieces: tuple[bytes, ...] = (GOOD_ANSWER,)
    ends: str = "waits"
    """``waits`` for another request, or ``closes`` or ``resets`` the connection."""


class RecordingUpstream:
    """Reads requests as the sidecar writes them, by nothing but their length or chunks."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        """Every request, as it stood on the wire, whole or not."""
        self.connections = 0
        """How many were accepted so far."""
        self.speeches: list[Speech] = []
        """What is said to the next requests; the good answer to those behind them."""
        self.when_read = asyncio.Event()
        """Set when the app has read something of what is said now."""
        self._open: dict[asyncio.StreamWriter, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.hang_up()
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def hang_up(self) -> None:
        """Close all connections, and wait until the sidecar has closed its ends."""
        for writer in self._open:
            writer.close()
        while self._open:
            await next(iter(self._open.values())).wait()

    def take_received(self) -> list[bytes]:
        """All requests since the last time."""
        received, self.received = self.received, []
        return received

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        gone = self._open[writer] = asyncio.Event()
        try:
            while await self._read_request(reader):
                speech = self.speeches.pop(0) if self.speeches else Speech()
                await self._say(writer, speech)
                if speech.ends != "waits":
                    break
        except OSError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            del self._open[writer]
            gone.set()

    async def _say(self, writer: asyncio.StreamWriter, speech: Speech) -> None:
        for piece in speech.pieces:
            if piece == b"<read>":
                await self.when_read.wait()
                continue
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if speech.ends == "resets":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()

    async def _read_request(self, reader: asyncio.StreamReader) -> bool:
        """Keep the next request; False where the connection ended before it was whole."""
        raw = b""
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(raw)
            if b"\r\ntransfer-encoding: chunked\r\n" in raw.lower():
                body, is_complete = await read_chunks(reader)
                self.received.append(raw + body)
                return is_complete
            if length is not None:
                raw += await reader.readexactly(int(length[1]))
        except asyncio.IncompleteReadError as error:
            if raw or error.partial:
                self.received.append(raw + error.partial)
            return False
        self.received.append(raw)
        return True


class Stage(NamedTuple):
    """A sidecar and the upstream behind it."""

    app: App
    upstream: RecordingUpstream
    path: str


@contextlib.asynccontextmanager
async def staged(work: Path, path: str) -> AsyncIterator[Stage]:
    """Run both, on one of the two listener paths."""
    missing = ["a name of the future"] if path == "plain" else missing_names()
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(RecordingUpstream())
        # For the start alone, which decides the path: another stage may begin before this one ends.
        with patch.object(server, "missing_names", lambda: missing):
            app = await stack.enter_async_context(running_app(sidecar_config(upstream.url), work))
        yield Stage(app, upstream, path)
        await upstream.hang_up()

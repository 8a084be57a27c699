"""An upstream that says exactly the bytes of its script, and the dialogue's other half in short
words.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.pool import Pool
from sidecar.http1.response import UpstreamResponse

PATIENT = ExchangeTimeouts(connect_s=10, first_byte_s=10, response_s=20, idle_s=10)
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Certificates(NamedTuple):
    ca: str
    good: str
    other: str


class Line:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def hear(self) -> bytes:
        """One request: its head and the body that the head announces. b"" once the client is
        gone.
        """
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        return head + await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> bytes:
        """Wait until the client has closed; what it said before that."""
        heard = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await self.reader.read(65536):
                heard += data
        return heard

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Line], Awaitable[None]]


class Peer:
    """A server whose n-th connection follows the n-th script, and the last one from then on."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.scripts: list[Script] = []
        self.connects = 0
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []

    def follows(self, *scripts: Script) -> None:
        self.scripts = list(scripts)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.origin = Origin("https" if self._tls else "http", "127.0.0.1", self.port, "localhost")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            if not task.done():
                task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def done(self) -> None:
        """Wait until every script has come to its end."""
        await asyncio.gather(*self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.connects, len(self.scripts) - 1)]
        self.connects += 1
        self._tasks.append(
            asyncio.get_running_loop().create_task(self._play(script, reader, writer))
        )

    async def _play(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await script(Line(reader, writer))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


def answers(*said: bytes) -> Script:
    """Answer the n-th request with the n-th bytes, then wait until the client closes."""

    async def script(line: Line) -> None:
        for data in said:
            if not await line.hear():
                return
            await line.say(data)
        await line.gone()

    return script


def answers_and_closes(*said: bytes) -> Script:
    """Answer the n-th request with the n-th bytes, then close."""

    async def script(line: Line) -> None:
        for data in said:
            if not await line.hear():
                return
            await line.say(data)

    return script


async def ask(
    pool: Pool,
    body: bytes = b"",
    *,
    method: str = "POST",
    timeouts: ExchangeTimeouts = PATIENT,
    path: str = "/",
) -> UpstreamResponse:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return await pool.send(
        head.encode(), [memoryview(body)] if body else [], timeouts, method=method
    )


async def whole(reply: UpstreamResponse) -> bytes:
    """The body to its end, by the way that a relay takes."""
    body = reply.read_nowait()
    if body is not None:
        return body
    pieces = []
    while piece := await reply.read():
        pieces.append(piece)
    return b"".join(pieces)


async def until(is_so: Callable[[], object]) -> None:
    """Let the loop turn until a state of ours is reached that nothing announces."""
    while not is_so():
        await asyncio.sleep(0)

"""Peers that abuse a port, in a process of their own, which has the descriptors for them.

``python -m tests.support.crowd PORT KIND COUNT AGAIN_S`` opens connections, writes ``up`` once each
has been tried, and holds them until its stdin ends; then it writes how many of them were served. One
that is closed comes again after so many seconds, and never for 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import AsyncIterator
from typing import Final

from sidecar.runtime.lifecycle import Tasks
from tests.support.sidecar_process import REPOSITORY

SILENT: Final = "silent"
"""Connects and says nothing."""
SLOW_HEAD: Final = "slow_head"
"""Sends a head drop by drop, without end."""
SCRAPE: Final = "scrape"
"""Asks for /metrics, reads it, and asks again."""
STUCK_SCRAPE: Final = "stuck_scrape"
"""Asks for /metrics and reads nothing."""
STUCK_STREAM: Final = "stuck_stream"
"""Makes a streamed call and reads nothing."""

_BODY: Final = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}'
_STREAM: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
_SCRAPE: Final = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_BEGINS: Final = {
    SILENT: b"",
    SLOW_HEAD: b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    SCRAPE: _SCRAPE,
    STUCK_SCRAPE: _SCRAPE,
    STUCK_STREAM: _STREAM,
}
_DROP_S: Final = 0.5
_AT_ONCE: Final = 200
"""Connections that are being made at a time: fewer than the kernel lets wait."""


class Crowd:
    """Any number of peers that do the same."""

    def __init__(self, port: int, kind: str, again_s: float) -> None:
        self._port = port
        self._kind = kind
        self._again_s = again_s
        self.served = 0

    async def peer(self, connecting: asyncio.Semaphore, tried: asyncio.Future[None]) -> None:
        """Connect, abuse, and come again; ``tried`` is done once it has tried to connect."""
        while True:
            try:
                async with connecting:
                    stream = await asyncio.open_connection("127.0.0.1", self._port, limit=1024)
            except OSError:
                stream = None
            if not tried.done():
                tried.set_result(None)
            if stream is not None:
                with contextlib.suppress(OSError):
                    await self._abuse(*stream)
                stream[1].transport.abort()
            if not self._again_s:
                return
            await asyncio.sleep(self._again_s)

    async def _abuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_BEGINS[self._kind])
        if self._kind == SCRAPE:
            self.served += b" 200 " in await reader.readline()
        elif self._kind == SLOW_HEAD:
            while not reader.at_eof():
                writer.write(b"a")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), _DROP_S)
        elif self._kind in (STUCK_SCRAPE, STUCK_STREAM):
            await asyncio.Event().wait()  # its buffer of a kilobyte is full soon
        while await reader.read(65_536):
            pass


async def main(port: int, kind: str, count: int, again_s: float) -> None:
    """Be the crowd until stdin ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop, crowd, connecting = asyncio.get_running_loop(), Crowd(port, kind, again_s), _AT_ONCE
    tried: list[asyncio.Future[None]] = [loop.create_future() for _ in range(count)]
    many = asyncio.Semaphore(connecting)
    tasks = Tasks()
    for each in tried:
        tasks.spawn(crowd.peer(many, each), name="peer")
    await asyncio.wait(tried)
    print("up", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(crowd.served, flush=True)
    os._exit(0)  # thousands of tasks are not waited for: Python 3.11's wait_for may lose a cancel


@contextlib.asynccontextmanager
async def crowd_at(
    port: int, kind: str, count: int, *, again_s: float = 0.0
) -> AsyncIterator[asyncio.Future[int]]:
    """Have a crowd at a port of this machine; the future says at its end how many it had served."""
    numbers = [str(each) for each in (count, again_s)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.crowd", str(port), kind, *numbers),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY,
    )  # fmt: skip
    served: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"up\n"
        yield served
    finally:
        process.stdin.close()
        served.set_result(int(await process.stdout.readline() or 0))
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))

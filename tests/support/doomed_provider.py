"""A provider that can be killed in mid-answer, and is there again at once.

    python -m tests.support.doomed_provider FILE

The process holds the port and prints it; a child of it serves. Each line on stdin kills the child
with SIGKILL and makes another; the end of stdin ends both. Of each request that a child has read
whole, and so begins to work on, it appends a line to FILE: the request's ``x-request-id``, and which
of an SDK's own retries it is. The answer comes in two halves, some hundredths of a second apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from pathlib import Path
from typing import Self

BODY = (
    b'{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": '
    b'[{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}], '
    b'"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}'
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
    BODY
)
MOST_S = 0.03
"""How long a half of the answer takes at most."""


async def _serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: int
) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(
                line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
            )
            await reader.readexactly(int(fields[b"content-length"]))
            retry = fields.get(b"x-stainless-retry-count", b"0")
            os.write(log, b"%b %b\n" % (fields[b"x-request-id"], retry))
            await asyncio.sleep(random.uniform(0, MOST_S))
            writer.write(HEAD + BODY[:40])
            await asyncio.sleep(random.uniform(0, MOST_S))
            writer.write(BODY[40:])
    writer.close()


async def _serve(listening: socket.socket, log: int) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _serve_connection(reader, writer, log), sock=listening
    )
    await server.serve_forever()


def _child(listening: socket.socket, log: int) -> int:
    number = os.fork()
    if number == 0:
        asyncio.run(_serve(listening, log))
        os._exit(0)
    return number


def main() -> None:
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listening.getsockname()[1], flush=True)
    is_over = False
    while not is_over:
        child = _child(listening, log)
        is_over = not sys.stdin.readline()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class DoomedProvider:
    """That process, as a test uses it."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.kills = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.doomed_provider", str(self.log)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(await self._process.stdout.readline())}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def kill(self) -> None:
        """Kill what serves. Another one does as soon as it is there."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()
        self.kills += 1

    def worked_on(self) -> list[str]:
        """A line for each request that was begun."""
        return self.log.read_text().splitlines()


if __name__ == "__main__":
    main()

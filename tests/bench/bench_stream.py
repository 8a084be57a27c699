"""What the sidecar adds to a stream: to its first event with content, and to each of its chunks.
Prints, asserts nothing.

A provider writes 200 events, each with the moment at which it was written, 5 ms apart. The reader
compares that moment with the one at which the event arrived, once without and once with the sidecar
between. Streams begin in three ways: with content; with a preamble (a chunk that brings a role) and
content in one write; with a preamble, and content 5 ms later. Run it on an idle machine:

    python -m tests.bench.bench_stream
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path

from tests.support.net import json_request
from tests.support.openings import ROLE
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHUNKS, GAP_S, CALLS, STREAMS = 200, 0.005, 15, (1, 50)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST = json_request(
    "/v1/chat/completions",
    {"model": "gpt-4o", "stream": True, "messages": []},
    {"connection": "keep-alive"},
)
WAYS = ("content first", "preamble with it", "preamble before it")
EVENT = (
    b'data: {"at":%.7f,"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Provider:
    """One stream a request, the connection kept: every event says when it was written."""

    def __init__(self) -> None:
        self.way = WAYS[0]

    async def provide(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(
                    int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                )
                writer.write(HEAD)
                if self.way == WAYS[1]:
                    writer.write(_chunk(ROLE + EVENT % time.monotonic()))
                elif self.way == WAYS[2]:
                    writer.write(_chunk(ROLE))
                    await asyncio.sleep(GAP_S)
                for _ in range(CHUNKS):
                    writer.write(_chunk(EVENT % time.monotonic()))
                    await asyncio.sleep(GAP_S)
                writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        writer.close()


async def _read(port: int) -> list[list[float]]:
    """One app, one connection, `CALLS` calls: seconds from each event's writing to its arrival."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    runs = []
    for _ in range(CALLS + 1):
        writer.write(REQUEST)
        delays_s: list[float] = []
        while b"[DONE]" not in (line := await reader.readuntil(b"\n")):
            if line.startswith(b'data: {"at"'):
                delays_s.append(time.monotonic() - float(line[12:].split(b",")[0]))
        await reader.readuntil(b"0\r\n\r\n")
        runs.append(delays_s)
    writer.close()
    return runs[1:]  # the first call made the connections


async def _measure(port: int, streams: int) -> tuple[float, ...]:
    """In ms: the first content's median and worst, a chunk's median and 99th percentile."""
    runs = [
        run for runs in await asyncio.gather(*(_read(port) for _ in range(streams))) for run in runs
    ]
    firsts_s = sorted(delays_s[0] for delays_s in runs)
    chunks_s = sorted(delay_s for delays_s in runs for delay_s in delays_s[1:])
    p99_s = chunks_s[len(chunks_s) * 99 // 100]
    return tuple(
        1000 * each
        for each in (statistics.median(firsts_s), firsts_s[-1], statistics.median(chunks_s), p99_s)
    )


async def main() -> None:
    """Print one line for each number of streams and each way to begin."""
    source = _Provider()
    provider = await asyncio.start_server(source.provide, "127.0.0.1", 0)
    port = provider.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as work:
        sidecar = SidecarProcess(sidecar_config(f"http://127.0.0.1:{port}"), Path(work))
        await sidecar.wait_ready()
        for streams in STREAMS:
            for source.way in WAYS:
                direct, through = (
                    await _measure(port, streams),
                    await _measure(sidecar.data_port, streams),
                )
                added = [there - here for here, there in zip(direct, through, strict=True)]
                print(
                    f"{streams:3} streams, {source.way:18}: added to the first content {added[0]:.3f} ms "
                    f"(worst {added[1]:.3f}), to a chunk {added[2]:.3f} ms (p99 {added[3]:.3f})"
                )
        assert sidecar.process.poll() is None
        sidecar.process.terminate()
        await asyncio.to_thread(sidecar.process.wait)
    provider.close()


if __name__ == "__main__":
    asyncio.run(main())

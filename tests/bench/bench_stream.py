"""What the sidecar adds to a stream: to its first byte, and to each of its chunks. Prints, asserts
nothing.

A provider writes 200 events, each with the moment at which it was written, 5 ms apart. The reader
compares that moment with the one at which the event arrived, once without and once with the sidecar
between. Run it on an idle machine:

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
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHUNKS, GAP_S, CALLS, STREAMS = 200, 0.005, 15, (1, 50)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST = json_request(
    "/v1/chat/completions",
    {"model": "gpt-4o", "stream": True, "messages": []},
    {"connection": "keep-alive"},
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One stream a request, the connection kept: every event says when it was written."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(
                int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            )
            writer.write(HEAD)
            for _ in range(CHUNKS):
                writer.write(_chunk(b"data: %.7f\n\n" % time.monotonic()))
                await asyncio.sleep(GAP_S)
            writer.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    writer.close()


async def _read(port: int) -> list[tuple[float, list[float]]]:
    """One app, one connection, `CALLS` calls: seconds to the first byte, and from each event's
    writing to its arrival.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    runs = []
    for _ in range(CALLS + 1):
        began_s = time.monotonic()
        writer.write(REQUEST)
        await reader.readuntil(b"HTTP/1.1 200")
        first_s = time.monotonic() - began_s
        delays_s = []
        while b"[DONE]" not in (line := await reader.readuntil(b"\n")):
            if line.startswith(b"data: "):
                delays_s.append(time.monotonic() - float(line[6:]))
        await reader.readuntil(b"0\r\n\r\n")
        runs.append((first_s, delays_s))
    writer.close()
    return runs[1:]  # the first call made the connections


async def _measure(port: int, streams: int) -> tuple[float, ...]:
    """In ms: the first byte's median and worst, a chunk's median and 99th percentile."""
    runs = [
        run for runs in await asyncio.gather(*(_read(port) for _ in range(streams))) for run in runs
    ]
    firsts_s = sorted(first_s for first_s, _ in runs)
    chunks_s = sorted(delay_s for _, delays_s in runs for delay_s in delays_s)
    p99_s = chunks_s[len(chunks_s) * 99 // 100]
    return tuple(
        1000 * each
        for each in (statistics.median(firsts_s), firsts_s[-1], statistics.median(chunks_s), p99_s)
    )


async def main() -> None:
    """Print one line for each number of streams."""
    provider = await asyncio.start_server(_provide, "127.0.0.1", 0)
    port = provider.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as work:
        sidecar = SidecarProcess(sidecar_config(f"http://127.0.0.1:{port}"), Path(work))
        await sidecar.wait_ready()
        for streams in STREAMS:
            direct, through = (
                await _measure(port, streams),
                await _measure(sidecar.data_port, streams),
            )
            added = [there - here for here, there in zip(direct, through, strict=True)]
            print(
                f"{streams:3} streams: added to the first byte {added[0]:.3f} ms (worst {added[1]:.3f}), "
                f"to a chunk {added[2]:.3f} ms (p99 {added[3]:.3f})"
            )
        assert sidecar.process.poll() is None
        sidecar.process.terminate()
        await asyncio.to_thread(sidecar.process.wait)
    provider.close()


if __name__ == "__main__":
    asyncio.run(main())

"""What a scrape every second costs calls that run beside it, through a real sidecar. Prints, asserts
nothing.

A sidecar with fifty models, each of which has been called, whose page is beyond a hundred histograms.
Calls at a steady rate, in turns of some seconds: one with a scraper of its own process, one without,
and so on; all turns of a kind are one sample. Run it on an idle machine:

    python -m tests.bench.bench_scrape
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.net import exchange, free_port, json_request, raw_request, read_reply
from tests.support.sidecar_process import SidecarProcess, sidecar_config

MODELS = 50
"""Two histograms each, beside those of calls, routing, pins and the loop."""
TURN_S, TURNS, CALLS_A_SECOND = 5.0, 6, 200
SCRAPER = """
import sys, time, urllib.request
while True:
    urllib.request.urlopen(sys.argv[1]).read()
    time.sleep(1)
"""


def _config(provider_url: str) -> dict[str, Any]:
    models = [
        {"model": f"openai/model-{number}", "access_key": "k", "base_url": provider_url}
        for number in range(MODELS)
    ]
    return sidecar_config(provider_url) | {"model_providers": models, "model_aliases": {}}


def _request(model: int) -> bytes:
    body = {"model": f"openai/model-{model}", "messages": [{"role": "user", "content": "hello"}]}
    return json_request("/v1/chat/completions", body, {"connection": "keep-alive"})


@contextlib.asynccontextmanager
async def _process(*command: str) -> AsyncIterator[None]:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=quiet, stderr=quiet
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _until_accepting(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def _turn(port: int) -> list[float]:
    """Calls at a steady rate on one connection each of a few: milliseconds of each call."""
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
    idle = asyncio.Queue[Any]()
    for each in streams:
        idle.put_nowait(each)
    took_ms: list[float] = []

    async def call(number: int, due_s: float) -> None:
        reader, writer = await idle.get()
        writer.write(_request(number % MODELS))
        reply = await read_reply(reader)
        assert reply.status == 200, reply
        # From when it was due: a call that waits for another one's connection waits for the sidecar.
        took_ms.append((time.monotonic() - due_s) * 1e3)
        idle.put_nowait((reader, writer))

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(TURN_S * CALLS_A_SECOND)):
            due_s = began_s + number / CALLS_A_SECOND
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            group.create_task(call(number, max(due_s, time.monotonic())))
    for _, writer in streams:
        writer.close()
    return took_ms


def _line(name: str, took_ms: list[float]) -> str:
    cuts = statistics.quantiles(took_ms, n=1000)
    return f"{name}: p50 {cuts[499]:.2f} ms, p99 {cuts[989]:.2f} ms, p99.9 {cuts[998]:.2f} ms"


async def main() -> None:
    """Print what calls take with and without a scrape every second, and the difference."""
    provider_port = free_port()
    demo = ("-m", "sidecar.demo", "--port", str(provider_port), "--router-port", str(free_port()))
    with tempfile.TemporaryDirectory() as work:
        async with _process(*demo):
            await _until_accepting(provider_port)
            sidecar = SidecarProcess(_config(f"http://127.0.0.1:{provider_port}"), Path(work))
            try:
                await sidecar.wait_ready()
                await _measure(sidecar)
            finally:
                await sidecar.terminate()


async def _measure(sidecar: SidecarProcess) -> None:
    await _turn(sidecar.data_port)  # every model once, connections, code paths
    page = (await exchange(sidecar.admin_port, raw_request("GET", "/metrics"))).body
    samples = [line for line in page.splitlines() if not line.startswith(b"#")]
    histograms = sum(1 for line in samples if b'le="+Inf"' in line)
    print(f"a page of {histograms} histograms, {len(samples)} series, {len(page) >> 10} KiB")
    took: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(TURNS):
        for is_scraped in (turn % 2 == 0, turn % 2 == 1):
            scraper = _process("-c", SCRAPER, f"{sidecar.admin_url}/metrics")
            async with scraper if is_scraped else contextlib.nullcontext():
                took[is_scraped] += await _turn(sidecar.data_port)
    print(_line("without scrapes     ", took[False]))
    print(_line("one scrape a second ", took[True]))
    p99 = {kind: statistics.quantiles(each, n=100)[98] for kind, each in took.items()}
    print(f"p99 with scrapes less p99 without: {p99[True] - p99[False]:+.2f} ms (at most 2 ms)")


if __name__ == "__main__":
    asyncio.run(main())

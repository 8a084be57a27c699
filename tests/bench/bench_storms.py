"""Calls beside storms, through a real sidecar: failed calls, their times, and what the storm costs.
Prints, asserts nothing.

Each storm lasts a minute, or as many seconds as the argument says, beside a hundred calls a second on
kept connections and ten probes a second on new ones. A storm's peers come again when they are closed:

    slow-loris     heads without end, at the data port and at the admin port
    stuck reader   streams and scrapes that nobody reads
    scrape storm   two hundred scrapers that scrape again at once
    EMFILE storm   silent peers at both ports, and every other second no descriptor is to be had

    python -m tests.bench.bench_storms [SECONDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from tests.support.crowd import SCRAPE, SILENT, SLOW_HEAD, STUCK_SCRAPE, STUCK_STREAM, crowd_at
from tests.support.net import exchange, free_port, json_request, raw_request, read_reply
from tests.support.sidecar_process import SidecarProcess, no_descriptor_left, sidecar_config

CALLS_A_SECOND: Final = 100
CONNECTIONS: Final = 8
PROBE_EVERY_S: Final = 0.1
CALL: Final = json_request(
    "/v1/chat/completions",
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]},
    {"connection": "keep-alive"},
)
TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")

Storm = Callable[[SidecarProcess], contextlib.AbstractAsyncContextManager[Any]]


class Tally:
    """What became of calls or probes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.took_ms: list[float] = []
        self.failed: dict[str, int] = {}

    def fail(self, why: str) -> None:
        self.failed[why] = self.failed.get(why, 0) + 1

    def __str__(self) -> str:
        count = len(self.took_ms) + sum(self.failed.values())
        cuts = statistics.quantiles(self.took_ms, n=100)
        times = f"p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, worst {max(self.took_ms):.0f} ms"
        why = "".join(f", {number} {cause}" for cause, number in self.failed.items())
        return f"{count} {self.name}, {sum(self.failed.values())} failed{why}; {times}"


@contextlib.asynccontextmanager
async def _crowds(*crowds: tuple[int, str, int, float]) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for port, kind, count, again_s in crowds:
            await stack.enter_async_context(crowd_at(port, kind, count, again_s=again_s))
        yield


@contextlib.asynccontextmanager
async def _without_descriptors(sidecar: SidecarProcess) -> AsyncIterator[None]:
    """Silent peers at both ports; every other second the sidecar can open nothing."""

    async def storm() -> None:
        while True:
            with no_descriptor_left(sidecar):
                await asyncio.sleep(1)
            await asyncio.sleep(1)

    ports = sidecar.data_port, sidecar.admin_port
    async with _crowds(*((port, SILENT, 300, 1.0) for port in ports)), asyncio.TaskGroup() as group:
        going = group.create_task(storm())
        yield
        going.cancel()


STORMS: Final[dict[str, Storm]] = {
    "calm": lambda _: contextlib.nullcontext(),
    "slow-loris": lambda to: _crowds(
        (to.data_port, SLOW_HEAD, 300, 1.0), (to.admin_port, SLOW_HEAD, 300, 1.0)
    ),
    "stuck reader": lambda to: _crowds(
        (to.data_port, STUCK_STREAM, 100, 1.0), (to.admin_port, STUCK_SCRAPE, 200, 1.0)
    ),
    "scrape storm": lambda to: _crowds((to.admin_port, SCRAPE, 200, 0.001)),
    "EMFILE storm": _without_descriptors,
}


async def _calls(port: int, seconds: float) -> Tally:
    """Calls at a steady rate over a few kept connections, timed from when each was due."""
    tally, idle = Tally("calls"), asyncio.Queue[Any]()
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
    for each in streams:
        each[1].write(CALL)
        await read_reply(each[0])
        idle.put_nowait(each)

    async def call(due_s: float) -> None:
        stream = await idle.get()
        try:
            async with asyncio.timeout(20):
                stream[1].write(CALL)
                status = (await read_reply(stream[0])).status
        except (OSError, EOFError, TimeoutError) as error:
            tally.fail(type(error).__name__)
            stream = await asyncio.open_connection("127.0.0.1", port)
        else:
            if status == 200:
                tally.took_ms.append((time.monotonic() - due_s) * 1e3)
            else:
                tally.fail(str(status))
        idle.put_nowait(stream)

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * CALLS_A_SECOND)):
            due_s = began_s + number / CALLS_A_SECOND
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            group.create_task(call(due_s))
    while not idle.empty():
        idle.get_nowait()[1].close()
    return tally


async def _probes(port: int, tally: Tally) -> None:
    """Probe as a kubelet does, but more often, until cancelled."""
    while True:
        began_s = time.monotonic()
        try:
            reply = await exchange(port, raw_request("GET", "/livez"))
        except (OSError, EOFError, TimeoutError) as error:
            tally.fail(type(error).__name__)
        else:
            tally.took_ms.append((time.monotonic() - began_s) * 1e3)
            if reply.status != 200:
                tally.fail(str(reply.status))
        await asyncio.sleep(PROBE_EVERY_S)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def _rss_mib(pid: int) -> float:
    return (
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20
    )


async def _measure(sidecar: SidecarProcess, name: str, seconds: float) -> int:
    """Print what one storm does. Returns: how many calls failed."""
    pid, probes = sidecar.process.pid, Tally("probes")
    written, cpu_s = len(sidecar.log()), _cpu_s(pid)
    async with STORMS[name](sidecar), asyncio.TaskGroup() as group:
        probing = group.create_task(_probes(sidecar.admin_port, probes))
        calls = await _calls(sidecar.data_port, seconds)
        probing.cancel()
    cpu = (_cpu_s(pid) - cpu_s) / seconds
    kib = (len(sidecar.log()) - written) / 1024
    print(f"{name}: {calls}\n    {probes}", flush=True)
    print(f"    {cpu:.0%} of a core, {_rss_mib(pid):.0f} MiB, {kib:.1f} KiB of log", flush=True)
    return sum(calls.failed.values())


@contextlib.asynccontextmanager
async def _provider() -> AsyncIterator[str]:
    """A demo provider in a process of its own. Yields its URL."""
    port, quiet = free_port(), asyncio.subprocess.DEVNULL
    ports = ("--port", str(port), "--router-port", str(free_port()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar.demo", *ports, stdout=quiet, stderr=quiet
    )
    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def main(seconds: float) -> None:
    """Let every storm loose, one after the other."""
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        async with _provider() as url:
            sidecar = SidecarProcess(sidecar_config(url), Path(work))
            try:
                await sidecar.wait_ready()
                for name in STORMS:
                    failed += await _measure(sidecar, name, seconds)
            finally:
                await sidecar.terminate()
    print(f"failed calls in all storms: {failed}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))

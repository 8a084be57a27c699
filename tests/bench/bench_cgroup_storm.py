"""All that takes memory at once, under a container's limit: is the sidecar killed, is a small call
refused, and how late is it? Prints, and ends with 1 where one was.

64 streams, 100,000 sessions offered, 20 bodies of 8 MiB, 5,000 silent connections to the admin port
and model names of 1 MB, beside small calls; the sidecar alone is in a cgroup of 192 MiB. Bodies and
names come again and again, with pauses: else they take the two cores, and no session is offered.

    python -m tests.bench.bench_cgroup_storm [seconds: 120] [MiB: 192]
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from deploy.image.cgroup import Cgroup, limited
from tests.support.net import exchange, json_request, raw_request, read_reply
from tests.support.sidecar_process import SidecarProcess, sidecar_config

STREAMS, SESSIONS, LONG_BODIES, SILENT = 64, 100_000, 20, 5000
MIB = 1 << 20
SMALL_GAP_S = 0.02
LONG_GAP_S, NAME_GAP_S = 5.0, 0.2
SESSION_WORKERS = 16
CHAT = "/v1/chat/completions"
REPLY = b'{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"{\\"route\\": \\"code\\"}"},"finish_reason":"stop"}]}'
EVENT = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider: an event every 50 ms for a stream, a short answer for any other call."""
    quietly = (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError)
    with contextlib.suppress(*quietly):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            left = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            beginning = b""
            while left:
                piece = await reader.read(min(left, 1 << 16))
                beginning = beginning or piece
                left -= len(piece)
            if b'"stream": true' not in beginning:
                writer.write(WHOLE % (len(REPLY), REPLY))
                continue
            writer.write(STREAM)
            while True:
                writer.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
                await writer.drain()
                await asyncio.sleep(0.05)
    writer.close()


def routed(url: str) -> dict[str, object]:
    """A config with a router model, so that sessions are pinned."""
    config = sidecar_config(url, overrides={"llm_routing_model": "plano/router"})
    config["model_providers"].append({"model": "plano/router", "base_url": url})
    config["routing_preferences"] = [
        {"name": "code", "description": "writing code", "models": ["openai/gpt-4o"]}
    ]
    return config


def chat(content: str = "hi", **more: object) -> dict[str, object]:
    """A body of a call."""
    return {"model": "gpt-4o", **more, "messages": [{"role": "user", "content": content}]}


class Storm:
    """Everything that is done to one sidecar, and what came of it."""

    def __init__(self, port: int, admin_port: int, until_s: float) -> None:
        self.port, self.admin_port, self.until_s = port, admin_port, until_s
        self.counts: collections.Counter[str] = collections.Counter()
        self.small_s: list[float] = []
        self.events = 0
        self.silent: list[asyncio.StreamWriter] = []

    @property
    def goes_on(self) -> bool:
        """Whether the time is not over."""
        return time.monotonic() < self.until_s

    async def call(self, name: str, request: bytes) -> None:
        """One call, whose status is counted."""
        try:
            reply = await exchange(self.port, request, limit_s=30)
            self.counts[f"{name} {reply.status}"] += 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.counts[f"{name} {type(error).__name__}"] += 1

    async def small(self) -> None:
        """50 small calls a second, whatever becomes of the others."""
        request = json_request(CHAT, chat())

        async def one() -> None:
            began_s = time.monotonic()
            await self.call("small", request)
            self.small_s.append(time.monotonic() - began_s)

        async with asyncio.TaskGroup() as calls:
            while self.goes_on:
                calls.create_task(one())
                await asyncio.sleep(SMALL_GAP_S)

    async def streams(self) -> None:
        """One app that reads a stream to the end of the storm."""
        while self.goes_on:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(json_request(CHAT, chat(stream=True)))
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(max(0.0, self.until_s - time.monotonic())):
                    while piece := await reader.read(1 << 16):
                        self.events += piece.count(b"data:")
                    self.counts["streams that ended"] += 1
            writer.close()

    async def long_bodies(self) -> None:
        """Calls of 8 MiB, one after the other. Being refused for a moment is allowed."""
        request = json_request(CHAT, chat("x" * (8 * MIB)))
        while self.goes_on:
            await self.call("long", request)
            await asyncio.sleep(LONG_GAP_S)

    async def long_names(self) -> None:
        """Models with names of 1 MB, each another."""
        while self.goes_on:
            name = f"{self.counts.total()}" + "m" * 1_000_000
            await self.call("name", json_request(CHAT, {**chat(), "model": name}))
            await asyncio.sleep(NAME_GAP_S)

    async def silence(self) -> None:
        """Connections to the admin port that say nothing; those that are closed are made anew."""
        while self.goes_on:
            self.silent = [each for each in self.silent if not each.is_closing()]
            while len(self.silent) < SILENT and self.goes_on:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        _, writer = await asyncio.open_connection("127.0.0.1", self.admin_port)
                    self.silent.append(writer)
                    self.counts["silent connections"] += 1
                await asyncio.sleep(0)
            await asyncio.sleep(0.5)

    async def run(self) -> None:
        """All of it at once."""
        async with asyncio.TaskGroup() as parts:
            for part in (self.small, self.long_names, self.silence):
                parts.create_task(part())
            for _ in range(STREAMS):
                parts.create_task(self.streams())
            for _ in range(LONG_BODIES):
                parts.create_task(self.long_bodies())
        for writer in self.silent:
            writer.transport.abort()


def offer_sessions(port: int, until_s: float, counted: Connection) -> None:
    """Offer new sessions, as far as time allows; send how many got which status. Runs in a process
    of its own.
    """
    counts: collections.Counter[str] = collections.Counter()

    async def work(worker: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(worker, SESSIONS, SESSION_WORKERS):
            if time.monotonic() >= until_s:
                break
            headers = {"x-model-affinity": f"session-{number:020}", "connection": "keep-alive"}
            writer.write(json_request(CHAT, chat(), headers))
            reply = await read_reply(reader)
            counts[f"session {reply.status}"] += 1
        writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*map(work, range(SESSION_WORKERS)))

    asyncio.run(all_of_them())
    counted.send(dict(counts))


@contextlib.contextmanager
def inside(cgroup: Cgroup) -> Iterator[None]:
    """Be in a cgroup, so that what is started now is; then where one was before."""
    before = [
        line.split(":", 2)[2]
        for line in Path("/proc/self/cgroup").read_text().splitlines()
        if ":memory:" in line or line.startswith("0::")
    ]
    folders = cgroup.folders
    for folder in folders:
        (folder / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        for folder in folders:
            home = folder.parent / before[0].lstrip("/")
            place = home if home.exists() else folder.parent
            (place / "cgroup.procs").write_text(str(os.getpid()))


def percentile(values: list[float], part: float) -> float:
    """The value that so many of them do not exceed."""
    return sorted(values)[int(part * (len(values) - 1))] if values else 0.0


async def main(duration_s: float, memory_mib: int) -> int:
    """Run the storm; return the exit code."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    provider = await asyncio.start_server(provide, "127.0.0.1", 0, backlog=1024)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory() as work, limited(memory_mib * MIB, 1000) as cgroup:
        print(cgroup.words)
        with inside(cgroup):
            sidecar = SidecarProcess(routed(url), Path(work))
        try:
            await sidecar.wait_ready()
            storm = Storm(sidecar.data_port, sidecar.admin_port, time.monotonic() + duration_s)
            counted, counting = multiprocessing.Pipe(duplex=False)
            offering = multiprocessing.get_context("spawn").Process(
                target=offer_sessions, args=(sidecar.data_port, storm.until_s, counting)
            )
            offering.start()
            await storm.run()
            storm.counts.update(await asyncio.to_thread(counted.recv))
            offering.join()
            code = sidecar.process.poll()
            used = await _memory_told(sidecar) if code is None else ""
            peak = cgroup.working_set_mib()
        finally:
            sidecar.process.kill()
            sidecar.process.wait()
            provider.close()
    for name, count in sorted(storm.counts.items()):
        print(f"{count:8} {name}")
    print(f"{storm.events:8} events of {STREAMS} streams")
    p50, p99 = (percentile(storm.small_s, part) * 1e3 for part in (0.5, 0.99))
    print(f"small calls: p50 {p50:.1f} ms, p99 {p99:.1f} ms; memory {peak:.0f} of {memory_mib} MiB")
    print(used)
    refused = len(storm.small_s) - storm.counts["small 200"]
    print(f"killed: {'no' if code is None else f'yes ({code})'}; small calls refused: {refused}")
    return int(code is not None or refused > 0)


async def _memory_told(sidecar: SidecarProcess) -> str:
    host, _, port = sidecar.operator_address.rpartition(":")
    reply = await exchange(int(port), raw_request("GET", "/status"))
    return f"by /status at {host}: {json.dumps(json.loads(reply.body).get('memory'))}"


if __name__ == "__main__":
    given = [float(each) for each in sys.argv[1:]]
    sys.exit(asyncio.run(main(given[0] if given else 120.0, int(given[1]) if given[1:] else 192)))

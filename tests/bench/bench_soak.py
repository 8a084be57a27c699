"""A long mixed load with faults: what the sidecar holds afterwards, beside what it held after the
first tenth.

Whole and streamed calls of four dialects, large bodies, bad bodies, apps that leave, providers that
fail in every way the demo provider knows. Prints calls by how they ended, RSS, open files and calls
in flight; exits with 1 where the last two are not back. 200,000 calls take some minutes:

    python -m tests.bench.bench_soak [CALLS]
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.net import exchange, json_request, raw_request, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CALLS, AT_ONCE, SEED = 200_000, 48, 20_261_123
FAULTS = (
    "429", "500", "529", "400", "cut", "cut-head", "reset", "garbage", "cut-stream after=2", "cut-inside after=2",
    "reset-stream after=2", "bad-chunk after=2", "no-end", "end-early after=2", "error-event after=2", "gzip", "eof",
    "close", "early-hints", "html", "huge-head",
)  # fmt: skip
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings")
LIMIT_S = 30.0


class App:
    """One app: a connection that is kept while it can be, and one call after the other."""

    def __init__(self, port: int, seed: int, ended: collections.Counter[str]) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._ended = ended
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self) -> None:
        """One call of a random kind."""
        reader, writer = await self._connected()
        kind = self._random.random()
        try:
            async with asyncio.timeout(LIMIT_S):
                if kind < 0.02:
                    writer.write(raw_request("POST", PATHS[0], b'{"model":', close=False))
                else:
                    writer.write(self._request())
                if kind > 0.95:
                    await self._leave(reader)
                    return
                reply = await read_reply(reader)
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            self._ended[type(error).__name__] += 1
            self.drop()
            return
        self._ended[f"{reply.status}{'' if reply.is_complete else ' incomplete'}"] += 1
        if reply.header("connection") == "close" or not reply.is_complete:
            self.drop()

    def drop(self) -> None:
        """Leave without a word."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        return self._streams

    async def _leave(self, reader: asyncio.StreamReader) -> None:
        if self._random.random() < 0.5:
            await reader.read(1)
        self._ended["left"] += 1
        self.drop()

    def _request(self) -> bytes:
        path = self._random.choice(PATHS)
        model = "claude-demo" if path == "/v1/messages" else "gpt-4o"
        text = "Hello. " * self._random.choice((1, 1, 1, 100, 10_000))
        if self._random.random() < 0.2:
            text += f"[[fail:{self._random.choice(FAULTS)}]]"
        body: dict[str, Any] = {"model": model, "max_tokens": 20, "input": text}
        if path == "/v1/embeddings":
            body["model"] = "text-embedding-3-small"
        else:
            body |= {
                "stream": self._random.random() < 0.3,
                "messages": [{"role": "user", "content": text}],
            }
        headers = {
            "x-model-affinity": f"session-{self._random.randrange(1000)}",
            "connection": "keep-alive",
        }
        return json_request(path, body, headers)


class Footprint:
    """What a sidecar process holds."""

    def __init__(self, sidecar: SidecarProcess) -> None:
        pid = sidecar.process.pid
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        self.rss_mib = pages * resource.getpagesize() / (1 << 20)
        self.files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        self.in_flight = -1.0

    @classmethod
    async def of(cls, sidecar: SidecarProcess) -> Footprint:
        held = cls(sidecar)
        text = (await exchange(sidecar.admin_port, raw_request("GET", "/metrics"))).body.decode()
        line = next(
            line for line in text.splitlines() if line.startswith("plano_sidecar_in_flight")
        )
        held.in_flight = float(line.split()[1])
        return held

    def __str__(self) -> str:
        return f"RSS {self.rss_mib:.1f} MiB, {self.files} files, {self.in_flight:.0f} in flight"


async def _load(sidecar: SidecarProcess, calls: int, ended: collections.Counter[str]) -> None:
    """So many calls, `AT_ONCE` at a time; every connection is closed afterwards."""
    left = iter(range(calls))

    async def work(number: int) -> None:
        app = App(sidecar.data_port, SEED + number, ended)
        for _ in left:
            await app.call()
        app.drop()

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(work(number))


async def main(calls: int) -> int:
    """Run the load and print what is left of it. Returns: the exit status."""
    ended: collections.Counter[str] = collections.Counter()
    async with ScriptedProvider(token_gap_s=0.0, record=16) as provider:
        config = sidecar_config(
            provider.url, timeouts={"first_byte_s": 5, "response_s": 5, "stream_idle_s": 5}
        )
        with tempfile.TemporaryDirectory() as work:
            sidecar = SidecarProcess(config, Path(work))
            await sidecar.wait_ready()
            print("at start:           ", await Footprint.of(sidecar), flush=True)
            await _load(sidecar, calls // 10, ended)
            early = await _settled(sidecar)
            print(f"after {calls // 10:>7} calls: ", early, flush=True)
            began_s = time.monotonic()
            await _load(sidecar, calls - calls // 10, ended)
            rate = (calls - calls // 10) / (time.monotonic() - began_s)
            late = await _settled(sidecar)
            print(f"after {calls:>7} calls: ", late, f"({rate:.0f} calls/s)")
            code = await sidecar.terminate()
            print(f"ended with {code}; its log: {len(sidecar.log().splitlines())} lines")
            print("calls by how they ended:", json.dumps(dict(ended.most_common())))
    return int(code != 0 or late.in_flight != 0 or late.files > early.files)


async def _settled(sidecar: SidecarProcess) -> Footprint:
    """What is held once the apps are gone and idle connections to the provider have been closed."""
    await asyncio.sleep(25)  # sleep: idle connections are kept for 20 s
    return await Footprint.of(sidecar)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)))

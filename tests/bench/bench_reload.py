"""A thousand reloads under load, a third of them of broken or half-written files, by the swap of a
ConfigMap's link and SIGHUP: failed calls, and what the sidecar holds afterwards, beside what it
held after the first tenth.

Exits with 1 where a call failed, or descriptors or older configs are left:

    python -m tests.bench.bench_reload [RELOADS] [--redis]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.bench_soak import Footprint
from tests.support.config_map import ConfigMap, broken, config_text
from tests.support.net import exchange, raw_request, read_reply
from tests.support.redis_server import RedisServer
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

RELOADS, CALLERS = 1000, 8
LIMIT_S = 60.0


class Caller:
    """An app with a kept connection and a session, that calls all the time."""

    def __init__(self, port: int, who: int) -> None:
        self.took_s: list[float] = []
        self.failed: list[str] = []
        self._port = port
        self._who = who

    async def run(self, ends: asyncio.Event) -> None:
        """Call until ``ends`` is set."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        number = 0
        while not ends.is_set():
            number += 1
            body = {
                "model": "fast",
                "stream": number % 2 == 0,
                "messages": [{"role": "user", "content": f"hello {number}"}],
            }
            session = {"x-model-affinity": f"session-{self._who}-{number // 50}"}
            data = json.dumps(body).encode()
            began_s = time.perf_counter()
            try:
                path = "/v1/chat/completions"
                writer.write(raw_request("POST", path, data, headers=session, close=False))
                reply = await read_reply(reader)
            except (OSError, EOFError, asyncio.IncompleteReadError) as error:
                self.failed.append(type(error).__name__)
                return
            self.took_s.append(time.perf_counter() - began_s)
            if reply.status != 200 or (number % 2 == 0 and b"[DONE]" not in reply.body):
                self.failed.append(f"{reply.status} {reply.body[:200]!r}")
            await asyncio.sleep(0.005)  # sleep: an app does something between two calls
        writer.close()


class Reloads:
    """Changes a config file under a sidecar, and waits until that is told of."""

    def __init__(self, sidecar: SidecarProcess, folder: Path, url: str) -> None:
        self._sidecar = sidecar
        self._map = ConfigMap(folder)
        self._url = url
        self._own = {
            key: sidecar.config[key]
            for key in ("listeners", "admin", "routing", "overrides")
            if key in sidecar.config
        }
        self.took_s: list[float] = []
        self._map.mount(self._text(0))
        link = folder / "link"
        link.symlink_to(self._map.file)
        link.rename(sidecar.config_path)

    def _text(self, number: int) -> str:
        return json.dumps(json.loads(config_text(self._url, number)) | self._own, indent=1)

    async def change(self, number: int) -> None:
        """Make the change of that number: two good ones, then one that is broken or, every second
        time, half-written.
        """
        before, text = self._seen(), self._text(number)
        is_broken = number % 3 == 0
        if is_broken and number % 2:
            self._map.file.write_text(text[: len(text) // 2])
        else:
            self._map.mount(broken(text, number) if is_broken else text)
        began_s = time.perf_counter()
        self._sidecar.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(LIMIT_S):
            while self._seen() == before:
                await asyncio.sleep(0.005)  # sleep: the log is a file
        self.took_s.append(time.perf_counter() - began_s)

    def _seen(self) -> int:
        return self._sidecar.log().count('"event":"config_re')


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e3


async def _gauges(sidecar: SidecarProcess) -> dict[str, float]:
    reply = await exchange(sidecar.admin_port, raw_request("GET", "/metrics"))
    lines = (line.rsplit(" ", 1) for line in reply.body.decode().splitlines() if line[:1] != "#")
    return {name: float(value) for name, value in lines}


async def run(reloads: int, sidecar: SidecarProcess, folder: Path, url: str) -> int:
    """Make the reloads and print what came of them. Returns: the exit status."""
    await sidecar.wait_ready()
    changes, ends = Reloads(sidecar, folder, url), asyncio.Event()
    callers = [Caller(sidecar.data_port, who) for who in range(CALLERS)]
    print("at start:            ", await Footprint.of(sidecar), flush=True)
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller.run(ends))
        for number in range(1, reloads + 1):
            await changes.change(number)
            if number in (reloads // 10, reloads // 2, reloads):
                held = await Footprint.of(sidecar)
                print(f"after {number:>5} reloads: ", held, flush=True)
        ends.set()
    gauges = await _gauges(sidecar)
    held = await Footprint.of(sidecar)
    log, code = sidecar.log(), await sidecar.terminate()
    took_s = [each for caller in callers for each in caller.took_s]
    failed = [each for caller in callers for each in caller.failed]
    print("with no app:         ", held)
    print(f"{len(took_s)} calls, {len(failed)} failed: {failed[:3]}")
    print(f"calls: p50 {_percentile(took_s, 0.5):.1f} ms, p99 {_percentile(took_s, 0.99):.1f} ms")
    took_s = changes.took_s
    print(f"reloads: p50 {_percentile(took_s, 0.5):.0f} ms, p99 {_percentile(took_s, 0.99):.0f} ms")
    good, bad = (log.count(f'"event":"config_{end}"') for end in ("reloaded", "refused"))
    generations = gauges["plano_sidecar_config_generations"]
    print(f"{good} reloaded, {bad} refused; configs in memory: {generations:.0f}; exit code {code}")
    late = {
        name: value for name, value in gauges.items() if "event_loop_lag_seconds_bucket" in name
    }
    print("loop late, seconds:", {name.split('"')[1]: int(value) for name, value in late.items()})
    return int(bool(failed) or generations != 1 or code != 0)


async def main(reloads: int, *, on_redis: bool) -> int:
    """Start a provider, a sidecar and, where wanted, Redis. Returns: the exit status."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        provider = await stack.enter_async_context(ScriptedProvider(token_gap_s=0.0, record=16))
        more: dict[str, object] = {"logging": {"format": "json"}}
        if on_redis:
            redis = RedisServer("7", folder)
            await redis.start()
            stack.callback(redis.kill)
            more["routing"] = {"session_cache": {"type": "redis", "url": redis.url}}
        sidecar = SidecarProcess(sidecar_config(provider.url, **more), folder)
        mounted = folder / "mounted"
        mounted.mkdir()
        return await run(reloads, sidecar, mounted, provider.url)


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    sys.exit(asyncio.run(main(*(numbers or [RELOADS]), on_redis="--redis" in sys.argv)))

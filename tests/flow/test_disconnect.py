"""An app that goes away takes its call with it: the provider stops generating, and nothing is left
behind.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time

import pytest

from sidecar.app import App
from tests.support.faults import Fault
from tests.support.in_process import running_app
from tests.support.net import exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

# Thousands of calls that reach what others reach: counting branches doubles the time they take.
pytestmark = pytest.mark.no_cover

REPETITIONS = 334
"""A thousand over the three paths."""
AT_ONCE = 20

BODIES = {
    "/v1/chat/completions": {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
    },
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


class _Left:
    """What is open in this process beside the calls of a test: to be the same before and after."""

    def __init__(self, app: App) -> None:
        (self.pool,) = app.foundation.pools._pools.values()
        self.app = app
        self.before = self.now()

    def now(self) -> tuple[int, int, int, int, int]:
        """Tasks, sockets, permits, connections at work, connections kept."""
        held = self.app.foundation.drain.in_flight, self.pool.active, self.pool.idle
        return len(asyncio.all_tasks()), _open_sockets(), *held

    async def settled(self) -> tuple[int, int, int, int, int]:
        """What is open once nothing changes any more, or after 30 s."""
        async with asyncio.timeout(30):
            while self.now() != self.before:
                gc.collect()
                await asyncio.sleep(0.01)  # sleep: the last sockets close in the kernel's time
        return self.now()


def _when_gone(provider: ScriptedProvider, number: int) -> asyncio.Event:
    """Set when the provider saw the end of the call with this request id."""
    return next(
        each.when_closed
        for each in reversed(provider.requests)
        if each.header("x-request-id") == str(number)
    )


async def _until_arrived(provider: ScriptedProvider, number: int) -> None:
    """Until the provider has read the call with this request id."""
    while not any(each.header("x-request-id") == str(number) for each in provider.requests):
        await provider.wait_for_requests(provider.seen + 1)


async def _leave(
    app: App, provider: ScriptedProvider, path: str, number: int, *, after_first_byte: bool
) -> float:
    """Make a call and hang up: when the provider has it, or when the first bytes of the answer are
    here.

    Returns: seconds until the provider saw its connection closed.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
    headers = {"connection": "keep-alive", "x-request-id": str(number)}
    writer.write(json_request(path, BODIES[path], headers))
    if after_first_byte:
        await reader.readuntil(b"data:")
    else:
        await _until_arrived(provider, number)
    gone = _when_gone(provider, number)
    left_s = time.monotonic()
    writer.transport.abort()
    async with asyncio.timeout(20):
        await gone.wait()
    return time.monotonic() - left_s


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "after_first_byte", [False, True], ids=["before the first byte", "in mid-stream"]
)
async def test_a_thousand_apps_that_leave_leave_nothing(tmp_path, path, after_first_byte):
    """The provider's connection is closed each time; tasks, sockets, permits and pool are back
    where they were.

    The time it takes is printed, 20 at a time; the goal is 100 ms.
    """
    async with (
        ScriptedProvider(record=4 * AT_ONCE) as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        provider.script.always("hang-stream after=1" if after_first_byte else "hang")
        left, gate = _Left(app), asyncio.Semaphore(AT_ONCE)

        async def once(number: int) -> float:
            async with gate:
                return await _leave(app, provider, path, number, after_first_byte=after_first_byte)

        times_s = sorted(await asyncio.gather(*(once(number) for number in range(REPETITIONS))))
        p50_ms, p99_ms, worst_ms = (
            1000 * times_s[REPETITIONS * at // 1000] for at in (500, 990, 999)
        )
        print(
            f"\n{REPETITIONS} apps left: provider closed after {p50_ms:.2f} ms, p99 {p99_ms:.2f}, worst {worst_ms:.2f}"
        )

        assert (REPETITIONS, left.before) == (len(times_s), await left.settled())
        assert (0, 0, 0) == left.before[2:]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "after_first_byte", [False, True], ids=["before the first byte", "in mid-stream"]
)
async def test_the_providers_connection_is_closed_when_the_app_leaves(
    tmp_path, path, after_first_byte
):
    """The time it takes an idle sidecar is printed."""
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        provider.script.always("hang-stream after=1" if after_first_byte else "hang")
        left = _Left(app)
        took_s = await _leave(app, provider, path, 1, after_first_byte=after_first_byte)
        print(f"\nprovider's socket closed {1000 * took_s:.2f} ms after the app left")

        assert left.before == await left.settled()


@pytest.mark.parametrize("streams", [False, True])
async def test_a_proper_close_is_leaving_too(tmp_path, streams):
    """FIN instead of RST; whole answers as well as streams."""
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        provider.script.always("hang")
        left = _Left(app)
        _, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        body = {**BODIES["/v1/chat/completions"], "stream": streams}
        writer.write(json_request("/v1/chat/completions", body, {"connection": "keep-alive"}))
        await provider.wait_for_requests(1)
        writer.close()
        await provider.requests[0].when_closed.wait()

        assert left.before == await left.settled()


async def test_an_app_that_leaves_a_passthrough_call_ends_it(tmp_path):
    """Any path, any method."""
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        provider.script.always("hang")
        left = _Left(app)
        _, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(raw_request("GET", "/v1/files/f1", close=False))
        await provider.wait_for_requests(1)
        writer.transport.abort()
        await provider.requests[0].when_closed.wait()

        assert left.before == await left.settled()


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
async def test_a_thousand_apps_that_leave_while_they_send_cost_no_call(tmp_path, framing):
    """A body that never arrives whole reaches no provider, and keeps nothing."""
    piece = b"{" if b"Length" in framing else b"1\r\n{\r\n"
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        left, gate = _Left(app), asyncio.Semaphore(AT_ONCE)

        async def once() -> None:
            async with gate:
                _, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
                writer.write(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n%b"
                    % (framing, piece)
                )
                await writer.drain()
                writer.transport.abort()

        await asyncio.gather(*(once() for _ in range(REPETITIONS)))

        assert (left.before, 0) == (await left.settled(), provider.seen)


async def test_an_app_that_leaves_while_its_body_is_forwarded_ends_the_forwarding(tmp_path):
    """A provider that reads slowly is not sent the rest."""
    ended = asyncio.Event()

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        began.set()
        while await reader.read(65_536):
            await asyncio.sleep(0)
        ended.set()
        writer.close()

    began = asyncio.Event()
    provider = await asyncio.start_server(provide, "127.0.0.1", 0, limit=65_536)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    async with running_app(sidecar_config(url), tmp_path) as app:
        left = _Left(app)
        _, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        body = {**BODIES["/v1/chat/completions"], "filler": "x" * (8 << 20)}
        writer.write(json_request("/v1/chat/completions", body, {"connection": "keep-alive"}))
        await writer.drain()
        await began.wait()
        writer.transport.abort()
        async with asyncio.timeout(20):
            await ended.wait()
        settled = await left.settled()
    provider.close()

    assert left.before == settled


async def test_an_app_that_stops_reading_slows_the_provider_and_may_still_leave(tmp_path):
    """Little is held for it meanwhile; other apps are served; when it leaves, all of it is given
    up.
    """
    piece = b"data: " + b"x" * 65_000 + b"\n\n"
    sent_bytes = 0
    gone = asyncio.Event()

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        try:
            while True:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                sent_bytes += len(piece)
        except ConnectionError:
            gone.set()
        writer.close()

    provider = await asyncio.start_server(provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    async with running_app(sidecar_config(url), tmp_path) as app:
        left = _Left(app)
        reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data, limit=1024)
        writer.write(
            json_request(
                "/v1/chat/completions", BODIES["/v1/chat/completions"], {"connection": "keep-alive"}
            )
        )
        await reader.readexactly(500)
        before_bytes = -1
        while sent_bytes != before_bytes:  # until the kernel's buffers are full, too
            before_bytes = sent_bytes
            await asyncio.sleep(
                0.1
            )  # sleep: that nothing moves any more can only be seen over time
        listed = await exchange(app.ports.data, raw_request("GET", "/v1/models"))
        held = left.now()
        writer.transport.abort()
        async with asyncio.timeout(20):
            await gone.wait()
        settled = await left.settled()
    provider.close()

    assert (200, (1, 1, 0)) == (listed.status, held[2:])
    assert before_bytes < 32 << 20
    assert left.before == settled


async def test_an_app_that_leaves_between_two_calls_costs_the_next_one_nothing(tmp_path):
    """The provider's connection was kept and serves another app."""
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), tmp_path) as app,
    ):
        for _ in range(2):
            hold = asyncio.Event()
            provider.script.next(Fault(hold=hold))
            async with asyncio.TaskGroup() as group:
                body = {**BODIES["/v1/chat/completions"], "stream": False}
                group.create_task(
                    exchange(app.ports.data, json_request("/v1/chat/completions", body))
                )
                hold.set()

    assert 1 == len({request.peer for request in provider.requests})

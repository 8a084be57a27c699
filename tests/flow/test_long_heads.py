"""Heads of requests and of responses divide the memory with all else that is kept: who sends long
ones, to whichever side, takes none from other calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from sidecar.app import App
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.memory_budget import MIB
from tests.support.faults import Fault
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

CHAT = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
BUDGET = {"memory_bytes": 16 * MIB}
CALLS = 60
SMALL_FIELDS = b"a:\r\n" * 250
LONG_FIELD = b"x: %b\r\n" % (b"y" * 60_000)


@contextlib.asynccontextmanager
async def raw_provider(sent: bytes) -> AsyncIterator[str]:
    """A server that reads requests, answers each with these bytes, and says nothing more."""
    open_connections = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(sent)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in open_connections:
            writer.close()
        server.close()


def used(app: App, name: str) -> int:
    """What a share of the memory holds now."""
    return next(
        share.used_bytes for share in app.foundation.memory.budget.shares if share.name == name
    )


async def until_idle(app: App) -> None:
    """Wait until no call is in flight."""
    while app.foundation.drain.in_flight:
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_complete", [False, True])
async def test_long_heads_of_responses_have_a_share(tmp_path, is_complete):
    """As long as they come, and as long as the body behind them does. A call that finds no room is
    told so; all is given back once they are gone.
    """
    end = b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n" if is_complete else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + LONG_FIELD + end
    async with (
        raw_provider(head) as url,
        running_app(
            {**sidecar_config(url), "limits": {**BUDGET, "in_flight": CALLS}}, tmp_path
        ) as app,
    ):
        tasks, request = Tasks(), json_request(CHAT, BODY)
        apps = [await asyncio.open_connection("127.0.0.1", app.ports.data) for _ in range(CALLS)]
        readings = [tasks.spawn(read_reply(reader), name="read") for reader, _ in apps]
        for _, writer in apps:
            writer.write(request)
        done, waiting = set[asyncio.Task[RawReply]](), set(readings)
        while app.foundation.drain.in_flight + len(done) < CALLS or not done:
            done, waiting = await asyncio.wait(
                readings, return_when=asyncio.FIRST_COMPLETED, timeout=0.01
            )
        held = used(app, "response_heads")
        refused = [each.result() for each in done]
        for _, writer in apps:
            writer.close()
        for each in waiting:
            each.cancel()
        await until_idle(app)
        left = used(app, "response_heads")

    assert 1 * MIB < held <= 2 * MIB
    assert {(502, "upstream_malformed")} == {
        (each.status, each.header("x-plano-error")) for each in refused
    }
    assert 0 == left


async def test_a_head_of_countless_fields_is_refused_before_its_end(tmp_path):
    """16,000 fields of four bytes are 64 KiB on the wire, and 3 MiB here."""
    head = b"HTTP/1.1 200 OK\r\n" + SMALL_FIELDS * 2
    async with raw_provider(head) as url, running_app(sidecar_config(url), tmp_path) as app:
        refused = await exchange(app.ports.data, json_request(CHAT, BODY))

    assert (502, "upstream_malformed") == (refused.status, refused.header("x-plano-error"))


async def test_long_heads_of_requests_have_a_share(either_listener_path, tmp_path):
    """While their calls are in flight. Who finds no room is told to come again; a usual call is
    served beside them; all is given back with their connections still open.
    """
    async with (
        ScriptedProvider() as provider,
        running_app({**sidecar_config(provider.url), "limits": BUDGET}, tmp_path) as app,
    ):
        hold = asyncio.Event()
        provider.script.always(Fault(hold=hold))
        tasks, request = (
            Tasks(),
            json_request(CHAT, BODY, {"x-long": "y" * 60_000, "connection": "keep-alive"}),
        )
        apps = [await asyncio.open_connection("127.0.0.1", app.ports.data) for _ in range(CALLS)]
        readings = [tasks.spawn(read_reply(reader), name="read") for reader, _ in apps]
        for _, writer in apps:
            writer.write(request)
        done = set[asyncio.Task[RawReply]]()
        while app.foundation.drain.in_flight + len(done) < CALLS or not done:
            done, _ = await asyncio.wait(
                readings, return_when=asyncio.FIRST_COMPLETED, timeout=0.01
            )
        held, refused = used(app, "heads"), [each.result() for each in done]
        small = tasks.spawn(exchange(app.ports.data, json_request(CHAT, BODY)), name="small call")
        await provider.wait_for_requests(CALLS - len(refused) + 1)
        hold.set()
        replies = await asyncio.gather(small, *readings)
        left = used(app, "heads")
        for _, writer in apps:
            writer.close()

    assert 2 * MIB < held <= 4 * MIB
    assert {(503, "overloaded", "1")} == {
        (each.status, each.header("x-plano-error"), each.header("retry-after")) for each in refused
    }
    assert 200 == replies[0].status
    assert {200, 503} == {each.status for each in replies}
    assert 0 == left

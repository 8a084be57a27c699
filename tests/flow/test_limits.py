"""The limits over all calls: bytes held for bodies, calls in flight, and what a reader that stops
costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path
from typing import Any

import pytest

from sidecar.listener import body_memory
from sidecar.runtime.lifecycle import Tasks
from tests.support.faults import Fault
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

CHAT = "/v1/chat/completions"
MIB = 1 << 20


def a_body(size: int) -> dict[str, Any]:
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "filler": "x" * size,
    }


async def test_buffered_bytes_hold(tmp_path, monkeypatch):
    """Bodies beyond the limit are not read; they are served once there is room, and refused when
    there is none.
    """
    limits = {"body_bytes": MIB, "buffered_bytes": 2 * MIB}
    async with (
        ScriptedProvider() as provider,
        running_app({**sidecar_config(provider.url), "limits": limits}, tmp_path) as app,
    ):
        hold = asyncio.Event()
        provider.script.always(Fault(hold=hold))
        tasks = Tasks()
        request = json_request(CHAT, a_body(900_000))
        calls = [
            tasks.spawn(exchange(app.ports.data, request), name=f"call {number}")
            for number in range(5)
        ]
        await provider.wait_for_requests(2)
        small = await _while_full(app.ports.data)
        monkeypatch.setattr(body_memory, "WAIT_AT_MOST_S", 0.05)
        refused = await exchange(app.ports.data, json_request(CHAT, a_body(900_000)))
        assert 2 == provider.seen
        hold.set()
        replies: list[RawReply] = await asyncio.gather(*calls)

    assert [200] * 5 == [reply.status for reply in replies]
    assert (503, "overloaded", "1") == (
        refused.status,
        refused.header("x-plano-error"),
        refused.header("retry-after"),
    )
    assert 200 == small.status


BUDGET = {"memory_bytes": 16 * MIB}
LONG = 5 * MIB
"""Nearly as long as a body may be under that budget."""


async def test_bodies_whose_answers_stream_refuse_nobody(tmp_path):
    """They were sent, and no other attempt needs them: others of their length take their room."""
    async with (
        ScriptedProvider() as provider,
        running_app({**sidecar_config(provider.url), "limits": BUDGET}, tmp_path) as app,
    ):
        hold = asyncio.Event()
        apps = []
        for _ in range(3):
            provider.script.next(Fault(hold=hold, hold_after_events=2))
            reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
            writer.write(json_request(CHAT, {**a_body(LONG), "stream": True}))
            await reader.readuntil(b"data:")
            apps.append((reader, writer))
        buffered = app.foundation.memory.bodies.buffered_bytes
        served = await exchange(app.ports.data, json_request(CHAT, a_body(LONG)))
        hold.set()
        ends = [await reader.read() for reader, _ in apps]
        for _, writer in apps:
            writer.close()

    assert (0, 200, 3) == (buffered, served.status, sum(b"[DONE]" in each for each in ends))


async def test_bodies_that_are_announced_and_do_not_come_refuse_nobody(tmp_path):
    """Two sockets that announce all there is and send one byte."""
    async with (
        ScriptedProvider() as provider,
        running_app({**sidecar_config(provider.url), "limits": BUDGET}, tmp_path) as app,
    ):
        announced = json_request(CHAT, a_body(LONG))
        silent = []
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
            writer.write(announced[: announced.index(b"\r\n\r\n") + 5])
            silent.append(writer)
        while app.foundation.memory.bodies.buffered_bytes < len(silent):
            await asyncio.sleep(0)
        replies = [
            await exchange(app.ports.data, json_request(CHAT, a_body(size))) for size in (LONG, 100)
        ]
        for writer in silent:
            writer.close()

    assert [200, 200] == [each.status for each in replies]


async def test_a_body_that_memory_never_has_room_for_is_too_large(tmp_path):
    """Trying again would not help, so that it is no overload."""
    async with running_app(
        {**sidecar_config("http://127.0.0.1:1"), "limits": BUDGET}, tmp_path
    ) as app:
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        refused = await exchange(app.ports.data, head % (CHAT.encode(), 30 * MIB))

    assert (413, "body_too_large") == (refused.status, refused.header("x-plano-error"))
    assert b"limits.memory_bytes has room for" in refused.body


async def _while_full(port: int) -> RawReply:
    """What holds no body is served all the same."""
    return await exchange(
        port, b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(("files", "is_told"), [(300, True), (1 << 20, False), (-1, False)])
async def test_too_few_files_are_told(tmp_path, monkeypatch, caplog, files, is_told):
    """Each call in flight may hold two sockets; where that cannot be had, it is better known
    before.
    """
    monkeypatch.setattr("sidecar.app.raise_file_limit", lambda wanted: files)
    async with running_app(
        sidecar_config("http://127.0.0.1:1", limits={"in_flight": 100}), tmp_path
    ):
        pass

    assert is_told == (
        "only 300 files may be open: limits.in_flight needs up to 456" in caplog.text
    )


async def test_a_permit_is_held_until_the_stream_has_ended(tmp_path):
    """`limits.in_flight` counts streams that are still going; the next call is told to come
    back.
    """
    async with (
        ScriptedProvider() as provider,
        running_app({**sidecar_config(provider.url), "limits": {"in_flight": 1}}, tmp_path) as app,
    ):
        hold = asyncio.Event()
        provider.script.next(Fault(hold=hold, hold_after_events=2))
        reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(json_request(CHAT, {**a_body(1), "stream": True}))
        await reader.readuntil(b"data:")
        refused = await exchange(app.ports.data, json_request(CHAT, a_body(1)))
        hold.set()
        await reader.read()
        writer.close()
        served = await exchange(app.ports.data, json_request(CHAT, a_body(1)))

    assert (503, "overloaded", "1") == (
        refused.status,
        refused.header("x-plano-error"),
        refused.header("retry-after"),
    )
    assert 200 == served.status


STALLED = 64
ANSWER_BYTES = 50 * MIB
PIECE = b"data: " + b"x" * 65_000 + b"\n\n"
LAST = b"data: [DONE]\n\n"


class Flood:
    """A provider that answers every call with 50 MB of events, as fast as it is read."""

    def __init__(self) -> None:
        self.sent_bytes: list[int] = []

    async def provide(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            number = len(self.sent_bytes)
            self.sent_bytes.append(0)
            while self.sent_bytes[number] < ANSWER_BYTES:
                writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
                await writer.drain()
                self.sent_bytes[number] += len(PIECE)
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(LAST), LAST))
            await writer.drain()
        writer.close()

    async def settled(self, answers: int) -> None:
        """Until that many answers are under way and none of them moves any more."""
        before: list[int] = []
        while before != self.sent_bytes or len(before) < answers:
            before = list(self.sent_bytes)
            await asyncio.sleep(
                0.2
            )  # sleep: that nothing moves any more can only be seen over time


async def test_readers_that_stop_cost_little_each(start_sidecar):
    """64 apps ask for 50 MB and stop reading: each costs the sidecar under 1 MB; the one that reads
    on gets it all.
    """
    flood = Flood()
    provider = await asyncio.start_server(flood.provide, "127.0.0.1", 0, limit=65_536)
    sidecar = await start_sidecar(
        sidecar_config(f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}")
    )
    before = _rss_bytes(sidecar.process.pid)
    apps = [await _stalled_app(sidecar.data_port) for _ in range(STALLED)]
    await flood.settled(STALLED)
    grown = _rss_bytes(sidecar.process.pid) - before
    print(f"\n{STALLED} stalled readers: {grown / STALLED / 1024:.0f} KiB each")
    reply = await read_reply(apps[0][0])
    for _, writer in apps:
        writer.transport.abort()
    provider.close()

    assert grown < STALLED * MIB
    assert (True, -(-ANSWER_BYTES // len(PIECE)) * len(PIECE) + len(LAST)) == (
        reply.is_complete,
        len(reply.body),
    )


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def _stalled_app(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An app that has read nothing yet; its own buffer takes 128 KiB."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
    writer.write(json_request(CHAT, {**a_body(1), "stream": True}))
    return reader, writer

"""A sidecar that stood still: what arrived meanwhile counts, and nobody is cut off for its silence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Self

from tests.support.faults import Fault
from tests.support.fixtures import StartSidecar
from tests.support.net import json_request, raw_request, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHAT = "/v1/chat/completions"
TIMEOUT_S = 0.6
"""Of everything that waits for another side."""
STREAMS = 4
HEADS = 4


class Apps:
    """Connections of apps, all closed at the end."""

    def __init__(self, sidecar: SidecarProcess) -> None:
        self._port = sidecar.data_port
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def send(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and write to it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        writer.write(request)
        return reader, writer


@contextlib.asynccontextmanager
async def suspended(sidecar: SidecarProcess) -> AsyncIterator[None]:
    """Let the process stand still for longer than its timeouts, from within the kernel's poll on:
    that is interrupted, and has found nothing.
    """
    await asyncio.sleep(TIMEOUT_S / 6)  # sleep: the process comes to rest
    os.kill(sidecar.process.pid, signal.SIGSTOP)
    try:
        yield
        await asyncio.sleep(2 * TIMEOUT_S)  # sleep: the other process's clock has to go on
    finally:
        os.kill(sidecar.process.pid, signal.SIGCONT)


async def a_suspended_sidecar(
    start_sidecar: StartSidecar, provider: ScriptedProvider
) -> SidecarProcess:
    """One all of whose timeouts are short."""
    timeouts = {
        "request_header_s": TIMEOUT_S,
        "request_body_s": TIMEOUT_S,
        "first_byte_s": TIMEOUT_S,
        "response_s": TIMEOUT_S,
        "stream_idle_s": TIMEOUT_S,
    }
    return await start_sidecar(sidecar_config(provider.url, timeouts=timeouts))


def a_call(**more: object) -> bytes:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **more}
    return json_request(CHAT, body)


async def test_streams_go_on_that_went_on_while_the_process_stood_still(
    scripted_provider, start_sidecar
):
    """The provider wrote on: its bytes are in the socket when the timers are found due."""
    sidecar = await a_suspended_sidecar(start_sidecar, scripted_provider)
    hold = asyncio.Event()
    scripted_provider.script.always(Fault(hold=hold, hold_after_events=2))
    async with Apps(sidecar) as apps:
        readers = [(await apps.send(a_call(stream=True)))[0] for _ in range(STREAMS)]
        for reader in readers:
            await reader.readuntil(b"data:")
        async with suspended(sidecar):
            hold.set()
        ends = [await reader.read() for reader in readers]

    assert [True] * STREAMS == [b"[DONE]" in end and end.endswith(b"0\r\n\r\n") for end in ends]


async def test_responses_that_came_while_the_process_stood_still_are_served(
    scripted_provider, start_sidecar
):
    """`first_byte_s` and `response_s` are no exception."""
    sidecar = await a_suspended_sidecar(start_sidecar, scripted_provider)
    hold = asyncio.Event()
    scripted_provider.script.always(Fault(hold=hold))
    async with Apps(sidecar) as apps:
        calls = [await apps.send(a_call(stream=each % 2 == 0)) for each in range(STREAMS)]
        await scripted_provider.wait_for_requests(STREAMS)
        async with suspended(sidecar):
            hold.set()
        replies = [await read_reply(reader) for reader, _ in calls]

    assert [(200, True)] * STREAMS == [(reply.status, reply.is_complete) for reply in replies]


async def test_heads_and_bodies_that_were_sent_meanwhile_are_served(
    scripted_provider, start_sidecar
):
    """They are complete when they are looked at, and not a 408."""
    sidecar = await a_suspended_sidecar(start_sidecar, scripted_provider)
    models, call = raw_request("GET", "/v1/models"), a_call()
    half_sent = [(models, 20)] * HEADS + [(call, len(call) - 20)] * HEADS
    async with Apps(sidecar) as apps:
        asked = [await apps.send(request[:sent]) for request, sent in half_sent]
        # Once the sidecar has replied to this, it has read what was sent before.
        reader, _ = await apps.send(models)
        await read_reply(reader)
        async with suspended(sidecar):
            for (_, writer), (request, sent) in zip(asked, half_sent, strict=True):
                writer.write(request[sent:])
        replies = [await read_reply(reader) for reader, _ in asked]

    assert [200] * 2 * HEADS == [reply.status for reply in replies]

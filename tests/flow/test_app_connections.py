"""What an app may hold of the sidecar by doing nothing: responses that it does not read, and
connections without a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator

import openai

from tests.support.faults import Fault
from tests.support.net import exchange, json_request, raw_request
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHAT = "/v1/chat/completions"
SHORT_S = 0.3
MORE_THAN_SOCKETS_HOLD = b'{"choices": [], "filler": "%b"}' % (b"x" * (24 << 20))


@contextlib.contextmanager
def stuck_reader(sidecar: SidecarProcess, request: bytes) -> Iterator[socket.socket]:
    """An app that sends and never reads."""
    with socket.socket() as app:
        app.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        app.connect(("127.0.0.1", sidecar.data_port))
        app.sendall(request)
        yield app


async def until_metric(sidecar: SidecarProcess, *lines: str) -> None:
    """Wait until the sidecar's metrics have all these lines."""
    while True:
        page = await exchange(sidecar.admin_port, raw_request("GET", "/metrics"))
        if set(lines) <= set(page.body.decode().splitlines()):
            return
        await asyncio.sleep(0.05)  # sleep: another process works


async def test_an_app_that_stops_reading_is_let_go_and_counted(scripted_provider, start_sidecar):
    """Permit and provider's connection are given back; it is nobody else's failure."""
    timeouts = {"downstream_idle_s": SHORT_S}
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url, timeouts=timeouts))
    scripted_provider.script.always(Fault(body=MORE_THAN_SOCKETS_HOLD))
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    with stuck_reader(sidecar, json_request(CHAT, body)):
        await until_metric(
            sidecar,
            'plano_sidecar_requests_total{dialect="chat",outcome="downstream_idle"} 1.0',
            'plano_sidecar_downstream_closed_total{reason="unread"} 1.0',
            'plano_sidecar_downstream_connections{state="active"} 0.0',
            "plano_sidecar_in_flight 0.0",
            'plano_sidecar_upstream_connections{provider="openai",state="active"} 0.0',
        )
    await scripted_provider.requests[0].when_closed.wait()
    while "downstream_idle" not in sidecar.output():
        await asyncio.sleep(0.01)  # sleep: the log's own thread
    (line,) = [json.loads(line) for line in sidecar.output().splitlines() if "outcome" in line]

    assert ("downstream_idle", "downstream_idle") == (line["outcome"], line["error"])
    assert "SI" in line["flags"]


async def test_silent_connections_are_so_many_at_most(scripted_provider, start_sidecar):
    """The longest idle ones go for new ones."""
    limits = {"idle_connections": 20}
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url, limits=limits))
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            place = ("127.0.0.1", sidecar.data_port)
            stack.enter_context(contextlib.closing(socket.create_connection(place)))
        await until_metric(
            sidecar,
            'plano_sidecar_downstream_closed_total{reason="crowded"} 30.0',
            'plano_sidecar_downstream_connections{state="idle"} 20.0',
        )


async def test_an_sdk_goes_on_where_its_kept_connection_was_closed(
    scripted_provider, start_sidecar
):
    """It sees the end before it sends, and opens another one: no call fails, and none is sent
    twice.
    """
    timeouts = {"idle_connection_s": SHORT_S}
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url, timeouts=timeouts))
    async with openai.AsyncOpenAI(
        api_key="none", base_url=f"{sidecar.data_url}/v1", max_retries=0
    ) as app:
        for closed in ("1.0", "2.0"):
            await app.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hi"}]
            )
            await until_metric(
                sidecar, f'plano_sidecar_downstream_closed_total{{reason="idle"}} {closed}'
            )

    assert 2 == scripted_provider.seen

"""What apps do not read of streams divides the memory with all else that is kept: who stops reading
many of them is let go before the sidecar is killed for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

from sidecar.runtime.memory_budget import MIB
from tests.support.in_process import running_app
from tests.support.net import exchange, json_request, raw_request
from tests.support.sidecar_process import sidecar_config

CHAT = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}
EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 4000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
SCRAPE = raw_request("GET", "/metrics")
APPS = 80


@contextlib.asynccontextmanager
async def endless_provider() -> AsyncIterator[str]:
    """A provider whose streams do not end, at the pace of their reader; those of a ``short`` model
    do at once.
    """

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD)
            is_short = b"gpt-4o-mini" in await reader.read(1 << 16)
            while not is_short:
                writer.write(EVENT)
                await writer.drain()
            writer.write(EVENT + b"data: [DONE]\n\n")
        writer.close()

    server = await asyncio.start_server(stream, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.contextmanager
def stuck_readers(port: int, request: bytes) -> Iterator[None]:
    """Apps that send and never read."""
    with contextlib.ExitStack() as stack:
        for _ in range(APPS):
            app = stack.enter_context(socket.socket())
            app.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            app.connect(("127.0.0.1", port))
            app.sendall(request)
        yield


async def test_what_apps_do_not_read_has_a_share_of_the_memory(either_listener_path, tmp_path):
    """Those for which there is no room are let go, and counted as what they are. A usual stream is
    served beside them, and all is given back once they are gone.
    """
    async with (
        endless_provider() as url,
        running_app({**sidecar_config(url), "limits": {"memory_bytes": 16 * MIB}}, tmp_path) as app,
    ):
        share = app.foundation.memory.unread
        with stuck_readers(app.ports.data, json_request(CHAT, BODY)):
            none = b'plano_sidecar_downstream_closed_total{reason="unread"} 0.0'
            while none in (await exchange(app.ports.admin, SCRAPE)).body:
                await asyncio.sleep(0)
            held = share.used_bytes
            usual = await exchange(
                app.ports.data, json_request(CHAT, {**BODY, "model": "gpt-4o-mini"})
            )
        while app.foundation.drain.in_flight:
            await asyncio.sleep(0)

    assert 4 * MIB < held <= 8 * MIB
    assert (200, True) == (usual.status, usual.body.endswith(b"[DONE]\n\n"))
    assert 0 == share.used_bytes

"""`plano-sidecar wait`, as a postStart hook runs it."""

from __future__ import annotations

import asyncio
from argparse import Namespace

import pytest
from aiohttp import web

from sidecar.cli import main
from sidecar.commands.wait import wait
from sidecar.listener.page_replies import json_reply
from sidecar.listener.page_server import PageServer
from sidecar.listener.server import bind, port_of
from tests.support.net import closed_port


async def _wait(port: int, timeout_s: float) -> int:
    return await asyncio.to_thread(wait, Namespace(port=port, timeout=timeout_s))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_it_returns_once_the_sidecar_says_that_it_is_ready(address):
    """Not before; on the loopback of either family."""
    asked: list[str] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        return json_reply(200 if len(asked) == 3 else 503, {})

    server = PageServer(serve)
    (listening,) = await bind(server, [address], 0, "the admin port")
    await listening.start_serving()
    code = await _wait(port_of(listening), 30)
    listening.close()
    server.pre_shutdown()
    await server.shutdown(1)

    assert (0, ["/readyz"] * 3) == (code, asked)


async def test_a_sidecar_that_does_not_come_is_waited_for_no_longer_than_asked(capsys):
    """The kubelet starts the container again then."""
    port = closed_port()
    code = await _wait(port, 0.1)

    assert (1, f"wait: no sidecar is ready at port {port} of this pod\n") == (
        code,
        capsys.readouterr().err,
    )


@pytest.mark.parametrize("port", ["0", "-1", "65536", "99999", "x", "\u00b2"])
def test_a_number_that_is_no_port_is_a_usage_error(port, capsys):
    """64, and one line behind the usage."""
    with pytest.raises(SystemExit, match="64"):
        main(["wait", f"--port={port}"])

    assert "is no port: 1 to 65535" in capsys.readouterr().err.splitlines()[-1]

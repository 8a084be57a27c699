"""How commands name and reach the operators' listener."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from sidecar.commands.operators_client import operators_client
from sidecar.config.operator_address import OperatorAddress
from sidecar.listener.operators_socket import bind_operators
from sidecar.listener.page_server import PageServer


async def _page(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=f"{request.method} {request.path}")


@pytest.mark.parametrize("form", ["{host}", "http://{host}", "http://{host}/"])
async def test_an_address_or_a_url_is_a_tcp_port(form):
    """As people type it, and as the log tells it."""
    bound = await bind_operators(PageServer(_page), OperatorAddress(("127.0.0.1",), 0))
    for server in bound.servers:
        await server.start_serving()
    async with operators_client(form.format(host=f"127.0.0.1:{bound.port}")) as (session, url):
        text = await (await session.get(f"{url}/x")).text()
    bound.close()

    assert "GET /x" == text


async def test_a_path_is_a_unix_socket(tmp_path):
    """As the log tells it."""
    server = PageServer(_page)
    bound = await bind_operators(server, OperatorAddress(path=str(tmp_path / "o.sock")))
    await bound.servers[0].start_serving()
    async with operators_client(bound.place) as (session, url), asyncio.timeout(5):
        text = await (await session.get(f"{url}/x")).text()
    bound.close()
    await server.shutdown(1)

    assert "GET /x" == text

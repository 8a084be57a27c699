"""The same dialogue with servers that others wrote."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from sidecar.http1.origin import Origin
from sidecar.http1.pool import Pool
from tests.contract.http1.peer import PATIENT, ask, whole
from tests.support.net import free_port

LARGE = bytes(range(256)) * 4096
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}; client_max_body_size 8m; default_type application/json;
  fastcgi_temp_path {folder}; proxy_temp_path {folder}; scgi_temp_path {folder}; uwsgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location = /small {{ return 200 hello; }}
    location = /empty {{ return 204; }}
    location = /large {{ root {folder}; }}
    location = /chunked {{ root {folder}; ssi on; ssi_types *; }}
    location = /upload {{ client_max_body_size 1m; proxy_pass http://127.0.0.1:{port}/small; }}
  }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[int]:
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail("nginx is not installed")
        pytest.skip("nginx is not installed")
    port = free_port()
    (folder / "large").write_bytes(LARGE)
    (folder / "chunked").write_bytes(b"hello" * 1000)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(
        [binary, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"], stderr=subprocess.PIPE
    )
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                assert process.poll() is None, "nginx did not start"
                await asyncio.sleep(0.01)  # sleep: it announces nothing
            else:
                writer.close()
                await writer.wait_closed()
                break
        yield port
    finally:
        process.terminate()
        process.communicate()


@asynccontextmanager
async def aiohttp_server(folder: Path) -> AsyncIterator[int]:
    async def small(request: web.Request) -> web.Response:
        return web.Response(body=b"hello")

    async def empty(request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"hello")
        return response

    async def upload(request: web.Request) -> web.Response:
        if request.content_length and request.content_length > 1 << 20:
            return web.Response(status=413, body=b"big")
        await request.read()
        return web.Response(body=b"hello")

    app = web.Application()
    app.add_routes(
        [web.route("*", "/small", small), web.get("/empty", empty), web.get("/large", large)]
    )
    app.add_routes([web.get("/chunked", chunked), web.post("/upload", upload)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def hypercorn_server(folder: Path) -> AsyncIterator[int]:
    hypercorn = pytest.importorskip("hypercorn")
    from hypercorn.asyncio import serve

    async def app(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        received = 0
        more = True
        too_big = any(
            name == b"content-length" and int(value) > 1 << 20 for name, value in scope["headers"]
        )
        while more and not too_big:
            message = await receive()
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
        bodies = {"/large": LARGE, "/empty": b"", "/chunked": b"hello" * 1000}
        body = b"big" if too_big else bodies.get(scope["path"], b"hello")
        headers = [] if scope["path"] == "/chunked" else [(b"content-length", b"%d" % len(body))]
        status = 413 if too_big else 204 if scope["path"] == "/empty" else 200
        headers = [] if status == 204 else headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for at in range(0, len(body), 500):
            await send(
                {"type": "http.response.body", "body": body[at : at + 500], "more_body": True}
            )
        await send({"type": "http.response.body", "body": b""})

    port = free_port()
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    config.graceful_timeout = 1
    ending = asyncio.Event()
    task = asyncio.get_running_loop().create_task(serve(app, config, shutdown_trigger=ending.wait))
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                assert not task.done()
                await asyncio.sleep(0.01)  # sleep: it announces nothing
            else:
                writer.close()
                await writer.wait_closed()
                break
        yield port
    finally:
        ending.set()
        await task


SERVERS = {"nginx": nginx, "aiohttp": aiohttp_server, "hypercorn": hypercorn_server}


@pytest_asyncio.fixture(params=sorted(SERVERS))
async def server_pool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pool]:
    starting: AbstractAsyncContextManager[int] = SERVERS[request.param](tmp_path)
    async with starting as port:
        pool = Pool(Origin("http", "127.0.0.1", port))
        yield pool
        await pool.aclose()


async def test_exchanges_share_a_connection(server_pool: Pool):
    """Small, large, empty and chunked responses follow each other on one connection, whole and in
    order.
    """
    pool = server_pool
    for path, body in (
        ("small", b"hello"),
        ("large", LARGE),
        ("empty", b""),
        ("chunked", b"hello" * 1000),
        ("small", b"hello"),
    ):
        reply = await ask(pool, method="GET", path=f"/{path}")
        assert (204 if path == "empty" else 200) == reply.status
        assert await whole(reply) == body
    assert (pool.opened_total, pool.idle, pool.active) == (1, 1, 0)


async def test_head(server_pool: Pool):
    """A response to HEAD is complete with its head, and the next exchange is sound."""
    reply = await ask(server_pool, method="HEAD", path="/small")
    assert (reply.status, reply.read_nowait()) == (200, b"")
    assert await whole(await ask(server_pool, method="GET", path="/small")) == b"hello"


@pytest.mark.parametrize("size", [1, 100_000, 1 << 20])
async def test_uploads(server_pool: Pool, size: int):
    """Request bodies of all sizes arrive, and the connection serves again."""
    for _ in range(3):
        assert await whole(await ask(server_pool, b"x" * size, path="/upload")) == b"hello"
    assert (server_pool.idle, server_pool.active) == (1, 0)


async def test_refused_upload(server_pool: Pool):
    """A body that the server refuses by its length is answered 413, and the next call is sound."""
    reply = await ask(server_pool, b"x" * 7_000_000, path="/upload")
    assert reply.status == 413
    await whole(reply)
    assert await whole(await ask(server_pool, method="GET", path="/small")) == b"hello"


async def test_server_that_closes(server_pool: Pool):
    """``Connection: close`` is honoured by both sides."""
    head = b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert await whole(await server_pool.send(head, (), PATIENT, method="GET")) == b"hello"
    assert (server_pool.idle, server_pool.active) == (0, 0)


async def test_nonsense_is_answered(server_pool: Pool):
    """What the server says to a request that it cannot read is a response like another."""
    reply = await server_pool.send(
        b"GET /small HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (), PATIENT, method="GET"
    )
    assert reply.status == 400
    await whole(reply)


async def test_many_at_once(server_pool: Pool):
    """Twenty callers, each with a connection of its own."""

    async def work() -> None:
        for path, body in (("small", b"hello"), ("large", LARGE), ("chunked", b"hello" * 1000)):
            assert await whole(await ask(server_pool, method="GET", path=f"/{path}")) == body

    await asyncio.gather(*(work() for _ in range(20)))
    assert server_pool.active == 0

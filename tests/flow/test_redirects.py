"""Where an app ends up that follows what a provider sends it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.app import App
from tests.support.in_process import running_app
from tests.support.net import exchange, json_request, raw_request
from tests.support.sidecar_process import sidecar_config

HEADERS = {"x-api-key": "secret", "x-model-affinity": "s1", "authorization": "Bearer secret"}


class _Elsewhere:
    """Another server, which notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path_qs, await request.read()))
        return web.Response(body=b"elsewhere")


class _Provider(_Elsewhere):
    """Redirects every request but those below ``/v1/files/here``."""

    def __init__(self) -> None:
        super().__init__()
        self.location = ""
        self.status = 307

    async def handle(self, request: web.Request) -> web.Response:
        await super().handle(request)
        if request.path.startswith("/llm/v1/files/here"):
            return web.Response(body=b"content")
        headers = {"Location": self.location, "X-Kept": "1"}
        body = None if self.status == 204 else b"moved"
        return web.Response(status=self.status, headers=headers, body=body)


@contextlib.asynccontextmanager
async def _served(handler: _Elsewhere) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler.handle)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port


@contextlib.asynccontextmanager
async def _behind(tmp_path, provider: _Provider, **more: Any) -> AsyncIterator[tuple[App, str]]:
    async with _served(provider) as port:
        origin = f"http://127.0.0.1:{port}"
        config = sidecar_config(f"{origin}/llm/v1", **more)
        async with running_app(config, tmp_path) as app:
            yield app, origin


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/files"])
async def test_no_prompt_follows_a_redirect_out_of_the_pod(tmp_path, status, path):
    """Real clients follow, with the body for 307 and 308, and with headers that are no secret to
    them. On a model's path that is a failed attempt; on one that is passed through the reply says
    what was left out.
    """
    provider, elsewhere = _Provider(), _Elsewhere()
    async with _served(elsewhere) as port, _behind(tmp_path, provider) as (app, _):
        provider.location, provider.status = f"http://127.0.0.1:{port}/take", status
        model = "claude-demo" if path == "/v1/messages" else "gpt-4o"
        async with aiohttp.ClientSession(headers=HEADERS) as client:
            body = {"model": model, "messages": [], "max_tokens": 9}
            reply = await client.post(f"http://127.0.0.1:{app.ports.data}{path}", json=body)
            text = await reply.read()

    assert [] == elsewhere.asked
    if path == "/v1/files":
        lost, kept = reply.headers["x-plano-lost"], reply.headers["x-kept"]
        assert (status, "location", b"moved", "1") == (reply.status, lost, text, kept)
    else:
        assert (502, "upstream_malformed") == (reply.status, reply.headers["x-plano-error"])
    assert 1 == len(provider.asked)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/embeddings"])
async def test_a_204_is_no_models_response(tmp_path, path):
    """No SDK can read it: a failed attempt, which another candidate may make up for. What is passed
    through may well have no body.
    """
    provider = _Provider()
    async with _behind(tmp_path, provider) as (app, _):
        provider.status = 204
        model = "claude-demo" if path == "/v1/messages" else "gpt-4o"
        body = {"model": model, "messages": [], "input": "x"}
        reply = await exchange(app.ports.data, json_request(path, body))
        passed = await exchange(app.ports.data, raw_request("DELETE", "/v1/files/f1"))

    assert (502, "upstream_malformed") == (reply.status, dict(reply.headers)["x-plano-error"])
    assert 204 == passed.status


@pytest.mark.parametrize("form", ["{origin}/llm/v1/files/here?a=b", "/llm/v1/files/here?a=b"])
async def test_a_redirect_to_the_provider_itself_leads_through_the_sidecar(tmp_path, form):
    """Its base path is taken off again, so that the app's next request is passed through too."""
    provider = _Provider()
    async with _behind(tmp_path, provider) as (app, origin):
        provider.location = form.format(origin=origin)
        async with aiohttp.ClientSession(headers=HEADERS) as client:
            url = f"http://127.0.0.1:{app.ports.data}/v1/files/f1/content"
            reply = await client.get(url)
            text = await reply.read()

    assert (200, b"content") == (reply.status, text)
    assert ["/llm/v1/files/f1/content", "/llm/v1/files/here?a=b"] == [
        asked for _, asked, _ in provider.asked
    ]
    assert "x-plano-lost" not in reply.headers


async def test_what_a_provider_says_of_its_origin_is_not_said_of_this_host(tmp_path):
    """A client that heeds `alt-svc` would send the next prompt to the server that it names."""
    provider = _Provider()

    async def handle(_: web.Request) -> web.Response:
        headers = {
            "Alt-Svc": 'h2="evil.example:443"',
            "Strict-Transport-Security": "max-age=31536000",
            "Clear-Site-Data": '"*"',
            "NEL": "{}",
            "Report-To": "{}",
            "X-Kept": "1",
        }
        return web.json_response({"id": "x", "choices": []}, headers=headers)

    provider.handle = handle  # type: ignore[method-assign,assignment] # a provider of one reply
    async with _behind(tmp_path, provider) as (app, _):
        called = json_request("/v1/chat/completions", {"model": "gpt-4o", "messages": []})
        replies = [
            await exchange(app.ports.data, each)
            for each in (called, raw_request("GET", "/v1/files/f1"))
        ]

    for reply in replies:
        assert (200, "1") == (reply.status, reply.header("x-kept"))
        for name in ("alt-svc", "strict-transport-security", "clear-site-data", "nel", "report-to"):
            assert reply.header(name) is None

"""Paths that the config passes through: where they are at the provider, with which credential, and
how long what comes from there may take.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.app import App
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, raw_request
from tests.support.sidecar_process import sidecar_config

RESPONSE_S = 0.4
PIECES = 8
"""Sent 0.1 s apart: longer in all than a response may take elsewhere."""


class _Provider:
    """Notes what it is asked; sends pieces for a while, or stops after some."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.kind = "text/event-stream"
        self.stalls_after = PIECES
        self.let_go = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            (request.path_qs, {name.lower(): value for name, value in request.headers.items()})
        )
        if "slow" not in request.path:
            return web.Response(body=b"ok")
        response = web.StreamResponse(headers={"Content-Type": self.kind})
        if self.stalls_after:
            await response.prepare(request)
        for number in range(PIECES):
            if number == self.stalls_after:
                await self.let_go.wait()
                break
            await asyncio.sleep(0.1)  # sleep: what moves for longer than a timeout takes that long
            await response.write(b"data: %d\n\n" % number)
        return response


@contextlib.asynccontextmanager
async def _passed(
    tmp_path: Any, path: str, entry: Callable[[str], dict[str, Any]], idle_s: float = 30.0
) -> AsyncIterator[tuple[App, _Provider]]:
    provider, server_app = _Provider(), web.Application()
    server_app.router.add_route("*", "/{any:.*}", provider.handle)
    async with TestServer(server_app) as server:
        own = {"name": "own", "timeouts": {"response_s": RESPONSE_S, "stream_idle_s": idle_s}}
        config = sidecar_config("", passthrough=[{"path": path, "provider": "own"}])
        config["model_providers"] = [{**own, **entry(f"http://127.0.0.1:{server.port}")}]
        del config["model_aliases"]
        async with running_app(config, tmp_path) as app:
            try:
                yield app, provider
            finally:
                provider.let_go.set()


async def _get(app: App, target: str, **headers: str) -> RawReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await exchange(app.ports.data, raw_request("GET", target, headers=named))


def _vllm(url: str) -> dict[str, Any]:
    return {"model": "vllm/m", "access_key": "k", "base_url": f"{url}/v1"}


@pytest.mark.parametrize(
    ("entry", "path", "target", "there", "credential"),
    [
        (
            lambda url: {"model": "azure_openai/d", "access_key": "k", "base_url": url},
            "/openai/deployments",
            "/openai/deployments/d/images/generations?api-version=2025-04-01-preview",
            "/openai/deployments/d/images/generations?api-version=2025-04-01-preview",
            ("api-key", "k"),
        ),
        (
            lambda url: {"model": "groq/m", "access_key": "k", "base_url": f"{url}/openai/v1"},
            "/openai/v1/files",
            "/openai/v1/files/f1",
            "/openai/v1/files/f1",
            ("authorization", "Bearer k"),
        ),
        (_vllm, "/tokenize", "/tokenize", "/tokenize", ("authorization", "Bearer k")),
        (_vllm, "/v1/rerank", "/v1/rerank", "/v1/rerank", ("authorization", "Bearer k")),
        (
            lambda url: {"model": "groq/m", "access_key": "k", "base_url": f"{url}/openai/v1"},
            "/v1/files",
            "/v1/files/f1",
            "/openai/v1/files/f1",
            ("authorization", "Bearer k"),
        ),
    ],
)
async def test_a_path_that_is_not_below_v1_goes_as_it_is(
    tmp_path, entry, path, target, there, credential
):
    """Below `/v1` the entry's own base path takes its place."""
    async with _passed(tmp_path, path, entry) as (app, provider):
        reply = await _get(app, target)
    ((asked, headers),) = provider.asked

    assert (200, there) == (reply.status, asked)
    assert credential == (credential[0], headers.get(credential[0]))


async def test_the_callers_own_credential_arrives(tmp_path):
    """Azure's SDK sends `api-key`, and with `passthrough_auth` Azure gets it."""

    def entry(url: str) -> dict[str, Any]:
        return {"model": "azure_openai/d", "passthrough_auth": True, "base_url": url}

    async with _passed(tmp_path, "/openai/deployments", entry) as (app, provider):
        await _get(app, "/openai/deployments/d/chat/completions", api_key="mine")
    ((_, headers),) = provider.asked

    assert ("mine", None) == (headers.get("api-key"), headers.get("authorization"))


@pytest.mark.parametrize("kind", ["text/event-stream", "application/octet-stream"])
async def test_what_moves_may_take_as_long_as_it_likes(tmp_path, kind):
    """An event stream, or a file: it lasts longer than `response_s`."""
    async with _passed(tmp_path, "/slow", _vllm) as (app, provider):
        provider.kind = kind
        reply = await _get(app, "/slow")

    assert (200, PIECES, True) == (reply.status, reply.body.count(b"data:"), reply.is_complete)


async def test_what_does_not_begin_is_a_timeout_of_its_response(tmp_path):
    """After `response_s`."""
    async with _passed(tmp_path, "/slow", _vllm) as (app, provider):
        provider.stalls_after = 0
        reply = await _get(app, "/slow")

    assert (504, "upstream_timeout") == (reply.status, dict(reply.headers)["x-plano-error"])


async def test_what_falls_silent_is_broken_off(tmp_path):
    """After `stream_idle_s`: no app takes the fragment for the whole."""
    async with _passed(tmp_path, "/slow", _vllm, idle_s=0.3) as (app, provider):
        provider.stalls_after = 2
        reply = await _get(app, "/slow")

    assert (200, 2, False) == (reply.status, reply.body.count(b"data:"), reply.is_complete)

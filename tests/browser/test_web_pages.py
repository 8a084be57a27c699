"""Pages in a real browser that want what a sidecar on the same machine would give them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, async_playwright

from sidecar.app import App
from tests.support.browser import chromium
from tests.support.in_process import running_app
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKS = """
async ([data, admin]) => {
  const image = (url) => new Promise((done) => {
    const made = new Image();
    made.onload = made.onerror = () => done("image");
    made.src = url;
  });
  const call = {method: "POST", body: JSON.stringify({model: "gpt-4o", messages: []})};
  const tried = async (url, options) => {
    try { return (await fetch(url, options)).type; } catch (error) { return "refused"; }
  };
  return [
    await image(`http://localhost:${data}/v1/files/image`),
    await tried(`http://127.0.0.1:${data}/v1/files/read`),
    await tried(`http://localhost:${data}/v1/files/blind`, {mode: "no-cors"}),
    await tried(`http://localhost:${data}/v1/chat/completions`, {mode: "no-cors", ...call}),
    await tried(`http://localhost:${admin}/metrics`),
  ];
}
"""


@contextlib.asynccontextmanager
async def _browser_with_names() -> AsyncIterator[Browser]:
    """A browser that finds all names below `.example` at 127.0.0.1, as after a rebinding."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=chromium(),
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--host-resolver-rules=MAP *.example 127.0.0.1",
            ],
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def _site() -> AsyncIterator[int]:
    """Another server of this machine, with an empty page. Yields its port."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<title>a page</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _sidecar(work: Path) -> AsyncIterator[tuple[App, ScriptedProvider]]:
    async with (
        ScriptedProvider() as provider,
        running_app(sidecar_config(provider.url), work) as app,
    ):
        yield app, provider


@pytest.mark.parametrize("name", ["evil.example", "localhost"])
async def test_the_page_of_another_site_reaches_no_provider(tmp_path, name):
    """Nor that of another port of this machine: by images, by forms, by reading or blindly."""
    async with (
        _sidecar(tmp_path) as (app, provider),
        _site() as port,
        _browser_with_names() as browser,
    ):
        page = await browser.new_page()
        await page.goto(f"http://{name}:{port}/")
        seen = await page.evaluate(ASKS, [app.ports.data, app.ports.admin])

    assert ["image", "refused", "opaque", "opaque", "refused"] == seen
    assert 0 == provider.seen


async def test_a_page_whose_name_leads_here_by_now_reads_nothing(tmp_path):
    """To its browser it is the sidecar's own page, so that no Origin tells."""
    async with _sidecar(tmp_path) as (app, provider), _browser_with_names() as browser:
        page = await browser.new_page()
        shown = await page.goto(f"http://evil.example:{app.ports.data}/v1/models")
        read = await page.evaluate("fetch('/v1/files/f1').then(got => got.status)")

    assert shown is not None
    assert (421, 421, 0) == (shown.status, read, provider.seen)

"""The system's Chromium, driven by playwright: pages that tell what they asked for and complained
about.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

NARROW: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
"""A small phone."""
PATIENCE_MS = 20_000
"""For what a page shows when it is next asked, on a busy machine."""


def chromium() -> str:
    """The browser's program. Fails where every optional part is required, else skips with the
    reason.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail("Chromium is not installed: apt-get install chromium")
        pytest.skip("Chromium is not installed")
    return found


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Start a browser without a window."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """A page of a browser, and all that it asked for and complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        """URLs of all requests."""
        self.complaints: list[str] = []
        """Errors and warnings of its console, and exceptions that nothing caught."""
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self._hear(line.type, line.text))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    async def see(self, selector: str, text: str) -> None:
        """Wait until what the selector finds holds the text. Raises: AssertionError."""
        await expect(self.page.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)

    async def read(self, selector: str) -> list[str]:
        """Return the texts of all that the selector finds, without empty lines."""
        texts = await self.page.locator(selector).all_inner_texts()
        return ["\n".join(text.split("\n\n")).strip() for text in texts]

    async def row(self, table: str, first: str) -> dict[str, str]:
        """Return the cells of a table's row, by their columns' heads; ``first`` is part of its first
        cell.
        """
        heads = await self.page.locator(f"{table} thead th").all_text_contents()
        row = self.page.locator(f"{table} tbody tr").filter(has_text=first).first
        cells = await row.locator("> *").all_text_contents()
        return dict(zip(heads, cells, strict=True))

    async def wait_for_polls(self, count: int) -> None:
        """Wait until the page has asked for its numbers so many times more."""
        for _ in range(count):
            async with self.page.expect_response(
                lambda reply: reply.url.endswith("/status"), timeout=PATIENCE_MS
            ) as reply:
                pass
            await (await reply.value).finished()


@contextlib.asynccontextmanager
async def watched_page(browser: Browser, url: str, **options: Any) -> AsyncIterator[Watched]:
    """Open a page in a context of its own; ``options`` are those of `Browser.new_context`."""
    context = await browser.new_context(**options)
    try:
        watched = Watched(await context.new_page())
        await watched.page.goto(url)
        yield watched
    finally:
        await context.close()

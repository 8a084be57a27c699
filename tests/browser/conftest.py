"""One browser for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browser import Watched, running_browser, watched_page
from tests.support.live_status import MadeUpSidecar, made_up_sidecar


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser without a window."""
    async with running_browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def sidecar() -> AsyncIterator[MadeUpSidecar]:
    """A listener with the live page, whose numbers the test makes up."""
    async with made_up_sidecar() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def shown(browser: Browser, sidecar: MadeUpSidecar) -> AsyncIterator[Watched]:
    """The live page of `sidecar`, opened."""
    async with watched_page(browser, sidecar.url) as watched:
        yield watched

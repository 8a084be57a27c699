"""How commands reach a running sidecar: the listener of its operators' pages."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

_UNIX: Final = "unix:"


@contextlib.asynccontextmanager
async def operators_client(address: str) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Open a client of the operators' listener at an address, and yield it with the URL that paths
    are put behind.

    Args: ``address`` is ``host:port``, a URL, or ``unix:/path``.
    """
    if address.startswith(_UNIX):
        connector = aiohttp.UnixConnector(address.removeprefix(_UNIX))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session, "http://localhost"
        return
    url = address if "://" in address else f"http://{address}"
    async with aiohttp.ClientSession() as session:
        yield session, url.rstrip("/")

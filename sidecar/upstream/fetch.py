"""Fetches documents from elsewhere, beside calls: price lists, Prometheus queries."""

from __future__ import annotations

from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from sidecar.domain.errors import LoggableError
from sidecar.http1.origin import make_ssl_context
from sidecar.http1.proxy_rules import ForwardProxy, ProxyRules
from sidecar.runtime.memory_budget import MemoryShare, unlimited
from sidecar.runtime.timers import Timeout

_TIMEOUT_S: Final = 10.0
_BODY_BYTES: Final = 32 * 1024 * 1024
_USUAL_PORTS: Final = {"https": 443, "http": 80}


class FetchFailed(LoggableError):
    """There is no document. The message may be logged: it has no URL, which may hold a password."""


class Fetcher:
    """GETs documents over aiohttp's client, opened at first use."""

    def __init__(self, proxies: ProxyRules, memory: MemoryShare | None = None) -> None:
        """Args: ``memory`` is what documents may take while they are read; None: as they like."""
        self._proxies = proxies
        self._memory = memory or unlimited()
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes:
        """Return the body of the URL's 2xx response, within 10 s and 32 MiB.

        Raises: FetchFailed, aiohttp.ClientError, TimeoutError.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=make_ssl_context()),
                timeout=aiohttp.ClientTimeout(),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        async with Timeout(_TIMEOUT_S):
            return await self._get(self._session, url)

    async def _get(self, session: aiohttp.ClientSession, url: str) -> bytes:
        proxy = self._proxy_for(url)
        place = None if proxy is None else f"http://{proxy.place}"
        credential: dict[str, str] = {}
        if proxy is not None and proxy.authorization is not None:
            credential["Proxy-Authorization"] = proxy.authorization
        # The proxy reads its credential in the CONNECT for https, and in the request itself for
        # http, where aiohttp leaves `proxy_headers` out.
        is_tunnel = url.startswith("https:")
        async with session.get(
            url,
            allow_redirects=False,
            proxy=place,
            proxy_headers=credential,
            headers={} if is_tunnel else credential,
        ) as response:
            if not 200 <= response.status < 300:
                raise FetchFailed(f"status {response.status}")
            return await self._read(response.content)

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        """Return a document, for which room is taken twice: its pieces are joined."""
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in content.iter_any():
                if size + len(piece) > _BODY_BYTES:
                    raise FetchFailed(f"it is longer than {_BODY_BYTES} bytes")
                if not self._memory.take_nowait(2 * len(piece)):
                    raise FetchFailed("limits.memory_bytes has no room for it")
                size += len(piece)
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            self._memory.give_back(2 * size)

    async def aclose(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _proxy_for(self, url: str) -> ForwardProxy | None:
        parts = urlsplit(url)
        port = parts.port or _USUAL_PORTS.get(parts.scheme, 0)
        return self._proxies.proxy_for(parts.scheme, parts.hostname or "", port)

"""The admin port: probes and metrics, for any peer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web

from sidecar.listener.page_replies import text_reply
from sidecar.listener.web_pages import is_of_browser
from sidecar.runtime.lifecycle import Latch

PATHS: Final = ("/livez", "/readyz", "/metrics")
_VARY: Final = "Accept, Accept-Encoding"


class MetricsPage(Protocol):
    """A page of metrics, ready to be sent."""

    @property
    def body(self) -> bytes:
        """The bytes, compressed where the headers say so."""
        ...

    @property
    def headers(self) -> dict[str, str]:
        """Content-Type, and Content-Encoding where it is compressed."""
        ...


Render = Callable[[str, str], Awaitable[MetricsPage]]
"""From the headers Accept and Accept-Encoding to the page that they ask for."""


class Admin:
    """Handler of the admin port."""

    def __init__(self, latch: Latch, render_metrics: Render) -> None:
        self.operators_place = ""
        """Where the pages for operators are, as ``http://127.0.0.1:9902``; empty for nowhere."""
        self._latch = latch
        self._render_metrics = render_metrics

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        if is_of_browser(request.headers.items()):
            return text_reply(403, f"no browser is served here; {self._not_here()}")
        path = request.path
        if path not in PATHS:
            return text_reply(404, self._not_here())
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="GET only\n", headers={"Allow": "GET, HEAD"})
        if path == "/livez":
            return text_reply(200, "alive\n")
        if path == "/readyz":
            ready = self._latch.is_ready
            return text_reply(200, "ready\n") if ready else text_reply(503, "not ready\n")
        headers = request.headers
        page = await self._render_metrics(
            ",".join(headers.getall("Accept", ())), ",".join(headers.getall("Accept-Encoding", ()))
        )
        return web.Response(body=page.body, headers={**page.headers, "Vary": _VARY})

    def _not_here(self) -> str:
        place = self.operators_place or "nowhere: admin.operator_address says why not"
        return f"this port serves {', '.join(PATHS)}; pages for operators: {place}\n"

"""The admin port: probes and metrics for any peer, the rest only for callers inside the pod."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import Final

from aiohttp import web

from sidecar.listener.pins import LIST_PATH, SESSION_PATH, PinPages
from sidecar.runtime.lifecycle import Latch

_TEXT: Final = "text/plain"
_LIST: Final = """plano-sidecar admin
  /livez        the event loop answers
  /readyz       config is loaded and the data port accepts; 503 while starting and while draining
  /metrics      Prometheus text or OpenMetrics
  /affinity/    pins, in pages: ?tenant=&cursor=&limit=
  /affinity/session?tenant=&session=   a session's pins;
                DELETE drops them where admin.mutations is true
"""
_PUBLIC: Final = frozenset({"/livez", "/readyz", "/metrics"})

Render = Callable[[str], tuple[bytes, str]]
"""From an Accept header to (body, content type)."""


class Admin:
    """Handler of the admin port."""

    def __init__(
        self,
        latch: Latch,
        render_metrics: Render,
        is_loopback: Callable[[web.BaseRequest], bool],
        pins: PinPages,
    ) -> None:
        self._latch = latch
        self._pins = pins
        self._render_metrics = render_metrics
        self._is_loopback = is_loopback

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        path = request.path
        if path not in _PUBLIC and (refusal := self._refuse_stranger(request)) is not None:
            return refusal
        if path in (LIST_PATH, SESSION_PATH):
            return await self._pins.serve(request)
        if path not in _PUBLIC and path != "/":
            return _text(404, "no such page; / lists them\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="GET only\n", headers={"Allow": "GET, HEAD"})
        return await self._page(path, request)

    async def _page(self, path: str, request: web.BaseRequest) -> web.StreamResponse:
        if path == "/livez":
            return _text(200, "alive\n")
        if path == "/readyz":
            return _text(200, "ready\n") if self._latch.is_ready else _text(503, "not ready\n")
        if path == "/metrics":
            return await self._metrics(request)
        return _text(200, _LIST)

    async def _metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        # Rendering is pure Python and takes milliseconds: a thread lets calls go on between the
        # GIL's switches.
        accept = request.headers.get("Accept", "")
        body, content_type = await asyncio.to_thread(self._render_metrics, accept)
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _refuse_stranger(self, request: web.BaseRequest) -> web.StreamResponse | None:
        if not self._is_loopback(request):
            return _text(403, "this page is for callers inside the pod\n")
        # A web page that rebinds its name to 127.0.0.1 is a loopback peer too, but it cannot choose
        # its Host.
        if "Origin" in request.headers or not _is_local_name(request.headers.get("Host", "")):
            return _text(
                403, "this page wants a Host of localhost or a loopback address, and no Origin\n"
            )
        return None


def _is_local_name(host: str) -> bool:
    name = (
        host.rpartition("]")[0].removeprefix("[")
        if host.startswith("[")
        else host.partition(":")[0]
    )
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type=_TEXT)

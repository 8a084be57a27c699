"""The admin port: probes and metrics for any peer; the pages, pins among them, only for callers
inside the pod.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from sidecar.affinity.store import Pin, PinBrowser, StoreUnreachable
from sidecar.runtime.lifecycle import Latch

_TEXT: Final = "text/plain"
_LIST: Final = """plano-sidecar admin
  /livez        the event loop answers
  /readyz       config is loaded and the data port accepts; 503 while starting and while draining
  /metrics      Prometheus text or OpenMetrics
  /affinity/    pins, in pages: ?tenant=&cursor=&limit=
  /affinity/session?tenant=&session=&agent=   the pins of a session, or of one of its sub-agents;
                DELETE drops them where admin.mutations is true
"""
_PUBLIC: Final = frozenset({"/livez", "/readyz", "/metrics"})

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
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
        body, content_type = await self._render_metrics(request.headers.get("Accept", ""))
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


LIST_PATH: Final = "/affinity/"
SESSION_PATH: Final = "/affinity/session"
_PAGE: Final = 100
_PAGE_AT_MOST: Final = 1000
_CURSOR_AT_MOST: Final = 2**64 - 1
"""The largest cursor of Redis' SCAN: no page gives a larger one."""


def pin_facts(pin: Pin) -> dict[str, Any]:
    """Return a pin as the pages' JSON shows it."""
    binding = pin.binding
    return {
        "key": pin.key,
        "tenant": _shown(pin.tenant),
        "session": _shown(pin.session_id),
        "agent": _shown(pin.agent),
        "lane": _shown(pin.lane),
        "model": binding.model_name,
        "provider": binding.provider,
        "route": binding.route_name,
        "requested_model": binding.requested_model,
        "generation": binding.generation,
        "bound_at": binding.bound_at_unix_s,
        "home": binding.home,
        "home_provider": binding.home_provider,
        "away_since": binding.away_since_unix_s,
        "failed_returns": binding.failed_returns,
        "provisional": binding.provisional,
        "ttl_s": None if pin.left_s is None else round(pin.left_s, 3),
    }


class PinPages:
    """Shows pins, and drops those of a session where ``admin.mutations`` allows it."""

    def __init__(self, pins: PinBrowser, *, may_change: bool) -> None:
        self._pins = pins
        self._may_change = may_change

    async def serve(self, request: web.BaseRequest) -> web.Response:
        """Serve ``GET /affinity/?tenant=&cursor=&limit=``, and ``GET`` and ``DELETE
        /affinity/session?tenant=&session=&agent=``. 503 where the store cannot be reached.
        """
        try:
            if request.path == SESSION_PATH:
                return await self._session(request)
            if request.method not in ("GET", "HEAD"):
                return _refusal(405, "GET only", "GET, HEAD")
            return await self._list(request)
        except StoreUnreachable as error:
            return _refusal(503, str(error))

    async def _list(self, request: web.BaseRequest) -> web.Response:
        query = request.query
        limit, cursor = query.get("limit", str(_PAGE)), query.get("cursor")
        if not _is_count(limit) or not 0 < int(limit) <= _PAGE_AT_MOST:
            return _refusal(400, f"limit must be 1 to {_PAGE_AT_MOST}")
        if cursor is not None and not (_is_count(cursor) and int(cursor) <= _CURSOR_AT_MOST):
            return _refusal(400, "cursor must be one that an earlier page gave")
        page = await self._pins.page(query.get("tenant"), cursor, int(limit))
        return _json(200, {"pins": [pin_facts(pin) for pin in page.pins], "cursor": page.cursor})

    async def _session(self, request: web.BaseRequest) -> web.Response:
        query = request.query
        session_id, tenant, agent = (query.get(name) for name in ("session", "tenant", "agent"))
        if not session_id:
            return _refusal(400, "session is missing")
        if request.method not in ("GET", "HEAD", "DELETE"):
            return _refusal(405, "GET and DELETE only", "GET, HEAD, DELETE")
        if request.method == "DELETE" and not self._may_change:
            return _refusal(403, "the config does not allow changes here: admin.mutations is false")
        pins = await self._pins.of_session(tenant, session_id, agent)
        if not pins:
            return _json(404, {"error": "no pin of this session", "pins": []})
        if request.method == "DELETE":
            return _json(200, {"deleted": await self._pins.drop(tenant, session_id, agent)})
        return _json(200, {"pins": [pin_facts(pin) for pin in pins]})


def _shown(name: str | None) -> str | None:
    """Return a name as JSON can hold it: whoever writes to Redis can put bytes into a key that are
    no text.
    """
    return name and name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


def _json(status: int, facts: object) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(facts) + b"\n", content_type="application/json"
    )


def _refusal(status: int, why: str, allow: str = "") -> web.Response:
    response = _json(status, {"error": why})
    if allow:
        response.headers["Allow"] = allow
    return response

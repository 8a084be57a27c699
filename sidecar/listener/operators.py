"""The operators' listener: pages that show and steer this sidecar, for callers inside the pod.

It listens on loopback, or on a Unix socket, and never on an address that other pods reach. What a
peer's address would prove there is not asked: behind a mesh every peer comes from one address.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec
from aiohttp import web

from sidecar.domain.log_fields import event_fields
from sidecar.listener.page_replies import refusal, text_reply
from sidecar.listener.web_pages import OTHER_SITES
from sidecar.runtime.hosts import host_of, is_loopback

_log: Final = logging.getLogger("sidecar.operators")

_READS: Final = frozenset({"GET", "HEAD"})
_MESH_PEER: Final = "127.0.0.6"
"""From there Istio's proxy connects for peers of the pod, in its older releases to loopback too."""
OF_ALL_PAGES: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every page: no browser keeps one, or lets another site's page use it."""


class OperatorPage(msgspec.Struct, frozen=True):
    """One page of the operators' listener."""

    path: str
    methods: tuple[str, ...]
    """That the page takes, GET before HEAD: pages that take GET take HEAD too."""
    serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    help: str
    """What it shows or does, in one line of the list of pages."""
    changes: bool = False
    """Whether other methods than GET change something that the config has to allow: over TCP only
    with ``admin.mutations``, over a Unix socket always.
    """


class OperatorAccess(msgspec.Struct, frozen=True):
    """What the callers of the operators' listener may do."""

    is_unix_socket: bool = False
    """Then its file's owner alone can connect, and no web page can."""
    mutations: bool = False
    """As in the config."""


class Operators:
    """The handler of the operators' listener: a table of pages."""

    def __init__(self, pages: Sequence[OperatorPage], access: OperatorAccess) -> None:
        """Args: a path's last page in ``pages`` is the one that is served."""
        self._pages = {page.path: page for page in pages}
        self.access = access
        """What holds for the next request; another config may change it."""
        if "/" not in self._pages:
            front = OperatorPage("/", ("GET",), self._list, "this list")
            self._pages = {"/": front, **self._pages}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request."""
        response: web.StreamResponse | None = self._refusal_of(request)
        if response is None:
            response = await self._pages[request.path].serve(request)
        if not response.prepared:
            response.headers.update(OF_ALL_PAGES)
        return response

    def _refusal_of(self, request: web.BaseRequest) -> web.Response | None:
        """Return the reply to a request that its page does not see; None where it sees it."""
        if not self.access.is_unix_socket and (why := _why_foreign(request)) is not None:
            return refusal(403, why)
        page = self._pages.get(request.path)
        if page is None:
            return refusal(404, "no such page; / lists them")
        allowed = allowed_methods(page)
        if request.method not in allowed:
            names = ", ".join(allowed)
            return refusal(405, f"this page takes {names}", names)
        if request.method in _READS:
            return None
        if page.changes and not (self.access.is_unix_socket or self.access.mutations):
            return refusal(403, "the config does not allow changes here: admin.mutations is false")
        _log.info(
            "an operator asked for %s %s",
            request.method,
            page.path,
            extra=event_fields("operator_asked", method=request.method, page=page.path),
        )
        return None

    async def _list(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002 - a page's signature
        return text_reply(200, list_of_pages(self._pages.values()))


def allowed_methods(page: OperatorPage) -> tuple[str, ...]:
    """Return the methods that a page takes, HEAD beside GET."""
    return tuple(
        each for name in page.methods for each in (("GET", "HEAD") if name == "GET" else (name,))
    )


def list_of_pages(pages: Iterable[OperatorPage]) -> str:
    """Return the pages as lines for a person to read."""
    rows = [(f"{', '.join(page.methods)} {page.path}", page.help) for page in pages]
    width = max(len(row[0]) for row in rows)
    lines = [f"  {name.ljust(width)}  {text}" for name, text in rows]
    return "\n".join(["plano-sidecar operators", *lines, ""])


def _why_foreign(request: web.BaseRequest) -> str | None:
    """Return why a request is not one of the pod's own, as a sentence; None where it is.

    A web page that rebinds its name to 127.0.0.1 is a loopback peer too, but it cannot choose its
    Host.
    """
    host = host_of(request.headers.get("Host", ""))
    if "Origin" in request.headers or host is None or not is_loopback(host):
        return "this listener wants a Host of localhost or a loopback address, and no Origin"
    if _is_of_other_site(request):
        return "this listener serves no page of another site"
    peer = None if request.transport is None else request.transport.get_extra_info("peername")
    if isinstance(peer, tuple) and peer[0] == _MESH_PEER:
        return "this listener is for callers inside the pod"
    return None


def _is_of_other_site(request: web.BaseRequest) -> bool:
    """Return whether another site's page asks, an image or a script of it say, which brings no
    Origin. A link that a person follows is none.
    """
    headers = request.headers
    if headers.get("Sec-Fetch-Site") not in OTHER_SITES:
        return False
    is_link = headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")
    return request.method not in _READS or is_link != ("navigate", "document")

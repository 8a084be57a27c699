"""The live page of the operators' listener: one HTML file, and the numbers that its script polls.

The page loads nothing from anywhere, and its Content-Security-Policy lets nothing else in: its own
script and style by their hashes, requests to its own listener, and no markup made of text.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from sidecar.listener.operators import OperatorPage
from sidecar.listener.page_replies import text_reply

_FILE: Final = Path(__file__).parent / "pages" / "index.html"
_INLINE: Final = "<{0}>(.*?)</{0}>"


class LivePage:
    """Serves the page and its numbers. The file is read when it is first asked for.

    Args: ``render_status`` is `telemetry.status_reader.StatusReader.render`; ``list_pages`` returns
        the list of all pages, for clients that show no HTML.
    """

    def __init__(
        self, render_status: Callable[[], bytes], list_pages: Callable[[], str] = str
    ) -> None:
        self._render_status = render_status
        self._list_pages = list_pages
        self._page: tuple[str, dict[str, str]] | None = None

    def pages(self) -> tuple[OperatorPage, OperatorPage]:
        """Return both pages: ``/`` and ``/status``."""
        return (
            OperatorPage("/", ("GET",), self.serve_page, "how it is, live; to curl this list"),
            OperatorPage("/status", ("GET",), self.serve_status, "its numbers, as JSON"),
        )

    async def serve_page(self, request: web.BaseRequest) -> web.Response:
        """Serve the page itself to a browser, the list of pages to curl."""
        if "text/html" not in request.headers.get("Accept", ""):
            return text_reply(200, self._list_pages())
        if self._page is None:
            text = _FILE.read_text(encoding="utf-8")
            self._page = text, page_headers(text)
        text, headers = self._page
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)

    async def serve_status(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002 - a page's signature
        """Serve the numbers as JSON."""
        return web.Response(body=self._render_status(), content_type="application/json")


def page_headers(text: str) -> dict[str, str]:
    """Return the headers that let a browser run this very page and nothing else."""
    policy = {
        "default-src": "'none'",
        "script-src": _hash_of("script", text),
        "style-src": _hash_of("style", text),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }


def _hash_of(tag: str, text: str) -> str:
    """Return the source by which a policy allows a page's one element of this tag."""
    (inline,) = re.findall(_INLINE.format(tag), text, re.DOTALL)
    digest = hashlib.sha256(inline.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

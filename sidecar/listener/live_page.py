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

_FILE: Final = Path(__file__).parent / "pages" / "index.html"
_INLINE: Final = "<{0}>(.*?)</{0}>"


class LivePage:
    """Serves the page and its numbers. The file is read when it is first asked for.

    Args: ``render_status`` is `telemetry.status_reader.StatusReader.render`.
    """

    def __init__(self, render_status: Callable[[], bytes]) -> None:
        self._render_status = render_status
        self._page: tuple[str, dict[str, str]] | None = None

    async def serve_page(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002 - a page's signature
        """Serve the page itself."""
        if self._page is None:
            text = _FILE.read_text(encoding="utf-8")
            self._page = text, page_headers(text)
        text, headers = self._page
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)

    async def serve_status(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002 - a page's signature
        """Serve the numbers as JSON."""
        return web.Response(
            body=self._render_status(),
            content_type="application/json",
            headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        )


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
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def _hash_of(tag: str, text: str) -> str:
    """Return the source by which a policy allows a page's one element of this tag."""
    (inline,) = re.findall(_INLINE.format(tag), text, re.DOTALL)
    digest = hashlib.sha256(inline.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

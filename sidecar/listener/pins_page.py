"""The pages of pins."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from sidecar.affinity.store import Pin, PinBrowser, StoreUnreachable
from sidecar.listener.operators import OperatorPage
from sidecar.listener.page_replies import json_reply, refusal

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
    """Shows pins, and drops those of a session."""

    def __init__(self, pins: PinBrowser) -> None:
        self._pins = pins

    def pages(self) -> tuple[OperatorPage, OperatorPage]:
        """Return both pages: ``/affinity/?tenant=&cursor=&limit=`` and
        ``/affinity/session?tenant=&session=&agent=``. 503 where the store cannot be reached.
        """
        return (
            OperatorPage(LIST_PATH, ("GET",), self._list, "pins: ?tenant=&cursor=&limit="),
            OperatorPage(
                SESSION_PATH,
                ("GET", "DELETE"),
                self._session,
                "pins of a session, or of one of its sub-agents: ?tenant=&session=&agent=",
                changes=True,
            ),
        )

    async def _list(self, request: web.BaseRequest) -> web.Response:
        query = request.query
        limit, cursor = query.get("limit", str(_PAGE)), query.get("cursor")
        if not _is_count(limit) or not 0 < int(limit) <= _PAGE_AT_MOST:
            return refusal(400, f"limit must be 1 to {_PAGE_AT_MOST}")
        if cursor is not None and not (_is_count(cursor) and int(cursor) <= _CURSOR_AT_MOST):
            return refusal(400, "cursor must be one that an earlier page gave")
        try:
            page = await self._pins.page(query.get("tenant"), cursor, int(limit))
        except StoreUnreachable as error:
            return refusal(503, str(error))
        facts = [pin_facts(pin) for pin in page.pins]
        return json_reply(200, {"pins": facts, "cursor": page.cursor})

    async def _session(self, request: web.BaseRequest) -> web.Response:
        query = request.query
        session_id, tenant, agent = (query.get(name) for name in ("session", "tenant", "agent"))
        if not session_id:
            return refusal(400, "session is missing")
        try:
            pins = await self._pins.of_session(tenant, session_id, agent)
            if not pins:
                return json_reply(404, {"error": "no pin of this session", "pins": []})
            if request.method == "DELETE":
                count = await self._pins.drop(tenant, session_id, agent)
                return json_reply(200, {"deleted": count})
        except StoreUnreachable as error:
            return refusal(503, str(error))
        return json_reply(200, {"pins": [pin_facts(pin) for pin in pins]})


def _shown(name: str | None) -> str | None:
    """Return a name as JSON can hold it: whoever writes to Redis can put bytes into a key that are
    no text.
    """
    return name and name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20

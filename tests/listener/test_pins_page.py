"""The pages of pins: what they take and say."""

from __future__ import annotations

import pytest

from sidecar.affinity.store import Pin, PinPage, StoreUnreachable
from sidecar.domain.decision import Binding
from sidecar.listener.operators import OperatorAccess, Operators
from sidecar.listener.pins_page import PinPages
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request


class _Pins:
    """One pin of a session s1; or a store that is away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self._is_away = is_away

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> PinPage:
        return PinPage(await self.of_session(tenant, "s1"), cursor)

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Pin]:
        if self._is_away:
            raise StoreUnreachable("redis does not answer")
        pin = Pin("k", tenant, session_id, agent, None, Binding("openai/x", None), 1.0)
        return [pin] if session_id == "s1" else []

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        return len(await self.of_session(tenant, session_id, agent))


async def _ask(target: str, method: str = "GET", *, is_away: bool = False):
    pages = PinPages(_Pins(is_away=is_away)).pages()
    handler = Operators(pages, OperatorAccess(mutations=True)).handle
    async with running_pages(handler) as running:
        reply = await exchange(running.port, raw_request(method, target))
    return reply.status, reply.json()


async def test_pins_are_shown_and_dropped():
    """In pages, and by session."""
    listed = await _ask("/affinity/?tenant=t&limit=5&cursor=7")
    shown = await _ask("/affinity/session?session=s1")
    dropped = await _ask("/affinity/session?session=s1", "DELETE")

    assert (200, "7", ["t"]) == (
        listed[0],
        listed[1]["cursor"],
        [pin["tenant"] for pin in listed[1]["pins"]],
    )
    assert (200, ["openai/x"]) == (shown[0], [pin["model"] for pin in shown[1]["pins"]])
    assert (200, {"deleted": 1}) == dropped


@pytest.mark.parametrize("target", ["/affinity/", "/affinity/session?session=s1"])
async def test_a_store_that_is_away_is_told(target):
    """Why, in the store's words."""
    assert (503, {"error": "redis does not answer"}) == await _ask(target, is_away=True)


@pytest.mark.parametrize(
    ("target", "status", "why"),
    [
        ("/affinity/?limit=0", 400, "limit must be 1 to 1000"),
        ("/affinity/?limit=x", 400, "limit must be 1 to 1000"),
        ("/affinity/?cursor=x", 400, "cursor must be one that an earlier page gave"),
        (f"/affinity/?cursor={2**64}", 400, "cursor must be one that an earlier page gave"),
        ("/affinity/session", 400, "session is missing"),
        ("/affinity/session?session=s2", 404, "no pin of this session"),
    ],
)
async def test_a_bad_question_is_told_why(target, status, why):
    """Nothing is looked for then."""
    said, facts = await _ask(target)

    assert (status, why) == (said, facts["error"])

"""The store over a link whose replies come when the test wants: several in one turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sidecar.affinity.lanes import Lanes
from sidecar.affinity.redis.queries import StorePolicy
from sidecar.affinity.redis.store import RedisStore
from sidecar.affinity.session import make_session
from sidecar.affinity.value import encode
from sidecar.domain.clock import SystemClock
from sidecar.domain.decision import Binding
from sidecar.domain.observers import Observers

SESSION = make_session("s1", lane="openai/gpt-4o")
MINE = Binding("openai/gpt-4o-mini", "write", "openai/gpt-4o", 1, 1000.0)
THEIRS = Binding("openai/gpt-4o", "plan", "openai/gpt-4o", 1, 1001.0)


class FakeLink:
    """Keeps what is submitted until the test replies."""

    is_up = is_tracking = True

    def __init__(self, *_: object, **__: object) -> None:
        self.submitted: list[tuple[Callable[[list[Any]], Any], asyncio.Future[Any]]] = []

    def submit(self, _: Sequence[object], decode: Callable[[list[Any]], Any]) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.submitted.append((decode, future))
        return future

    def reply(self, *replies: list[Any]) -> None:
        """Give the replies to what was submitted, in its order and in one turn of the loop."""
        for (decode, future), each in zip(self.submitted, replies, strict=True):
            future.set_result(decode(each))
        self.submitted.clear()

    async def aclose(self) -> None:
        """Nothing is open."""


async def _submitted(link: FakeLink, count: int) -> None:
    async with asyncio.timeout(10):
        while len(link.submitted) < count:
            await asyncio.sleep(0)


async def test_a_read_returns_no_pin_that_lost_a_race_meanwhile():
    """The session is read and claimed here at once, and another pod's claim comes between the two:
    the reply to the read says nothing, that to the claim names the other pod's pin.
    """
    link = FakeLink()
    store = RedisStore(
        lambda *_, **__: link,  # type: ignore[arg-type]
        StorePolicy(ttl_s=600.0, budget_s=30.0, max_entries=10),
        SystemClock(),
        Observers(),
    )
    store._near.is_alone = False
    nothing = [None, -2]
    async with asyncio.TaskGroup() as group:
        read = group.create_task(store.read(SESSION))
        await _submitted(link, 1)
        claim = group.create_task(store.claim(SESSION, MINE))
        await _submitted(link, 2)
        link.reply([*nothing, *nothing], [[encode(Lanes((THEIRS,))), 600_000]])

    assert (THEIRS, THEIRS) == (claim.result(), read.result())
    await store.aclose()

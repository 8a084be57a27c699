"""What was changed while Redis was gone, on its way back into it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, OutOfMemoryError, ResponseError

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.entry import EntryEvent
from sidecar.affinity.lanes import Lanes
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.queries import StorePolicy
from sidecar.affinity.redis.write_back import WriteBack
from sidecar.domain.decision import Binding
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from tests.support.values import FakeClock

MINE, THEIRS = Lanes((Binding("m", None, "a"),)), Lanes((Binding("x", None, "a"),))


class FakeQueries:
    """Writes what is owed; ``stored`` stands then."""

    def __init__(self, near: NearCache) -> None:
        self.near = near
        self.written: list[str] = []
        self.reports: list[tuple[PinOperation, PinOutcome]] = []
        self.stored = MINE
        self.refusal: Exception | None = None
        self.under_way: set[str] = set()

    def is_writing(self, key: str) -> bool:
        return key in self.under_way

    def write(self, key: str) -> asyncio.Future[Lanes]:
        self.written.append(key)
        reply = asyncio.get_running_loop().create_future()
        if self.refusal is None:
            reply.set_result(self.stored)
        else:
            reply.set_exception(self.refusal)
        return reply

    async def wait(
        self, _operation: PinOperation, reply: asyncio.Future[Any], budget: CallBudget
    ) -> Any:
        with contextlib.suppress(ResponseError):
            return await budget.wait(reply)

    def report(self, operation: PinOperation, outcome: PinOutcome) -> None:
        self.reports.append((operation, outcome))


class Shadow:
    """A near cache with what must go back."""

    def __init__(self) -> None:
        clock = self.clock = FakeClock()
        self.near = NearCache(999, clock.monotonic_s)
        queries: Any = FakeQueries(self.near)
        self.queries = queries
        health = StoreHealth(self.near, clock.monotonic_s, 1.0)
        policy = StorePolicy(ttl_s=60.0, budget_s=0.02, max_entries=9)
        self.write_back = WriteBack(self.near, health, self.queries, policy, clock)

    def keep(self, *keys: str) -> None:
        for key in keys:
            self.near.change(key, MINE, 60.0)
            self.near.happened(EntryEvent.KEPT, key)


@pytest.fixture
def shadow() -> Shadow:
    return Shadow()


@pytest.mark.parametrize(
    ("stored", "outcome"), [(MINE, PinOutcome.CLAIMED), (THEIRS, PinOutcome.ADOPTED)]
)
async def test_all_that_is_owed_is_written(shadow, stored, outcome):
    """It is ours that stands then, or another's that came first."""
    keys = [str(number) for number in range(120)]
    shadow.keep(*keys)
    shadow.queries.stored = stored
    await shadow.write_back.write()

    assert keys == shadow.queries.written
    assert [(PinOperation.WRITE_BACK, outcome)] * 120 == shadow.queries.reports


async def test_a_server_that_takes_no_writes_is_told_of_one(shadow):
    """Not of every session."""
    shadow.keep("a", "b", "c")
    shadow.queries.refusal = OutOfMemoryError("OOM")
    await shadow.write_back.write()

    assert (["a"], []) == (shadow.queries.written, shadow.queries.reports)


async def test_what_may_not_be_written_is_held_back_and_what_is_under_way_is_left_alone(shadow):
    """Neither is in the way of others; after a while it is tried again."""
    shadow.keep("a", "b", "c")
    shadow.queries.under_way = {"b"}
    shadow.queries.refusal = NoPermissionError("NOPERM")
    await shadow.write_back.write()
    shadow.queries.refusal = None
    await shadow.write_back.write()
    shadow.clock.advance(31.0)
    shadow.near.change("a", MINE, 60.0)
    await shadow.write_back.write()

    assert ["a", "c", "a", "c"] == shadow.queries.written

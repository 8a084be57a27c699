"""One tenant's calls steer no other tenant's, however many they are and whatever they meet."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.net import RawReply
from tests.support.poison import (
    CHATTER,
    GPT,
    POISONS,
    ROUTERS_DEATH,
    Shared,
    poison_all,
    served,
    shared_sidecar,
)

# Thousands of calls that reach what others reach: counting branches doubles the time they take.
pytestmark = pytest.mark.no_cover

TIMES = 100
PINNED, NEW = (200, "pinned", GPT, "1"), (200, "routed", GPT, "1")


@pytest_asyncio.fixture
async def shared(tmp_path) -> AsyncIterator[Shared]:
    """One in which a session of the tenant acme has its pin."""
    async with shared_sidecar(tmp_path) as running:
        assert NEW == served(await running.ask("acme", "s1"))
        yield running


async def _poisoned_and_others(
    shared: Shared, *names: str
) -> tuple[list[RawReply], collections.Counter[tuple[str, tuple[object, ...]]]]:
    """Make the poisonous calls, and meanwhile those of another tenant: in a session that is pinned,
    and in new ones. Returns: the replies of the former, and how often the latter were served how.
    """
    seen: collections.Counter[tuple[str, tuple[object, ...]]] = collections.Counter()
    number = 0
    async with asyncio.TaskGroup() as group:
        poisoning = group.create_task(poison_all(shared, names, TIMES))
        while not poisoning.done() or number < 10:
            seen["pinned", served(await shared.ask("acme", "s1"))] += 1
            seen["new", served(await shared.ask("acme", f"new {number}"))] += 1
            number += 1
    return poisoning.result(), seen


@pytest.mark.parametrize("name", POISONS)
async def test_a_hundred_poisonous_calls_steer_no_other_tenants(shared, name):
    """Model, source and attempts of the others' calls stay what they were, while the calls come and
    when they have ended.
    """
    replies, seen = await _poisoned_and_others(shared, name)

    assert {("pinned", PINNED), ("new", NEW)} == set(seen)
    poison = POISONS[name]
    assert [(poison.status, poison.error)] * (0 if poison.leaves else TIMES) == [
        (reply.status, reply.header("x-plano-error")) for reply in replies
    ]
    if name in (CHATTER, ROUTERS_DEATH):
        assert {"fallback"} == {reply.header("x-plano-source") for reply in replies}


async def test_all_poisons_together_steer_no_other_tenants(shared):
    """Mixed as they come."""
    _, seen = await _poisoned_and_others(shared, *POISONS)

    assert {("pinned", PINNED), ("new", NEW)} == set(seen)

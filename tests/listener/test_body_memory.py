"""Memory for bodies: taken as they arrive, the one that lacks least first, and given back."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.domain.errors import Overloaded
from sidecar.listener import body_memory, body_queue
from sidecar.listener.body_memory import SHORT_BYTES, BodyMemory
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.memory_budget import MIB, MemoryBudget

KIB = 1024


def a_memory(limit_bytes: int = 16 * MIB, cap_bytes: int | None = None) -> BodyMemory:
    """Of 16 MiB, 15 are common and 1 is kept for short bodies."""
    return BodyMemory(MemoryBudget(limit_bytes), cap_bytes)


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
def without_patience(monkeypatch) -> None:
    monkeypatch.setattr(body_memory, "WAIT_AT_MOST_S", 0.02)


async def arrive(memory: BodyMemory, size: int, pieces: int = 8) -> int:
    """Take a whole body in pieces, with turns of the loop between; return its size."""
    body = memory.begin(size, size)
    try:
        for _ in range(pieces):
            await memory.grow(body, size // pieces)
            await asyncio.sleep(0)
        await memory.wait_to_join(body)
    except BaseException:
        memory.drop(body)
        raise
    memory.end(body)
    return size


async def test_whole_bodies_take_room_and_give_it_back():
    """Short and long ones, each from its own share."""
    memory = a_memory()
    sizes = [1, SHORT_BYTES, SHORT_BYTES + 1, 3 * MIB]

    assert all(memory.take_nowait(size) for size in sizes)
    assert sum(sizes) == memory.buffered_bytes
    for size in sizes:
        memory.give_back(size)
    assert 0 == memory.buffered_bytes


async def test_a_short_body_is_admitted_while_long_ones_hold_all_the_rest(tasks):
    """And while others of them wait for room."""
    memory = a_memory()
    assert [True, False] == [memory.take_nowait(15 * MIB), memory.take_nowait(SHORT_BYTES + 1)]
    waiting = tasks.spawn(arrive(memory, 3 * MIB), name="long")
    await _turn()

    assert all(memory.take_nowait(SHORT_BYTES) for _ in range(16))
    assert not waiting.done()
    memory.give_back(15 * MIB)
    assert 3 * MIB == await waiting


async def test_what_is_announced_and_does_not_come_refuses_nobody():
    """Two sockets that announce the longest body and send one byte of it."""
    memory = a_memory()
    for _ in range(2):
        await memory.grow(memory.begin(memory.longest_bytes, MIB), 1)
    others = [await arrive(memory, size) for size in (memory.longest_bytes - 2, 2 * MIB, 100 * KIB)]

    assert 3 == len(others)


async def test_bodies_of_which_a_part_has_come_never_wait_for_each_other(tasks, without_patience):
    """Six that would fill it twice arrive at the same pace: each gets to its end, one after the
    other, as those before it are given back.
    """
    memory = a_memory()

    async def call() -> None:
        memory.give_back(await arrive(memory, 4 * MIB))

    calls = [tasks.spawn(call(), name=f"{number}") for number in range(6)]
    await asyncio.gather(*calls)

    assert 0 == memory.buffered_bytes


async def test_the_body_that_lacks_least_goes_first(tasks):
    """A long one that waits holds up none that fits beside it."""
    memory, order = a_memory(), list[str]()
    memory.take_nowait(8 * MIB)

    async def call(name: str, size: int) -> None:
        await arrive(memory, size)
        order.append(name)

    long = tasks.spawn(call("long", 7 * MIB), name="long")
    await _turn()
    shorter = tasks.spawn(call("shorter", 2 * MIB), name="shorter")
    await shorter
    memory.give_back(8 * MIB)
    await long

    assert ["shorter", "long"] == order


async def test_room_is_left_to_join_the_pieces_of_each_body(tasks):
    """Twice its length, for a moment: 6 MiB beside 5 MiB would fit, and could not be joined."""
    memory = a_memory()
    memory.take_nowait(5 * MIB)
    body = tasks.spawn(arrive(memory, 6 * MIB), name="body")
    await _turn()
    assert not body.done()
    memory.give_back(5 * MIB)

    assert 6 * MIB == await body


async def test_a_whole_body_waits_for_the_room_to_join_it(tasks):
    """Where that was taken meanwhile, by what has a share of its own."""
    memory = a_memory()
    body = memory.begin(7 * MIB, 7 * MIB)
    await memory.grow(body, 7 * MIB)
    short = [SHORT_BYTES for _ in range(48) if memory.take_nowait(SHORT_BYTES)]
    joining = tasks.spawn(memory.wait_to_join(body), name="join")
    await _turn()
    assert not joining.done()
    for size in short:
        memory.give_back(size)

    await joining
    memory.drop(body)
    assert 0 == memory.buffered_bytes


async def test_a_body_that_has_stalled_is_not_waited_for(tasks, monkeypatch):
    """It goes last when its bytes go on, behind those that were let before it."""
    monkeypatch.setattr(body_queue, "STALLED_S", 0.0)
    monkeypatch.setattr(body_memory, "_LOOK_AGAIN_S", 0.001)
    memory = a_memory()
    stalled, other = memory.begin(6 * MIB, 0), memory.begin(7 * MIB, 0)
    await memory.grow(stalled, 3 * MIB)
    await asyncio.sleep(0)
    growing = tasks.spawn(memory.grow(other, 5 * MIB), name="other")
    await growing
    waiting = tasks.spawn(memory.grow(stalled, 3 * MIB), name="stalled")
    await _turn()

    assert (False, True) == (waiting.done(), stalled.rank > other.rank)
    memory.drop(other)
    await waiting


async def test_a_body_without_a_length_is_a_long_one_once_it_is_no_short_one():
    """It counts in one share alone."""
    memory = a_memory()
    body = memory.begin(None, MIB)
    await memory.grow(body, SHORT_BYTES)
    was_long = body.is_long
    await memory.grow(body, 1)
    await memory.wait_to_join(body)
    memory.end(body)

    assert (False, True, SHORT_BYTES + 1) == (was_long, body.is_long, memory.buffered_bytes)
    memory.give_back(body.size)
    assert 0 == memory.buffered_bytes


async def test_short_bodies_wait_for_each_other_in_their_order(tasks):
    """Where their share and the rest are taken."""
    memory = a_memory(cap_bytes=SHORT_BYTES)
    memory.take_nowait(SHORT_BYTES)
    first, second = memory.begin(9, 0), memory.begin(None, MIB)
    growing = [tasks.spawn(memory.grow(each, 9), name="x") for each in (first, second)]
    await _turn()
    assert [False, False, False] == [memory.take_nowait(0), *(each.done() for each in growing)]
    memory.give_back(SHORT_BYTES)
    await asyncio.gather(*growing)

    assert (9, 9, 18) == (first.size, second.size, memory.buffered_bytes)


async def test_a_body_that_waited_in_vain_is_refused_and_lets_the_next_one_in(
    tasks, without_patience, monkeypatch
):
    """503: the app may try again."""
    memory = a_memory()
    memory.take_nowait(12 * MIB)
    long = tasks.spawn(_refusal(memory, 5 * MIB), name="long")
    await _turn()
    assert "limits.memory_bytes (16777216)" in await long

    assert MIB == await arrive(memory, MIB)
    assert 13 * MIB == memory.buffered_bytes


async def test_a_short_body_that_waited_in_vain_leaves_its_place(tasks, without_patience):
    """To the one behind it."""
    memory = a_memory(cap_bytes=10)
    memory.take_nowait(10)
    refused = tasks.spawn(_refusal(memory, 9), name="first")
    assert "limits.buffered_bytes (10)" in await refused
    memory.give_back(10)

    assert memory.take_nowait(10)


async def _refusal(memory: BodyMemory, size: int) -> str:
    with pytest.raises(Overloaded) as caught:
        await arrive(memory, size, pieces=1)
    return str(caught.value)


async def test_no_more_bodies_wait_than_their_sockets_may_hold(tasks):
    """Each has an eighth of a MiB in its socket's buffer, which nothing counts."""
    memory = a_memory()
    memory.take_nowait(15 * MIB)
    waiting = [tasks.spawn(arrive(memory, MIB), name="waiting") for _ in range(16)]
    await _turn()

    assert "limits.memory_bytes" in await _refusal(memory, MIB)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert 15 * MIB == memory.buffered_bytes


@pytest.mark.parametrize("granted", [False, True], ids=["while it waits", "as it is granted"])
@pytest.mark.parametrize("size", [9, MIB], ids=["short", "long"])
async def test_an_app_that_leaves_gives_its_room_back(tasks, granted, size):
    """No byte is lost to the others."""
    memory = a_memory(cap_bytes=8 * MIB)
    memory.take_nowait(8 * MIB)
    waiting = [tasks.spawn(arrive(memory, size, pieces=1), name="waiting") for _ in range(2)]
    await _turn()
    if granted:
        memory.give_back(8 * MIB)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert (0 if granted else 8 * MIB) == memory.buffered_bytes
    assert granted == memory.take_nowait(5 * MIB)


async def test_no_body_is_longer_than_can_be_held_beside_full_caches():
    """Twice: in pieces, and joined; nor than the cap."""
    budget = MemoryBudget(16 * MIB)
    budget.share("cache", keeps=0.25, at_most=0.25, is_cache=True)
    memory = BodyMemory(budget)

    assert 6 * MIB == memory.longest_bytes
    memory.use(MIB)
    assert MIB == memory.longest_bytes
    memory.use(None)
    assert 6 * MIB == memory.longest_bytes


async def test_a_raised_limit_lets_waiting_bodies_go_on(tasks, monkeypatch):
    """A changed config takes effect on those that wait."""
    monkeypatch.setattr(body_memory, "_LOOK_AGAIN_S", 0.001)
    budget = MemoryBudget(16 * MIB)
    memory = BodyMemory(budget)
    memory.take_nowait(15 * MIB)
    waiting = tasks.spawn(arrive(memory, 5 * MIB), name="waiting")
    await _turn()
    budget.resize(64 * MIB)

    assert 5 * MIB == await waiting

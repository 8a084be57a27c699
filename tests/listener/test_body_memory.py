"""Room for bodies: first come, first served, and never more than the limit."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.domain.errors import Overloaded
from sidecar.listener import body_memory
from sidecar.listener.body_memory import BodyMemory
from sidecar.runtime.lifecycle import Tasks


async def _turn() -> None:
    """Let whoever is ready run."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_room_is_taken_and_given_back():
    """Up to the limit and not a byte beyond it."""
    room = BodyMemory(10)

    assert (True, True, False) == (room.take_nowait(4), room.take_nowait(6), room.take_nowait(1))
    room.give_back(6)
    assert (True, 5) == (room.take_nowait(1), room.buffered_bytes)


async def test_who_waits_is_served_in_turn():
    """A small body does not slip past a large one, which could then wait for good."""
    room, tasks, order = BodyMemory(10), Tasks(), []

    async def wait(size: int) -> None:
        await room.take(size)
        order.append(size)

    room.take_nowait(8)
    waiting = [tasks.spawn(wait(9), name="large"), tasks.spawn(wait(1), name="small")]
    await _turn()
    assert ([], False) == (order, room.take_nowait(1))
    room.give_back(8)
    await asyncio.gather(*waiting)

    assert ([9, 1], 10) == (order, room.buffered_bytes)


async def test_a_body_that_waited_in_vain_is_refused_and_lets_the_next_one_in(monkeypatch):
    """503: the app may try again."""
    monkeypatch.setattr(body_memory, "WAIT_AT_MOST_S", 0.01)
    room, tasks = BodyMemory(10), Tasks()
    room.take_nowait(5)
    large = tasks.spawn(_refusal(room, 8), name="large")
    await _turn()
    monkeypatch.undo()
    small = tasks.spawn(room.take(5), name="small")

    assert "limits.buffered_bytes (10)" in await large
    await small
    assert 10 == room.buffered_bytes


async def _refusal(room: BodyMemory, size: int) -> str:
    with pytest.raises(Overloaded) as caught:
        await room.take(size)
    return str(caught.value)


async def test_what_never_fits_is_refused_at_once():
    """Waiting would not help."""
    room = BodyMemory(10)

    assert "limits.buffered_bytes (10)" in await _refusal(room, 11)
    assert 0 == room.buffered_bytes


@pytest.mark.parametrize(
    "granted", [False, True], ids=["while it waits", "in the moment it is granted"]
)
async def test_an_app_that_leaves_gives_its_room_back(granted):
    """No byte is lost to the others."""
    room, tasks = BodyMemory(10), Tasks()
    room.take_nowait(10)
    waiting = tasks.spawn(room.take(4), name="waiting")
    await _turn()
    if granted:
        room.give_back(10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert (0 if granted else 10) == room.buffered_bytes
    assert granted == room.take_nowait(10)

"""Long work lets all else go on."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from sidecar.runtime.steps import at_once, in_steps


async def test_others_go_on_between_the_steps_of_long_work():
    """One turn of the loop after each step."""
    seen: list[str] = []

    def work() -> Generator[None, None, int]:
        for _ in range(3):
            seen.append("step")
            yield
        return 7

    async def other() -> None:
        for _ in range(3):
            seen.append("other")
            await asyncio.sleep(0)

    result, _ = await asyncio.gather(in_steps(work()), other())
    assert result == 7
    assert seen == ["step", "other"] * 3


async def test_what_the_work_raises_is_raised():
    """Nothing is lost between the steps."""

    def work() -> Generator[None, None, int]:
        yield
        raise ValueError

    with pytest.raises(ValueError):
        await in_steps(work())


def test_who_cannot_wait_does_all_steps():
    """And gets the result."""

    def work() -> Generator[None, None, int]:
        yield
        yield
        return 7

    assert 7 == at_once(work())

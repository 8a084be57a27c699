"""Long work in steps, so that it holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Final, TypeVar

_T = TypeVar("_T")

_SLICE_S: Final = 0.002
"""So long others wait for steps that are done at a time."""


async def in_steps(work: Generator[None, None, _T]) -> _T:
    """Do work that yields after each of its steps, let all else go on between them, and return its
    result. Raises: what the work raises.
    """
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result
        await asyncio.sleep(0)


def at_once(work: Generator[None, None, _T]) -> _T:
    """Do all of it, and return its result, for who cannot wait. Raises: what the work raises."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result


async def in_slices(work: Generator[None, None, _T]) -> _T:
    """Do as `in_steps`, but as many steps at a time as take some milliseconds: for work whose steps
    may be many and short.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _SLICE_S
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result
        if loop.time() >= until_s:
            await asyncio.sleep(0)
            until_s = loop.time() + _SLICE_S

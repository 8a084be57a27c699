"""Long work in steps, so that it holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TypeVar

_T = TypeVar("_T")


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

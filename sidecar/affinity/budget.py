"""How long a call waits for the shared store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError


class StorePolicy(msgspec.Struct, frozen=True):
    """Settings of the shared store."""

    ttl_s: float
    budget_s: float
    max_entries: int
    is_sliding: bool = True
    has_near_cache: bool = True


async def within_budget(futures: Sequence[asyncio.Future[Any]], budget_s: float) -> list[Any]:
    """The replies, if all come within the budget; what is late comes for nobody.

    An error reply to one of several commands is returned in its place. Raises: TimeoutError, LinkDown; ResponseError
    where there is one command.
    """
    _, late = await asyncio.wait(futures, timeout=budget_s)
    if late:
        raise TimeoutError
    if len(futures) == 1:
        return [futures[0].result()]
    return [_result(future) for future in futures]


def _result(future: asyncio.Future[Any]) -> object:
    error = future.exception()
    if isinstance(error, ResponseError):
        return error
    return future.result()

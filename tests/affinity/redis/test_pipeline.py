"""Commands that were sent together: their replies, and what arrives between them."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ResponseError

from sidecar.affinity.redis.pipeline import LinkDown, Pipeline, reads_of
from sidecar.affinity.redis.scripts import COMPARE_AND_SET, REFRESH, SHAS


def pipeline(size: int, decode=list) -> Pipeline:
    return Pipeline(size, decode, asyncio.get_running_loop().create_future())


def refuse(replies: list[object]) -> object:
    raise ResponseError(str(replies))


async def test_the_last_reply_ends_a_pipeline():
    """All of them are decoded together."""
    two = pipeline(2)

    assert [False, True] == [two.add(1), two.add(2)]
    assert [1, 2] == await two.reply


async def test_an_invalidation_between_the_replies_comes_again_behind_the_last():
    """One that comes before the first is not about them."""
    happened: list[str] = []
    two = pipeline(2, lambda _: happened.append("decoded"))
    two.overtake(lambda: happened.append("too early"))
    two.add(1)
    two.overtake(lambda: happened.append("invalidated"))
    two.add(2)

    assert ["decoded", "invalidated"] == happened


async def test_a_reply_that_is_an_error_is_the_callers():
    """And one that nobody waits for is not missed."""
    one = pipeline(1, refuse)
    one.add("x")
    with pytest.raises(ResponseError):
        await one.reply
    lost = pipeline(1)
    lost.fail(LinkDown())
    lost.fail(LinkDown())

    assert isinstance(lost.reply.exception(), LinkDown)


async def test_a_caller_that_went_away_changes_nothing():
    """The replies are decoded all the same: they say what Redis has."""
    decoded: list[list[object]] = []
    one = pipeline(1, decoded.append)
    one.reply.cancel()
    one.add(1)

    assert [[1]] == decoded


def test_a_key_is_read_with_its_time():
    """As many keys as are given; a value that is too long to be a pin is not fetched whole."""
    assert [
        ("GETRANGE", "a", 0, 8191), ("PTTL", "a"), ("GETRANGE", "b", 0, 8191), ("PTTL", "b"),
    ] == reads_of("a", "b")  # fmt: skip


def test_every_script_has_its_name():
    """Redis knows a script by the hash of its text."""
    assert [40, 40] == [len(SHAS[script]) for script in (COMPARE_AND_SET, REFRESH)]

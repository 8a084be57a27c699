"""Replies of commands that were sent together, and invalidations that come between them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ResponseError

from sidecar.affinity.redis.pipeline import LinkDown, Pipeline, reads_of


def _pipeline(size: int, decode: Any = list) -> Pipeline:
    return Pipeline(size, decode, asyncio.get_running_loop().create_future())


def test_each_key_is_read_with_its_time_to_live():
    """In this order, which the readers of the replies count on."""
    assert [("GETRANGE", "a", 0, 4095), ("PTTL", "a")] == reads_of("a")
    assert 4 == len(reads_of("a", "b"))


async def test_the_last_reply_ends_it():
    """What is decoded of all replies is the caller's."""
    pipeline = _pipeline(2)

    assert (False, True) == (pipeline.add(b"a"), pipeline.add(b"b"))
    assert [b"a", b"b"] == await pipeline.reply


async def test_an_error_of_the_decoder_is_the_callers():
    """It is raised where the reply is awaited."""

    def refuse(replies: list[Any]) -> None:
        raise ResponseError("NOPERM")

    pipeline = _pipeline(1, refuse)
    pipeline.add(b"a")

    with pytest.raises(ResponseError, match="NOPERM"):
        await pipeline.reply


async def test_a_caller_that_has_gone_away_changes_nothing():
    """The replies are decoded all the same, since they say something of keys."""
    decoded: list[Any] = []
    pipeline = _pipeline(1, decoded.append)
    pipeline.reply.cancel()

    assert pipeline.add(b"a")
    assert [[b"a"]] == decoded


async def test_an_invalidation_between_the_replies_is_replayed_behind_them():
    """One that came before the first reply is about nothing that these replies say."""
    heard: list[str] = []
    pipeline = _pipeline(2, lambda _: heard.append("decoded"))
    pipeline.overtake(lambda: heard.append("too early"))
    pipeline.add(b"a")
    pipeline.overtake(lambda: heard.append("invalidated"))
    pipeline.add(b"b")

    assert ["decoded", "invalidated"] == heard


async def test_a_connection_that_is_lost_fails_it_once():
    """A second failure finds it ended."""
    pipeline = _pipeline(2)
    pipeline.fail(LinkDown())
    pipeline.fail(ResponseError())

    with pytest.raises(LinkDown):
        await pipeline.reply

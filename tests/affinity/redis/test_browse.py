"""Pins as operators look at them, over a connection that is played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis.exceptions import ResponseError

from sidecar.affinity.redis.browse import RedisPins
from sidecar.affinity.redis.pipeline import Command, LinkDown
from sidecar.affinity.session import plain_key
from sidecar.affinity.store import StoreUnreachable
from sidecar.affinity.value import encode
from sidecar.domain.decision import Binding

KEY = plain_key("acme", "s1")
RAW = encode(Binding("openai/gpt-4o"))


def _played(answer: Callable[[Command], Any], forgotten: list[str] | None = None) -> RedisPins:
    def submit(commands: Sequence[Command], decode: Callable[[list[Any]], Any]) -> Any:
        reply = asyncio.get_running_loop().create_future()
        reply.set_result(decode([answer(command) for command in commands]))
        return reply

    return RedisPins(submit, (forgotten if forgotten is not None else []).append)


def _one_pin(command: Command) -> Any:
    replies = {"SCAN": [b"0", [KEY.encode()] * 2], "GETRANGE": RAW, "PTTL": 5000, "DEL": 1}
    return replies[str(command[0])]


async def test_a_page_has_pins_with_what_is_left_of_their_time():
    """The last page has no cursor."""
    page = await _played(_one_pin).page("acme", None, 10)

    assert None is page.cursor
    assert {(KEY, 5.0)} == {(pin.key, pin.left_s) for pin in page.pins}


async def test_a_key_that_scan_returns_twice_is_one_pin():
    """SCAN may do so while the table grows."""
    assert [KEY] == [pin.key for pin in await _played(_one_pin).of_session("acme", "s1")]


async def test_what_is_dropped_is_forgotten_here_first():
    """A call in between must not find it in the near cache."""
    forgotten: list[str] = []

    assert 1 == await _played(_one_pin, forgotten).drop("acme", "s1")
    assert [KEY] == forgotten


@pytest.mark.parametrize("error", [ResponseError("NOPERM"), None])
async def test_an_operator_is_told_that_redis_does_not_answer(error):
    """A refusal, or no connection."""
    if error is not None:
        pins = _played(lambda _: error)
    else:

        def submit(*_: Any) -> Any:
            reply = asyncio.get_running_loop().create_future()
            reply.set_exception(LinkDown())
            return reply

        pins = RedisPins(submit, lambda _: None)

    with pytest.raises(StoreUnreachable):
        await pins.page(None, None, 10)

"""A body that is looked at before it is read. No socket."""

from __future__ import annotations

import asyncio
import time

import pytest

from sidecar.domain.errors import UpstreamCut
from sidecar.http1.response import PIECES_AT_MOST, UpstreamResponse


class _Source:
    """The connection, as far as its response needs it."""

    def __init__(self) -> None:
        self.expected = 0
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    head_memory = None

    def expect_body(self) -> None:
        self.expected += 1

    def drained(self) -> None:
        """Nothing was paused."""


def _response(*pieces: bytes) -> tuple[UpstreamResponse, _Source]:
    source = _Source()
    response = UpstreamResponse(source, asyncio.get_running_loop())
    for piece in pieces:
        response.feed(piece)
    return response, source


async def test_what_was_looked_at_can_still_be_read():
    """In one piece, once it was joined; and nothing is joined where there is one piece."""
    first, second = b"a" * 3, b"b" * 3
    response, _ = _response(first, second)

    assert (b"aaabbb", b"aaabbb") == (response.peek(), response.peek())
    assert (b"aaabbb", 0, b"") == (await response.read(), response.buffered_bytes, response.peek())
    response.feed(second)
    assert response.peek() is second


async def test_more_is_waited_for_until_it_comes():
    """Under the idle timeout of the exchange; a wake without bytes is none."""
    response, source = _response(b"a")
    loop = asyncio.get_running_loop()

    def feed() -> None:
        response.feed(b"b")
        response.wake()

    def wake_for_nothing() -> None:
        response.wake()
        loop.call_soon(feed)

    loop.call_soon(wake_for_nothing)
    assert await response.wait_for_more(1, response.in_s(60.0))
    assert (b"ab", 2) == (response.peek(), source.expected)
    assert await response.wait_for_more(1, 0.0)


async def test_the_end_is_as_good_as_more():
    """There is nothing left to wait for."""
    response, _ = _response(b"a")
    response.is_complete = True

    assert await response.wait_for_more(1, response.in_s(60.0))


async def test_more_is_not_waited_for_for_ever():
    """The time is told by the loop's clock; the connection stays as it is."""
    response, source = _response(b"a")

    assert not await response.wait_for_more(1, response.in_s(0.02))
    assert (False, b"a") == (source.is_aborted, await response.read())
    assert not await response.wait_for_more(0, 0.0)


@pytest.mark.parametrize("comes", [True, False])
async def test_more_is_waited_for_a_little_longer_where_the_loop_stood_still(comes):
    """It may be in the socket. Late a second time, it does not come."""
    response, _ = _response(b"a")
    loop = asyncio.get_running_loop()

    def feed() -> None:
        response.feed(b"b")
        response.wake()

    def stand_still() -> None:
        time.sleep(0.05)  # sleep: this is what stands still
        if comes:
            loop.call_later(0.005, feed)

    loop.call_soon(stand_still)
    assert comes == await response.wait_for_more(1, response.in_s(0.01))


async def test_a_connection_that_fails_while_more_is_waited_for_is_told():
    """Whatever had come before."""
    response, _ = _response(b"a")
    asyncio.get_running_loop().call_soon(response.fail, UpstreamCut, "closed", None)

    with pytest.raises(UpstreamCut, match="closed"):
        await response.wait_for_more(1, response.in_s(60.0))


async def test_a_cancelled_wait_drops_the_connection():
    """The app has left: nobody waits for the provider's answer."""
    response, source = _response(b"a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(response.wait_for_more(1, response.in_s(60.0)), 0.01)

    assert source.is_aborted


async def test_other_work_is_waited_for_until_the_response_wakes():
    """The work is cancelled then, and can be done again; a wake afterwards interrupts nothing."""
    response, _ = _response()
    loop = asyncio.get_running_loop()
    gate: asyncio.Future[bytes] = loop.create_future()

    async def work() -> bytes:
        return await asyncio.shield(gate)

    loop.call_soon(response.wake)
    loop.call_soon(response.wake)
    assert await response.unless_woken(work) is None
    loop.call_soon(gate.set_result, b"a")
    assert b"a" == await response.unless_woken(work)
    response.wake()
    await asyncio.sleep(0)


@pytest.mark.parametrize("kind", [TimeoutError, ValueError])
async def test_what_other_work_raises_is_raised(kind):
    """A timeout of its own is no wake."""
    response, _ = _response()

    async def work() -> bytes:
        raise kind

    with pytest.raises(kind):
        await response.unless_woken(work)


async def test_a_body_in_tiny_pieces_takes_no_more_than_its_bytes():
    """While nobody reads them: 32,000 pieces of two bytes would be 1.3 MiB of objects."""
    response = UpstreamResponse(_Source(), asyncio.get_running_loop())
    for number in range(32_000):
        response.feed(b"%02d" % (number % 100))
    pieces = len(response.pieces)

    assert pieces <= PIECES_AT_MOST
    assert (64_000, b"".join(b"%02d" % n for n in range(100)) * 320) == (
        response.buffered_bytes,
        await response.read(),
    )

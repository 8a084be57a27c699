"""Bodies: taken whole where they came with the head, awaited where they did not, refused where they
are too much.
"""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from sidecar.domain import errors
from sidecar.listener.body_memory import BodyMemory
from sidecar.listener.body_reader import BodyReader, parse_error_of
from sidecar.runtime.memory_budget import MemoryBudget
from tests.listener.fakes import FakeRequest

LIMIT_BYTES = 8
NONE = b""


def a_reader(*, body_s: float = 30.0, budget_bytes: int = 100) -> BodyReader:
    """Bodies of up to 8 bytes."""
    return BodyReader(BodyMemory(MemoryBudget(1000), budget_bytes), LIMIT_BYTES, body_s)


async def read_body(request: FakeRequest) -> bytes:
    """The body, taken or read."""
    reader = a_reader()
    body = reader.read_nowait(request, NONE)
    return await reader.read(request) if body is None else body


@pytest.mark.parametrize("body", [b"", b"12345678"])
async def test_a_body_that_came_with_its_head_is_taken_at_once(body):
    """Up to the limit and with it."""
    request = FakeRequest(body=body)

    assert body == a_reader().read_nowait(request, NONE)


async def test_a_body_that_has_not_come_is_none():
    """Nobody waits for it here."""
    assert a_reader().read_nowait(FakeRequest(body=None), NONE) is None


@pytest.mark.parametrize("body", [b"123456789", None], ids=["here", "to come"])
async def test_a_compressed_body_is_refused_before_it_is_read(body):
    """It could not be read, and must not be forwarded unread."""
    request = FakeRequest(body=body)
    with pytest.raises(errors.UnsupportedEncoding):
        a_reader().read_nowait(request, b"gzip")


async def test_a_body_over_the_limit_is_refused_though_it_is_here():
    """It is not held any longer than needed."""
    with pytest.raises(errors.BodyTooLarge, match=r"limits\.body_bytes \(8\)"):
        a_reader().read_nowait(FakeRequest(body=b"123456789"), NONE)


async def test_an_announced_length_over_the_limit_is_refused_unread():
    """And no 100 asks for it."""
    headers = [("Content-Length", "9"), ("Expect", "100-continue")]
    request = FakeRequest(body=None, headers=headers)
    with pytest.raises(errors.BodyTooLarge):
        await read_body(request)

    assert b"" == request.written


@pytest.mark.parametrize(
    ("pieces", "is_too_large"), [([b"1234", b"5678"], False), ([b"1234", b"56789"], True)]
)
async def test_a_body_without_a_length_is_counted_while_it_comes(pieces, is_too_large):
    """Chunks announce nothing."""
    request = FakeRequest(body=None)
    for piece in pieces:
        request.content.feed_data(piece)
    request.content.feed_eof()

    if is_too_large:
        with pytest.raises(errors.BodyTooLarge):
            await read_body(request)
    else:
        assert b"12345678" == await read_body(request)


@pytest.mark.parametrize(
    ("expect", "said"),
    [("100-continue", b"HTTP/1.1 100 Continue\r\n\r\n"), ("100-Continue", None), ("x", b"")],
)
async def test_100_continue_is_said_to_who_waits_for_it(expect, said):
    """In any case, and only to that expectation."""
    request = FakeRequest(body=None, headers=[("Content-Length", "2"), ("Expect", expect)])
    request.content.feed_data(b"ab")
    request.content.feed_eof()
    await read_body(request)

    assert (b"HTTP/1.1 100 Continue\r\n\r\n" if said is None else said) == request.written


async def test_http_10_is_never_told_to_go_on():
    """It would take an interim answer for the answer."""
    request = FakeRequest(body=None, headers=[("Content-Length", "2"), ("Expect", "100-continue")])
    request.version = (1, 0)
    request.content.feed_data(b"ab")
    request.content.feed_eof()

    assert (b"ab", b"") == (await read_body(request), request.written)


async def test_an_app_that_is_gone_is_told_nothing():
    """Its transport is None."""
    request = FakeRequest(body=None, headers=[("Expect", "100-continue")])
    request.transport = None
    request.content.feed_eof()

    assert b"" == await read_body(request)


async def test_framing_that_breaks_inside_the_body_is_the_apps_mistake():
    """A chunk size that is no number."""
    request = FakeRequest(body=None)
    request.content.set_exception(web.RequestPayloadError("secret bytes"))
    with pytest.raises(errors.MalformedRequest) as caught:
        await read_body(request)

    assert "secret" not in caught.value.message


async def test_an_app_that_leaves_inside_its_body_is_no_mistake():
    """What aiohttp reports of it goes on as it is."""
    request = FakeRequest(body=None)
    request.content.set_exception(ConnectionResetError("gone"))
    with pytest.raises(ConnectionResetError):
        await read_body(request)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LineTooLong(b"sk-secret", 100), errors.HeadersTooLarge),
        (BadHttpMessage("Too many headers received"), errors.HeadersTooLarge),
        (BadHttpMessage("sk-secret"), errors.MalformedRequest),
        (None, errors.MalformedRequest),
    ],
)
def test_the_parsers_complaints_are_put_into_our_words(error, kind):
    """Its own repeat the bytes."""
    refusal = parse_error_of(error)

    assert (kind, False) == (type(refusal), "sk-secret" in refusal.message)


async def test_a_body_waits_until_there_is_room():
    """Though all of it has arrived."""
    reader, request = (
        a_reader(budget_bytes=8),
        FakeRequest(body=b"1234", headers=[("Content-Length", "4")]),
    )
    reader.memory.take_nowait(5)
    assert reader.read_nowait(request, NONE) is None
    asyncio.get_running_loop().call_soon(reader.memory.give_back, 5)

    assert (b"1234", 4) == (await reader.read(request), reader.memory.buffered_bytes)


async def test_room_is_given_back_where_no_body_comes_of_it():
    """Too long, too slow, broken: the budget is as it was."""
    reader = a_reader(body_s=0.01)
    long, slow, broken = (FakeRequest(body=None) for _ in range(3))
    long.content.feed_data(b"1234")
    long.content.feed_data(b"56789")
    slow.content.feed_data(b"1234")
    broken.content.set_exception(web.RequestPayloadError())
    for request, kind in (
        (long, errors.BodyTooLarge),
        (slow, errors.RequestTimeout),
        (broken, errors.MalformedRequest),
    ):
        with pytest.raises(kind):
            await reader.read(request)

    assert 0 == reader.memory.buffered_bytes


async def test_a_long_body_is_held_once_while_it_comes():
    """Its pieces grow into the body, and are not joined to a second one at its end."""
    size, piece_bytes = 8 << 20, 64 << 10
    reader = BodyReader(BodyMemory(MemoryBudget(8 * size), 4 * size), size, 30.0)
    request = FakeRequest(body=None, headers=[("Content-Length", str(size))])

    async def send() -> None:
        for _ in range(size // piece_bytes):
            request.content.feed_data(bytes(piece_bytes))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        request.content.feed_eof()

    tracemalloc.start()
    try:
        body, _ = await asyncio.gather(reader.read(request), send())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(body) == size
    assert most < 1.5 * size

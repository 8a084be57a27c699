"""Bodies: taken whole where they came with the head, awaited where they did not, refused where they
are too much.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tracemalloc
import zlib

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from sidecar.domain import errors
from sidecar.listener import body_memory
from sidecar.listener.body_memory import BodyMemory
from sidecar.listener.body_queue import ArrivingBody
from sidecar.listener.body_reader import BodyReader, parse_error_of
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.memory_budget import MemoryBudget
from sidecar.wire.content_coding import STEP_BYTES
from tests.listener.fakes import FakeRequest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT_BYTES = 8
NONE = b""


def a_reader(
    *, body_s: float = 30.0, budget_bytes: int = 100, at_most: int = LIMIT_BYTES
) -> BodyReader:
    """Bodies of up to 8 bytes."""
    return BodyReader(BodyMemory(MemoryBudget(1000), budget_bytes), at_most, body_s)


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


@pytest.mark.parametrize("body", [b"12345678", None], ids=["here", "to come"])
async def test_a_compressed_body_is_not_taken_as_it_is(body):
    """It is decoded first, a step at a time."""
    assert a_reader().read_nowait(FakeRequest(body=body), b"gzip") is None


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzip.compress(b"12345678")),
        (b"deflate", zlib.compress(b"12345678")),
        (b"zstd", zstd.compress(b"12345678")),
    ],
    ids=["gzip", "deflate", "zstd"],
)
@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_compressed_body_is_decoded_and_counts_decoded(coding, packed, is_announced):
    """Its memory is that of what was made of it."""
    headers = [("Content-Length", str(len(packed)))] if is_announced else []
    reader, request = a_reader(at_most=64), FakeRequest(body=packed, headers=headers)

    assert b"12345678" == await reader.read(request, coding)
    assert 8 == reader.memory.buffered_bytes


@pytest.mark.parametrize(
    ("coding", "packed", "kind", "said"),
    [
        (b"br", b"\x8b\x03\x80text\x03", errors.UnsupportedEncoding, "gzip, deflate and zstd are"),
        (b"gzip, gzip", b"", errors.UnsupportedEncoding, "one of them"),
        (b"gzip", b"\x1f\x8b", errors.InvalidBody, "ends too early"),
        (b"gzip", b"{}", errors.InvalidBody, "cannot be decoded as gzip"),
        (b"gzip", gzip.compress(b"x" * 65), errors.BodyTooLarge, "the decompressed request body"),
        (b"gzip", gzip.compress(b"") * 4, errors.BodyTooLarge, "the request body is longer"),
    ],
    ids=["brotli", "twice", "cut", "plain", "too long", "too long as it came"],
)
async def test_what_cannot_be_decoded_is_refused_and_holds_nothing(coding, packed, kind, said):
    """By its coding, its bytes, its length decoded, or its length as it came."""
    reader, request = a_reader(at_most=64), FakeRequest(body=packed)
    with pytest.raises(kind, match=said):
        await reader.read(request, coding)

    assert 0 == reader.memory.buffered_bytes


async def test_a_coding_that_is_not_served_is_refused_unread():
    """And no 100 asks for the body."""
    headers = [("Content-Length", "4"), ("Expect", "100-continue")]
    request = FakeRequest(body=None, headers=headers)
    with pytest.raises(errors.UnsupportedEncoding):
        await a_reader().read(request, b"br")

    assert b"" == request.written


@pytest.mark.parametrize(
    ("coding", "pack"),
    [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"zstd", zstd.compress)],
)
async def test_a_bomb_takes_no_more_than_a_body_may_have(coding, pack):
    """1:1000 and worse, all of it here: it is given up at the limit, not at its end."""
    limit, bomb = 4 << 20, pack(bytes(64 << 20))
    memory = BodyMemory(MemoryBudget(64 << 20))
    reader, request = BodyReader(memory, limit, 30.0), FakeRequest(body=bomb)
    most, grow = 0, memory.grow

    async def watched(body: ArrivingBody, size: int) -> None:
        nonlocal most
        await grow(body, size)
        most = max(most, memory.buffered_bytes)

    memory.grow = watched  # type: ignore[method-assign]
    tracemalloc.start()
    try:
        with pytest.raises(errors.BodyTooLarge):
            await reader.read(request, coding)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (limit, 0) == (most, memory.buffered_bytes)
    assert peak < 1.5 * limit


async def test_others_go_on_while_a_body_is_decoded():
    """Between any two steps."""
    reader = BodyReader(BodyMemory(MemoryBudget(128 << 20)), 32 << 20, 30.0)
    request = FakeRequest(body=gzip.compress(bytes(32 << 20)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = Tasks().spawn(count(), name="count")
    body = await reader.read(request, b"gzip")
    counting.cancel()

    assert 32 << 20 == len(body)
    assert turns >= (32 << 20) / STEP_BYTES - 1


async def test_what_is_decoded_waits_for_room(monkeypatch):
    """A step at a time; the rest of the body stays compressed meanwhile, and gives up as others do."""
    monkeypatch.setattr(body_memory, "WAIT_AT_MOST_S", 0.01)
    memory = BodyMemory(MemoryBudget(64 << 20), 3 * STEP_BYTES)
    reader, packed = BodyReader(memory, 2 * STEP_BYTES, 30.0), gzip.compress(bytes(2 * STEP_BYTES))
    assert memory.take_nowait(2 * STEP_BYTES)
    with pytest.raises(errors.Overloaded):
        await reader.read(FakeRequest(body=packed), b"gzip")
    assert 2 * STEP_BYTES == memory.buffered_bytes
    monkeypatch.setattr(body_memory, "WAIT_AT_MOST_S", 5.0)
    asyncio.get_running_loop().call_soon(memory.give_back, 2 * STEP_BYTES)

    assert 2 * STEP_BYTES == len(await reader.read(FakeRequest(body=packed), b"gzip"))


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

"""The page `/tail`: lines as they come, until one side ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from sidecar.listener.operators import OperatorAccess, Operators
from sidecar.listener.tail_page import TailPage
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request


class _Lines:
    """Lines that were written down before."""

    def __init__(self, *pieces: bytes | None) -> None:
        self.pieces = list(pieces)
        self.has_left = asyncio.Event()

    async def read(self, within_s: float) -> bytes | None:
        if not self.pieces:
            await asyncio.Event().wait()
        return self.pieces.pop(0)


class _Feed:
    def __init__(self, lines: _Lines | None) -> None:
        self.lines = lines
        self.wishes: Mapping[str, str] = {}

    def follow(self, wishes: Mapping[str, str]) -> _Lines | None:
        if "bad" in wishes:
            raise ValueError("calls cannot be chosen by bad")
        self.wishes = wishes
        return self.lines

    def unfollow(self, lines: _Lines) -> None:
        lines.has_left.set()


def _handler(feed: _Feed):
    return Operators(TailPage(feed.follow, feed.unfollow).pages(), OperatorAccess()).handle


async def _ask(feed: _Feed, target: str, method: str = "GET"):
    async with running_pages(_handler(feed)) as running:
        return await exchange(running.port, raw_request(method, target))


async def test_lines_come_until_the_sidecar_ends():
    """Chosen by the query; what brings nothing is no line."""
    feed = _Feed(_Lines(b'{"a":1}\n', b"", b'{"a":2}\n{"a":3}\n', None))
    reply = await _ask(feed, "/tail?status=5xx&route=code")

    assert (200, b'{"a":1}\n{"a":2}\n{"a":3}\n') == (reply.status, reply.body)
    assert ("application/x-ndjson", "no-store") == (
        reply.header("content-type"),
        reply.header("cache-control"),
    )
    assert {"status": "5xx", "route": "code"} == feed.wishes
    assert feed.lines is not None
    assert feed.lines.has_left.is_set()


async def test_a_reader_that_takes_nothing_loses_its_place():
    """A terminal that was suspended, a session that was lost: others want to look too."""
    feed = _Feed(_Lines(*(b"x" * 1_000_000 for _ in range(64))))
    page = TailPage(feed.follow, feed.unfollow, stalled_s=0.05)
    async with running_pages(Operators(page.pages(), OperatorAccess()).handle) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
        writer.write(raw_request("GET", "/tail"))
        assert feed.lines is not None
        async with asyncio.timeout(10):
            await feed.lines.has_left.wait()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(64_000_000)
        writer.close()


async def test_a_reader_that_leaves_makes_room():
    """At once, also where no call ends."""
    feed = _Feed(_Lines(b"{}\n"))
    async with running_pages(_handler(feed)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(raw_request("GET", "/tail"))
        assert b"{}\n" in await reader.readuntil(b"{}\n")
        writer.close()
        assert feed.lines is not None
        async with asyncio.timeout(10):
            await feed.lines.has_left.wait()


@pytest.mark.parametrize(
    ("lines", "target", "status", "why"),
    [
        (None, "/tail", 503, "there are enough readers; one of them has to leave first"),
        (_Lines(), "/tail?bad=1", 400, "calls cannot be chosen by bad"),
    ],
)
async def test_a_reader_that_cannot_be_served_is_told_why(lines, target, status, why):
    """As JSON, like all of these pages."""
    reply = await _ask(_Feed(lines), target)

    assert (status, {"error": why}) == (reply.status, reply.json())


async def test_head_says_only_that_the_page_is_there():
    """It does not wait for calls."""
    feed = _Feed(_Lines())
    reply = await _ask(feed, "/tail", "HEAD")

    assert (200, b"") == (reply.status, reply.body)
    assert feed.lines is not None
    assert feed.lines.has_left.is_set()

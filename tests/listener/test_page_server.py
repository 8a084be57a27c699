"""What a peer may hold of the admin port and of the operators' listener."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest
from aiohttp import web

from sidecar.listener.page_server import PageConnection, PageLimits
from sidecar.runtime.lifecycle import Tasks
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def _page(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=f"{request.method} {len(await request.read())}")


def _status(received: bytes) -> str:
    return received.partition(b"\r\n")[0].decode()


async def test_requests_follow_each_other_on_one_connection():
    """Scrapes come every few seconds."""
    async with running_pages(_page) as pages:
        reader, writer = await asyncio.open_connection("127.0.0.1", pages.port)
        seen = []
        for _ in range(3):
            writer.write(GET)
            seen.append(await reader.readuntil(b"GET 0"))
        writer.close()

    assert ["HTTP/1.1 200 OK"] * 3 == [_status(each) for each in seen]


@pytest.mark.parametrize(
    "sent",
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 4000 + b"\r\nX-B: ", b"b" * 5000),
        (b"GET /" + b"a" * 9000,),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: a\r\n" * 1200 + b"\r\n",),
    ],
)
async def test_a_head_of_more_than_8_kib_is_refused(sent):
    """In one piece or in many."""
    async with running_pages(_page) as pages:
        received = await pages.send(*sent)

    assert "HTTP/1.1 431 Request Header Fields Too Large" == _status(received)


async def test_a_head_of_8_kib_is_served_in_whatever_pieces_it_comes():
    """Its end may be cut anywhere; empty lines before it are no part of it."""
    start, end = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\nX-A: ", b"\r\n\r\n"
    fill = b"a" * (8192 - len(start) - len(end))
    async with running_pages(_page) as pages:
        seen = [
            await pages.send(*pieces)
            for pieces in (
                (start + fill + end,),
                (b"\r\n\r\n" + start + fill + end,),
                (start + fill + b"\r", b"\n\r", b"\n"),
                (start, fill, end),
            )
        ]
        long = await pages.send(start + fill + b"a" + end)

    assert ["HTTP/1.1 200 OK"] * 4 == [_status(each) for each in seen]
    assert "HTTP/1.1 431 Request Header Fields Too Large" == _status(long)


async def test_silent_peers_are_not_waited_for_forever():
    """Neither before a first request, nor inside one, nor behind one, nor between empty lines."""
    limits = PageLimits(head_s=0.05, keepalive_s=0.2)
    async with running_pages(_page, limits) as pages:
        ends = [await pages.send(sent) for sent in (b"", b"GET /li", GET, b"\r\n\r\n")]

    assert ["", "HTTP/1.1 408 Request Timeout", "HTTP/1.1 200 OK", ""] == list(map(_status, ends))


async def test_a_head_that_comes_drop_by_drop_is_late_all_the_same():
    """Each drop gives no new time."""
    async with running_pages(_page, PageLimits(head_s=0.1)) as pages:
        reader, writer = await asyncio.open_connection("127.0.0.1", pages.port)
        received = b""
        writer.write(b"GET / HTTP/1.1\r\nX-A: ")
        async with asyncio.timeout(5):
            while not received:
                writer.write(b"a")
                with contextlib.suppress(TimeoutError):
                    received = await asyncio.wait_for(reader.readline(), 0.01)
        writer.close()

    assert "HTTP/1.1 408 Request Timeout" == _status(received)


async def test_many_who_hold_connections_keep_no_probe_out():
    """The one that has waited longest makes room."""
    async with running_pages(_page, PageLimits(connections=3)) as pages:
        held = [await asyncio.open_connection("127.0.0.1", pages.port) for _ in range(5)]
        reply = await exchange(pages.port, raw_request("GET", "/"))
        async with asyncio.timeout(5):
            ended = [await reader.read() for reader, _ in held[:2]]
        count = len(pages.server.connections)
        for _, writer in held:
            writer.close()

    assert (200, [b"", b""], True) == (reply.status, ended, count <= 3)


async def test_where_all_connections_are_at_work_a_new_one_is_closed():
    """And served again once one of them has ended."""
    going, started = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/slow":
            started.release()
            await going.wait()
        return web.Response()

    async with running_pages(slow, PageLimits(connections=2)) as pages:
        tasks, slow_one = Tasks(), LAST.replace(b"/ ", b"/slow ", 1)
        calls = [tasks.spawn(pages.send(slow_one), name="call") for _ in "ab"]
        for _ in calls:
            await started.acquire()
        refused = await pages.send(b"")
        going.set()
        served = [_status(await call) for call in calls]
        again = await pages.send(LAST)

    assert (b"", ["HTTP/1.1 200 OK"] * 2) == (refused, served)
    assert "HTTP/1.1 200 OK" == _status(again)


async def test_requests_in_one_piece_are_not_served_behind_each_other():
    """The first one is, and its body with it."""
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    async with running_pages(_page) as pages:
        seen = [
            await pages.send(*sent)
            for sent in ((GET * 500,), (post[:-3], b"a", b"bc"), (post + GET,), (post * 2,))
        ]

    assert [b"GET 0", b"POST 3", b"POST 3", b"POST 3"] == [
        each.rpartition(b"\r\n")[2] for each in seen
    ]


async def test_what_comes_behind_a_request_is_not_kept():
    """A peer that sends on and on fills no memory; its connection ends with the response."""
    going, started = asyncio.Event(), asyncio.Event()

    async def slow(_: web.BaseRequest) -> web.StreamResponse:
        started.set()
        await going.wait()
        return web.Response(text="x")

    async with running_pages(slow) as pages:
        reader, writer = await asyncio.open_connection("127.0.0.1", pages.port)
        writer.write(GET)
        await started.wait()
        for _ in range(100):
            writer.write(GET * 100)
            await writer.drain()
        for _ in range(9):  # some of it is read
            await asyncio.sleep(0)
        going.set()
        async with asyncio.timeout(5):
            received = await reader.read()
        writer.close()

    assert 1 == received.count(b"HTTP/1.1 200 OK")


async def test_the_handler_of_a_peer_that_leaves_ends():
    """A page that streams holds nothing for nobody."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def endless(_: web.BaseRequest) -> web.StreamResponse:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with running_pages(endless) as pages:
        _, writer = await asyncio.open_connection("127.0.0.1", pages.port)
        writer.write(GET)
        await started.wait()
        writer.close()
        async with asyncio.timeout(5):
            await ended.wait()

    assert [] == pages.server.connections


MALFORMED = [
    b"GET http://[bad/livez HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nContent-Length: s3cret\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nX-A: s3cret\x00\r\n\r\n",
    b"s3cret\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", MALFORMED)
async def test_what_is_no_request_is_not_written_into_the_log(request_bytes, caplog):
    """Any peer may send it, as often as it likes, and credentials stand in it."""
    caplog.set_level(logging.DEBUG)
    async with running_pages(_page) as pages:
        received = await pages.send(request_bytes)

    assert b"400" == received.split()[1]
    assert [] == [
        record for record in caplog.records if record.name.startswith(("aiohttp", "sidecar"))
    ]


async def test_a_page_that_fails_is_told(caplog):
    """That is our bug."""

    async def broken(_: web.BaseRequest) -> web.StreamResponse:
        raise RuntimeError("no page today")

    async with running_pages(broken) as pages:
        received = await pages.send(LAST)

    assert (b"500", True) == (received.split()[1], "no page today" in caplog.text)


async def test_a_connection_that_never_was_ends_quietly():
    """It is refused before it has sent anything."""
    async with running_pages(_page, PageLimits(connections=0)) as pages:
        received = await pages.send(GET)

    assert b"" == received


def test_connections_use_public_names_of_aiohttp_only():
    """What it keeps for itself does not collide with aiohttp's own slots."""
    inherited = {name for base in PageConnection.__mro__[1:] for name in dir(base)}

    assert set() == set(PageConnection.__slots__) & inherited

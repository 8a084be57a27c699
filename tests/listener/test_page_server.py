"""What a peer may hold of the admin port and of the operators' listener."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

import pytest
from aiohttp import web

from sidecar.listener.page_room import PageLimits
from sidecar.listener.page_server import PageConnection, PageServer
from sidecar.listener.server import bind, port_of
from sidecar.runtime.lifecycle import Tasks
from tests.listener.pages import RunningPages, running_pages
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


async def test_a_request_that_a_late_process_has_not_read_keeps_its_place():
    """However long ago its connection was made: a probe is not closed for what it did not do."""
    async with running_pages(_page, PageLimits(connections=1, silent_s=0)) as pages:
        client = socket.create_connection(("127.0.0.1", pages.port))
        while not pages.server.connections:
            await asyncio.sleep(0)
        client.send(LAST)  # and nothing is read before the next line, in this very turn
        (connection,) = pages.server.connections
        assert isinstance(connection, PageConnection)
        seen = connection.is_silent, pages.server.room.make_room()
        received = await asyncio.to_thread(client.recv, 100)
        client.close()

    assert ((False, False), "HTTP/1.1 200 OK") == (seen, _status(received))
    assert connection.is_silent, "it has ended"


async def test_where_all_connections_are_at_work_a_new_one_waits():
    """And is served once one of them has ended: nothing that a probe sends is refused."""
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
        late = tasks.spawn(pages.send(LAST), name="late")
        await asyncio.sleep(0.05)  # sleep: that it is not served can only be seen over time
        waits = not late.done()
        going.set()
        served = [_status(await call) for call in (*calls, late)]

    assert (True, ["HTTP/1.1 200 OK"] * 3) == (waits, served)


LONG = b"0123456789abcdef" * 262_144
"""4 MiB, more than the kernel takes for a peer that does not read."""


async def _long_page(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=LONG if request.path == "/long" else b"short")


async def _stuck(port: int, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Peers that ask for the long page and have read its first bytes only."""
    peers = [await asyncio.open_connection("127.0.0.1", port, limit=1024) for _ in range(count)]
    for reader, writer in peers:
        writer.write(GET.replace(b"/ ", b"/long ", 1))
        await reader.readuntil(b"0123")
    return peers


async def test_a_long_page_comes_whole_in_whatever_way_it_is_asked_for():
    """The connection stays open behind it, but where it ends behind a short one too."""
    ask = b"%b /long HTTP/1.1\r\nHost: a\r\n%b\r\n"
    close = b"Connection: close\r\n"
    async with running_pages(_long_page) as pages:
        whole = await pages.send(ask % (b"GET", close))
        head = await pages.send(ask % (b"HEAD", close))
        behind = await pages.send(ask % (b"GET", b""), GET)
        reader, writer = await asyncio.open_connection("127.0.0.1", pages.port)
        for _ in "ab":
            writer.write(ask % (b"GET", b""))
            await reader.readuntil(b"\r\n\r\n")
            assert LONG == await reader.readexactly(len(LONG))
        writer.close()

    assert LONG == whole.partition(b"\r\n\r\n")[2] == behind.partition(b"\r\n\r\n")[2]
    assert (True, b"") == (b"Content-Length: 4194304" in head, head.partition(b"\r\n\r\n")[2])


async def test_peers_that_do_not_read_hold_little_each():
    """Of a long page the kernel and the transport have a piece, not all of it."""
    async with running_pages(_long_page) as pages:
        peers = await _stuck(pages.port, 4)
        transports = [each.transport for each in pages.server.connections if each.transport]
        held = [each.get_write_buffer_size() for each in transports]
        sockets = [each.get_extra_info("socket") for each in transports]
        kernels = {each.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for each in sockets}
        for _, writer in peers:
            writer.close()

    assert (4, True, {65_536}) == (len(held), max(held) <= 131_072, kernels)


async def test_peers_that_do_not_read_keep_no_probe_out():
    """The one that has not read for longest makes room; the others keep their place."""
    limits = PageLimits(connections=3, unread_s=0.01)
    async with running_pages(_long_page, limits) as pages:
        peers = await _stuck(pages.port, 3)
        reply = await exchange(pages.port, raw_request("GET", "/livez"))
        left = len(pages.server.connections)
        for _, writer in peers:
            writer.close()

    assert (200, 2) == (reply.status, left)


async def test_a_peer_that_reads_too_slowly_is_cut_off():
    """However little of it is read now and then: the whole page has its time."""
    async with running_pages(_long_page, PageLimits(response_s=0.2)) as pages:
        ((reader, writer),) = await _stuck(pages.port, 1)
        received = 0
        async with asyncio.timeout(20):
            while pages.server.connections:
                with contextlib.suppress(ConnectionResetError):
                    received += len(await reader.read(64))
                await asyncio.sleep(0.01)  # sleep: a slow reader
        writer.close()

    assert received < len(LONG)


async def test_a_peer_that_reads_on_is_not_in_the_way_of_others():
    """It had stopped for a moment, as any network does."""
    async with running_pages(_long_page, PageLimits(connections=1, unread_s=60)) as pages:
        ((reader, writer),) = await _stuck(pages.port, 1)
        rest = await reader.readexactly(len(LONG) - 4)
        reply = await exchange(pages.port, raw_request("GET", "/livez"))
        writer.close()

    assert (LONG[4:], 200) == (rest, reply.status)


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
    """Whatever accepts it: where there is no room it is closed before it has sent anything."""
    server = PageServer(_page, PageLimits(connections=0))
    (listening,) = await bind(server, ["127.0.0.1"], 0, "the pages")
    await listening.start_serving()
    received = await RunningPages(server, port_of(listening)).send(GET)
    listening.close()

    assert b"" == received


def test_connections_use_public_names_of_aiohttp_only():
    """What it keeps for itself does not collide with aiohttp's own slots."""
    inherited = {name for base in PageConnection.__mro__[1:] for name in dir(base)}

    assert set() == set(PageConnection.__slots__) & inherited

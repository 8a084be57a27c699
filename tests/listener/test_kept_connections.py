"""Connections that wait for a request, and readers that stop: on real sockets, both ways into
aiohttp.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from sidecar.domain.ports import DownstreamIdle
from sidecar.domain.vocabulary import ConnectionEnd
from sidecar.listener.kept_connections import ConnectionLimits, KeptConnections, UnreadBytes
from sidecar.listener.request import Request
from sidecar.listener.response_writer import ResponseWriter
from sidecar.listener.server import FAST, PLAIN, DataServer, bind, port_of
from tests.listener.fakes import FakeTransport, kept
from tests.support.net import read_reply

SHORT_S = 0.05
LARGE_BYTES = 16 << 20
"""More than two sockets' buffers hold."""
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"

pytestmark = pytest.mark.parametrize("path", [FAST, PLAIN])


class Served:
    """A server on a port, what it was asked, and what it did."""

    def __init__(self, limits: ConnectionLimits, path: str) -> None:
        self.ends: list[ConnectionEnd] = []
        self.kept: KeptConnections = kept(limits, self.ends)
        self.server = DataServer(self._handle, self._refuse, self.kept, path=path)
        self.gate = asyncio.Event()
        self.came = asyncio.Event()
        self.let_go = asyncio.Event()
        self.port = 0
        self._sockets: list[socket.socket] = []

    async def connect(self, request: bytes = b"") -> socket.socket:
        """Open a connection that buffers little, and send something once it is served."""
        open_before = sum(self.kept.counts())
        opened = await self.wait_to_connect()
        while sum(self.kept.counts()) == open_before:
            await asyncio.sleep(0)
        await asyncio.get_running_loop().sock_sendall(opened, request)
        return opened

    async def wait_to_connect(self, request: bytes = b"") -> socket.socket:
        """The same, but whether it is served is not waited for."""
        opened = socket.socket()
        self._sockets.append(opened)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(opened, ("127.0.0.1", self.port))
        await loop.sock_sendall(opened, request)
        return opened

    async def read(self, opened: socket.socket) -> int:
        """Read a response; return its status, 0 where the connection has ended."""
        reader, writer = await asyncio.open_connection(sock=opened.dup())
        try:
            return (await read_reply(reader)).status
        except ConnectionError:
            return 0
        finally:
            writer.close()

    async def until(self, *ends: ConnectionEnd) -> None:
        """Wait until the server has closed so many connections, and for these reasons."""
        while len(self.ends) < len(ends):
            await asyncio.sleep(0.001)  # sleep: the timers of the server
        assert list(ends) == self.ends

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()

    async def _handle(self, request: Request) -> ResponseWriter:
        down = ResponseWriter(request)
        self.came.set()
        if request.target == "/gate":
            await self.gate.wait()
        elif request.target == "/flood":
            down.start(200, [], None)
            try:
                while not self.gate.is_set():
                    await down.write(b"x" * (1 << 20))
            except DownstreamIdle:
                self.let_go.set()
                down.close_after()
                return down
            down.finish()
            return down
        elif request.target == "/large-and-close":
            down.close_after()
        down.send_whole(200, [], b"x" * (LARGE_BYTES if "large" in request.target else 1))
        return down

    def _refuse(self, request: Request, _: BaseException | None) -> ResponseWriter:
        down = ResponseWriter(request)
        down.send_whole(400, [], b"")
        return down


@contextlib.asynccontextmanager
async def _served(path: str, **limits: float) -> AsyncIterator[Served]:
    served = Served(ConnectionLimits(**limits), path)  # type: ignore[arg-type] # all are numbers
    (listening,) = await bind(served.server, ["127.0.0.1"], 0, "the data port", served.kept)
    await listening.start_serving()
    served.port = port_of(listening)
    try:
        async with asyncio.timeout(15):
            yield served
    finally:
        served.close()
        listening.close()
        await served.server.shutdown(1)


async def test_an_app_that_stops_reading_is_let_go(path):
    """Its handler is told, and its connection is broken."""
    async with _served(path, downstream_idle_s=SHORT_S) as served:
        await served.connect(GET % b"flood")
        await served.let_go.wait()
        await served.until(ConnectionEnd.UNREAD)


async def test_an_app_may_stop_reading_where_there_is_no_limit(path):
    """It reads on in the end."""
    async with _served(path, downstream_idle_s=0.0) as served:
        stopped = await served.connect(GET % b"flood")
        silent = await served.connect()
        await served.came.wait()
        served.kept.configure(ConnectionLimits(downstream_idle_s=0.0, idle_s=SHORT_S))
        await served.until(ConnectionEnd.IDLE)
        assert 0 == await served.read(silent)
        served.gate.set()
        assert 200 == await served.read(stopped)


@pytest.mark.parametrize("target", [b"large", b"large-and-close"])
async def test_a_whole_response_that_is_not_read_does_not_stay(path, target):
    """On a connection that is kept, and on one that is closing."""
    async with _served(path, downstream_idle_s=SHORT_S, idle_s=2 * SHORT_S) as served:
        await served.connect(GET % target)
        await served.until(ConnectionEnd.UNREAD)


def test_reading_some_is_reading(path):
    """However little it is."""
    transport = FakeTransport()
    sizes = iter([10, 9, 9, 0])
    transport.get_write_buffer_size = lambda: next(sizes)  # type: ignore[method-assign]
    unread = UnreadBytes(transport)

    assert [True, False, True] == [unread.are_read() for _ in range(3)]


@pytest.mark.parametrize("first", [b"", GET % b"ok"])
async def test_an_idle_connection_has_an_end(path, first):
    """Before its first request as after one; the app sees it as closed."""
    async with _served(path) as served:
        idle = await served.connect(first)
        assert not first or 200 == await served.read(idle)
        while served.kept.counts() != (0, 1):
            await asyncio.sleep(0)
        served.kept.configure(ConnectionLimits(idle_s=SHORT_S))
        await served.until(ConnectionEnd.IDLE)
        assert 0 == await served.read(idle)
        assert (0, 0) == served.kept.counts()


async def test_a_busy_connection_is_not_idle(path):
    """However long its response takes, and its head, which has a limit of its own."""
    async with _served(path, idle_s=SHORT_S, idle_connections=3) as served:
        busy = await served.connect(GET % b"gate")
        await served.came.wait()
        begun = await served.connect(b"GET /ok HTTP/1.1\r\nHo")
        await served.connect()
        await served.until(ConnectionEnd.IDLE)
        served.gate.set()
        await asyncio.get_running_loop().sock_sendall(begun, b"st: a\r\n\r\n")

        assert (200, 200) == (await served.read(busy), await served.read(begun))


async def test_a_connection_of_which_a_byte_has_come_is_not_closed(path):
    """Into the kernel's buffer, while the server was looking elsewhere: no call is lost."""
    async with _served(path) as served:
        used = await served.connect(GET % b"ok")
        assert 200 == await served.read(used)
        await served.connect()
        while served.kept.counts() != (0, 2):
            await asyncio.sleep(0)
        used.send(GET % b"ok")
        served.kept.configure(ConnectionLimits(idle_s=1e-6))
        served.kept.configure(ConnectionLimits())

        assert 200 == await served.read(used)
        await served.until(ConnectionEnd.IDLE)


async def test_a_new_connection_takes_the_place_of_the_one_that_is_idle_longest(path):
    """The others stay, and so does a busy one."""
    async with _served(path, idle_connections=2) as served:
        busy = await served.connect(GET % b"gate")
        await served.came.wait()
        idle = [await served.connect() for _ in range(4)]
        await served.until(ConnectionEnd.CROWDED, ConnectionEnd.CROWDED)
        served.gate.set()
        for each in idle[2:]:
            await asyncio.get_running_loop().sock_sendall(each, GET % b"ok")

        replies = [await served.read(each) for each in (busy, *idle)]
        assert [200, 0, 0, 200, 200] == replies


async def test_idle_connections_leave_where_there_are_no_more_descriptors(path):
    """The new one waits in the backlog until then; where all are busy it waits for them."""
    async with _served(path) as served:
        served.kept.at_most = 2
        busy = await served.connect(GET % b"gate")
        await served.came.wait()
        idle = await served.connect()
        other = await served.wait_to_connect(GET % b"gate")
        await served.until(ConnectionEnd.CROWDED)
        last = await served.wait_to_connect(GET % b"ok")
        while served.kept.counts() != (2, 0):
            await asyncio.sleep(0)
        served.gate.set()
        replies = [await served.read(each) for each in (busy, idle, other)]
        busy.close()

        assert [200, 0, 200, 200] == [*replies, await served.read(last)]


async def test_where_none_is_idle_a_new_connection_is_served_all_the_same(path):
    """Those that have begun a request stay too: their heads have a limit of their own."""
    async with _served(path, idle_connections=2) as served:
        for _ in range(3):
            await served.connect(b"GET /ok HTTP/1.1\r\nHo")
        late = await served.connect(GET % b"ok")

        assert 200 == await served.read(late)
        await served.until()


async def test_a_request_that_is_read_and_not_taken_yet_keeps_its_connection(path):
    """Between the read of a head and the handler's turn the loop may close idle connections."""
    async with _served(path) as served:
        opened = await served.connect()
        await asyncio.sleep(0)
        (connection,) = served.kept.since_s
        connection.data_received(GET % b"small")  # type: ignore[attr-defined] # a protocol
        assert not served.kept.make_room()
        assert 200 == await served.read(opened)

"""How connections are accepted, on every loop, and what happens where no descriptor is left."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from sidecar.listener import acceptor as acceptor_module
from sidecar.listener.acceptor import Acceptor
from sidecar.runtime.lifecycle import fast_loop_factory

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def _loops() -> dict[str, LoopFactory]:
    """Every loop that the sidecar may run on; with the `fast` extra `fast` is the product's."""
    found: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    with contextlib.suppress(ImportError):
        import uvloop

        found["uvloop"] = uvloop.new_event_loop
    with contextlib.suppress(ImportError):
        import aiofastnet

        found["aiofastnet"] = aiofastnet.loop_factory()
    fast = fast_loop_factory()
    if fast is not None:
        found["fast"] = fast
    return found


@pytest.fixture(params=list(_loops().values()), ids=list(_loops()))
def run_on(request) -> Callable[[Coroutine[Any, Any, None]], None]:
    """A function that runs a coroutine on one of the loops."""

    def run(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(work)

    return run


class Greeter(asyncio.Protocol):
    """Says hello to whom it is connected to, and ends."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()


class Listening(Acceptor):
    """An acceptor of greeters on a free port, which counts how often it is asked to accept."""

    def __init__(self, factory: Callable[[], asyncio.BaseProtocol] = Greeter) -> None:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        super().__init__(bound, factory, 100, "the port")
        self.place = bound.getsockname()
        self.looks = 0

    def _accept(self) -> None:
        self.looks += 1
        super()._accept()


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Nothing in this process can be opened meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def unconnected(count: int) -> list[socket.socket]:
    """Sockets that have their descriptors before there are none."""
    clients = [socket.socket() for _ in range(count)]
    for each in clients:
        each.setblocking(False)
    return clients


def connect(client: socket.socket, listening: Listening) -> None:
    """Begin to connect: the kernel goes on with it alone."""
    with contextlib.suppress(BlockingIOError):
        client.connect(listening.place)


async def _greeted(clients: list[socket.socket]) -> list[bytes]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        return [await loop.sock_recv(each, 10) for each in clients]


def test_connections_wait_for_a_descriptor_and_are_served_once_there_is_one(
    run_on, caplog, monkeypatch
):
    """No spin, no flood of the log, and nothing lost: each loop's own way has one of the three."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(acceptor_module, "RETRY_S", 0.02)

    async def work() -> None:
        listening = Listening()
        await listening.start_serving()
        clients = unconnected(20)
        with no_descriptor_left():
            for each in clients:
                connect(each, listening)
            await asyncio.sleep(0.2)  # sleep: that little is done can only be seen over time
            looks = listening.looks
        greetings = await _greeted(clients)
        listening.close()
        for each in clients:
            each.close()

        assert ([b"hello"] * 20, True) == (greetings, 2 <= looks <= 15)

    run_on(work())

    assert [
        ("WARNING", "the port: connections wait: Too many open files"),
        ("INFO", "the port: connections are accepted again"),
    ] == [(each.levelname, each.getMessage()) for each in caplog.records if each.name != "asyncio"]
    assert [] == [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_a_closed_acceptor_looks_no_more(run_on, monkeypatch):
    """Neither while connections wait, nor between the acceptance of one and its transport."""
    monkeypatch.setattr(acceptor_module, "RETRY_S", 0.001)

    async def work() -> None:
        listening, late = Listening(), Listening()
        (client, other) = unconnected(2)
        await listening.start_serving()
        with no_descriptor_left():
            connect(client, listening)
            while not listening.looks:
                await asyncio.sleep(0)
            listening.close()
        listening.close()
        looks = listening.looks
        await late.start_serving()
        connect(other, late)
        while not late.looks:
            await asyncio.sleep(0)
        late.close()
        with contextlib.suppress(ConnectionResetError):
            await _greeted([other])
        for each in (client, other):
            each.close()

        assert (looks, ()) == (listening.looks, listening.sockets)

    run_on(work())


def test_many_connections_are_accepted_in_turns(run_on, monkeypatch):
    """A burst of them does not keep calls from going on."""
    monkeypatch.setattr(acceptor_module, "AT_ONCE", 5)

    async def work() -> None:
        listening = Listening()
        await listening.start_serving()
        clients = unconnected(20)
        for each in clients:
            connect(each, listening)
        greetings = await _greeted(clients)
        listening.close()
        for each in clients:
            each.close()

        assert ([b"hello"] * 20, True) == (greetings, listening.looks >= 4)

    run_on(work())


class _Scripted:
    """A listening socket whose kernel says what the test wants."""

    def __init__(self, outcomes: list[OSError]) -> None:
        self.outcomes = outcomes

    def setblocking(self, flag: bool) -> None:
        pass

    def accept(self) -> None:
        raise self.outcomes.pop(0)


async def test_no_error_of_the_kernel_ends_the_listening(caplog, monkeypatch):
    """A peer that left the backlog is passed by; what is not known waits, and is told once a
    minute at most.
    """
    caplog.set_level(logging.INFO)
    paused: list[float] = []
    socket_ = _Scripted([ConnectionAbortedError(), OSError(errno.EPROTO, "x"), OSError()])
    acceptor = Acceptor(socket_, Greeter, 1, "the port")  # type: ignore[arg-type] # a fake
    monkeypatch.setattr(acceptor, "_pause", paused.append)
    acceptor._accept()
    acceptor._accept()
    socket_.outcomes.append(InterruptedError())
    acceptor._accept()

    assert [0.1, 0.1] == paused
    assert ["the port: connections wait: Protocol error"] == caplog.messages


async def test_a_shortage_that_comes_and_goes_is_told_once_a_minute(caplog):
    """Two lines of it: that it began, and that it was over."""
    caplog.set_level(logging.INFO)
    shortage = acceptor_module._Shortage("the port")
    for _ in range(50):
        shortage.begin(OSError(errno.EMFILE, "x"))
        shortage.end()
        shortage.end()

    assert 2 == len(caplog.messages)


async def test_a_peer_that_leaves_at_once_is_no_error(caplog, monkeypatch):
    """Its socket is closed, and nothing is told."""

    async def gone(*_: object) -> None:
        raise OSError(errno.ENOTCONN, "x")

    listening = Listening()
    await listening.start_serving()
    monkeypatch.setattr(asyncio.get_running_loop(), "connect_accepted_socket", gone)
    (client,) = unconnected(1)
    connect(client, listening)
    with contextlib.suppress(ConnectionResetError):
        await _greeted([client])
    listening.close()
    client.close()

    assert [] == caplog.messages

"""Names: looked up once, kept for seconds, outlived by an outage of the name server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.http1 import resolver as room
from sidecar.http1.resolver import AddressInfo, Resolver
from sidecar.runtime.lifecycle import Tasks


def at(address: str) -> AddressInfo:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))


class NameServer:
    """Finds what a test says; remembers each lookup."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.answer: list[AddressInfo] | Exception = [at("10.0.0.1")]
        self.gate = asyncio.Event()
        self.gate.set()

    async def look_up(self, host: str, port: int) -> list[AddressInfo]:
        self.asked.append((host, port))
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def names() -> NameServer:
    return NameServer()


@pytest_asyncio.fixture
async def resolver(names: NameServer) -> AsyncIterator[Resolver]:
    made = Resolver(names.look_up)
    yield made
    await made.aclose()


async def test_addresses_are_kept(names, resolver):
    """The second connection costs no lookup; another port is another question."""
    assert [at("10.0.0.1")] == await resolver.addresses("a.example", 443)
    assert [at("10.0.0.1")] == await resolver.addresses("a.example", 443)
    await resolver.addresses("a.example", 80)

    assert [("a.example", 443), ("a.example", 80)] == names.asked


async def test_a_change_is_followed_once_the_addresses_are_old(names, resolver, monkeypatch):
    """After seconds, not minutes."""
    await resolver.addresses("a.example", 443)
    names.answer = [at("10.0.0.2")]
    monkeypatch.setattr(room, "FRESH_S", 0.0)

    assert [at("10.0.0.2")] == await resolver.addresses("a.example", 443)


async def test_callers_that_ask_together_share_a_lookup(names, resolver):
    """A burst of first connections is one lookup, and one caller's leaving ends it for nobody
    else.
    """
    names.gate.clear()
    tasks = Tasks()
    asking = [
        tasks.spawn(resolver.addresses("a.example", 443), name=str(number)) for number in range(5)
    ]
    while not names.asked:
        await asyncio.sleep(0)
    asking.pop().cancel()
    names.gate.set()

    assert [[at("10.0.0.1")]] * 4 == await asyncio.gather(*asking)
    assert 1 == len(names.asked)


@pytest.mark.parametrize("answer", [socket.gaierror(-3, "try again"), TimeoutError(), []])
async def test_a_failing_name_server_is_outlived(names, resolver, monkeypatch, answer):
    """The last addresses serve on; the server is asked again by the next connection."""
    await resolver.addresses("a.example", 443)
    monkeypatch.setattr(room, "FRESH_S", 0.0)
    names.answer = answer

    assert [at("10.0.0.1")] == await resolver.addresses("a.example", 443)
    assert [at("10.0.0.1")] == await resolver.addresses("a.example", 443)
    assert 3 == len(names.asked)


async def test_a_slow_name_server_is_not_waited_for(names, resolver, monkeypatch):
    """Where older addresses are at hand; the lookup goes on and its result is there for the next
    connection.
    """
    await resolver.addresses("a.example", 443)
    monkeypatch.setattr(room, "FRESH_S", 0.0)
    monkeypatch.setattr(room, "_REFRESH_TIMEOUT_S", 0.001)
    names.gate.clear()
    names.answer = [at("10.0.0.2")]
    assert [at("10.0.0.1")] == await resolver.addresses("a.example", 443)
    names.gate.set()
    monkeypatch.setattr(room, "_REFRESH_TIMEOUT_S", 5.0)

    assert [at("10.0.0.2")] == await resolver.addresses("a.example", 443)
    assert 2 == len(names.asked)


@pytest.mark.parametrize("answer", [socket.gaierror(-2, "not known"), []])
async def test_a_name_that_was_never_known_is_an_error(names, resolver, answer):
    """There is nothing to fall back to."""
    names.answer = answer
    with pytest.raises(OSError, match=r"not known|no address"):
        await resolver.addresses("a.example", 443)


async def test_addresses_that_are_too_old_are_forgotten(names, resolver, monkeypatch):
    """An hour without a name server is not an outage any more."""
    await resolver.addresses("a.example", 443)
    monkeypatch.setattr(room, "FRESH_S", 0.0)
    monkeypatch.setattr(room, "STALE_S", -1.0)
    names.answer = socket.gaierror(-3, "try again")
    with pytest.raises(socket.gaierror):
        await resolver.addresses("a.example", 443)


async def test_the_system_knows_localhost():
    """The real lookup, in a thread."""
    resolver = Resolver()
    addresses = await resolver.addresses("localhost", 80)
    await resolver.aclose()

    assert {"127.0.0.1", "::1"} >= {info[4][0] for info in addresses}


async def test_a_name_that_nobody_knows_fails_its_callers_and_is_no_incident(
    names, resolver, caplog
):
    """Every caller gets the error; the log is not filled with tracebacks of a misspelt host."""
    names.answer = socket.gaierror(-2, "Name or service not known")
    for _ in range(2):
        with pytest.raises(socket.gaierror, match="not known"):
            await resolver.addresses("nowhere.example", 443)

    assert [] == caplog.records

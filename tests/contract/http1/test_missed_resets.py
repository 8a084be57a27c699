"""A reset that arrives together with data ends the response, on every loop."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.domain.errors import UpstreamError
from sidecar.http1.origin import make_ssl_context
from sidecar.http1.pool import Pool
from tests.contract.http1.bare_peer import BarePeer
from tests.contract.http1.peer import PATIENT, Certificates, ask

CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.http1.reset_watch.LOOK_EVERY_S", 0.01)


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 2",
        CHUNK,
        CHUNK + b"f000\r\n" + b"x" * 40_000,
        CHUNK + b"f000\r\n" + b"x" * 61_440,
    ],
    ids=["part of a head", "a chunk", "part of a chunk", "a long chunk"],
)
async def test_a_reset_that_comes_with_data_is_told(
    certificates: Certificates, said: bytes, is_tls: bool
):
    """No timeout has to end what the upstream has ended; what it said before can be read."""
    trusted = make_ssl_context(certificates.ca) if is_tls else None
    with BarePeer(certificates.good if is_tls else None) as peer:
        pool = Pool(peer.origin, ssl_context=trusted)

        async def read() -> int:
            reply = await ask(pool, timeouts=PATIENT)
            size = 0
            while piece := await reply.read():
                size += len(piece)
            return size

        first = asyncio.get_running_loop().create_task(ask(pool))
        await peer.serves(first)

        def speaks_and_resets() -> None:
            peer.line.sendall(said)
            peer.resets()

        request = asyncio.get_running_loop().create_task(read())
        await asyncio.to_thread(peer.hears, 30)
        speaks_and_resets()
        with pytest.raises(UpstreamError) as raised:
            await request
        assert "timeout" not in raised.value.message
        assert 0 == pool.active
        await pool.aclose()


async def test_the_watch_ends_with_the_last_connection(certificates: Certificates):
    """An idle process has no timer of it."""
    with BarePeer() as peer:
        pool = Pool(peer.origin)
        first = asyncio.get_running_loop().create_task(ask(pool))
        await peer.serves(first)
        peer.resets()
        while pool._live or pool._watch._timer is not None:
            await asyncio.sleep(0)
        await pool.aclose()


async def test_a_connection_under_way_is_left_alone(certificates: Certificates):
    """Looks at one that is well change nothing, whether it is silent or speaks."""
    with BarePeer() as peer:
        pool = Pool(peer.origin)
        await peer.serves(asyncio.get_running_loop().create_task(ask(pool)))
        request = asyncio.get_running_loop().create_task(ask(pool))
        await asyncio.to_thread(peer.hears, 30)
        pool._watch._look(asyncio.get_running_loop())
        peer.line.sendall(CHUNK)
        reply = await request
        pool._watch._look(asyncio.get_running_loop())
        assert b"hello" == await reply.read()
        peer.line.sendall(b"0\r\n\r\n")
        pool._watch._look(asyncio.get_running_loop())
        assert b"" == await reply.read()
        assert (1, 0) == (pool.idle, pool.active)
        await pool.aclose()

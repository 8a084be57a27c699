"""When a request is sent a second time: where the peer provably took none of it, or where that
changes nothing.

The peer is a bare socket, closed between two turns of the loop, so that the client cannot have seen
it when it sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from sidecar.domain.errors import Stale, Untaken, UpstreamError
from sidecar.http1.idle import PEEK_AFTER_S
from sidecar.http1.origin import make_ssl_context
from sidecar.http1.pool import IDEMPOTENT, Pool
from tests.contract.http1.bare_peer import BarePeer
from tests.contract.http1.peer import HELLO, Certificates, ask, whole

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


@pytest_asyncio.fixture(params=["tcp", "tls"])
async def bare(
    request: pytest.FixtureRequest, certificates: Certificates
) -> AsyncIterator[tuple[BarePeer, Pool]]:
    """A peer that has responded to one request, and a pool that holds the connection."""
    is_tls = request.param == "tls"
    with BarePeer(certificates.good if is_tls else None) as peer:
        pool = Pool(peer.origin, ssl_context=make_ssl_context(certificates.ca) if is_tls else None)
        await peer.serves(sent(pool))
        assert (pool.idle, peer.connects) == (1, 1)
        yield peer, pool
        await pool.aclose()


def sent(
    pool: Pool,
    body: bytes = b"",
    method: str = "POST",
    just_before: Callable[[], None] = lambda: None,
) -> asyncio.Task[tuple[int, bytes]]:
    """A request under way: how often it was sent, and the body of its response.

    Between ``just_before`` and the sending the loop does not turn.
    """

    async def run() -> tuple[int, bytes]:
        just_before()
        reply = await ask(pool, body, method=method)
        return reply.sends, await whole(reply)

    return asyncio.get_running_loop().create_task(run())


def has_been_idle(pool: Pool) -> None:
    """As if the pool's connection had been idle for long enough to be looked at."""
    ((connection, since_s, until_s),) = pool._idle._idle
    pool._idle._idle[0] = connection, since_s - PEEK_AFTER_S, until_s


def shows_socket(pool: Pool, end: Callable[[BarePeer], None], size: int) -> bool:
    """Whether the socket is still open when its connection's end is told."""
    transport = pool._idle._idle[0][0]._channel.transport
    if pool.origin.scheme == "http" or type(transport).__module__.startswith("aiofastnet"):
        return True
    # Otherwise only an end that is read, and not met while writing.
    is_uvloop = type(transport).__module__.startswith("uvloop")
    return size <= 1000 and end in {BarePeer.ends, None if is_uvloop else BarePeer.dies}


@pytest.mark.parametrize("size", [0, 1000, 500_000])
@pytest.mark.parametrize("end", [BarePeer.ends, BarePeer.dies, BarePeer.resets])
async def test_what_the_peer_took_none_of_is_sent_again(bare, size, end):
    """The peer closed before it was sent: the call costs a second connection, and no more. Where
    the socket is hidden, nothing proves that, and the call fails.
    """
    peer, pool = bare
    body = b"x" * size
    is_shown = shows_socket(pool, end, size)
    again = sent(pool, body, just_before=lambda: end(peer))
    if not is_shown:
        with pytest.raises(Stale):
            await again
        return

    assert POST % size + body == await peer.serves(again)
    assert (2, b"hello") == await again
    assert (2, 1, 1) == (peer.connects, pool.retried_total, pool.idle)


@pytest.mark.parametrize("size", [0, 1000, 500_000])
@pytest.mark.parametrize("end", [BarePeer.ends, BarePeer.dies, BarePeer.resets])
async def test_what_the_peer_read_is_not_sent_again(bare, size, end):
    """Not even where it resets so soon that nothing was acknowledged yet."""
    peer, pool = bare
    body = b"x" * size
    request = sent(pool, body)
    heard = await asyncio.to_thread(peer.hears, len(POST % size) + size)
    end(peer)
    with pytest.raises(Stale) as raised:
        await request

    assert POST % size + body == heard
    assert (Stale, 1) == (type(raised.value), raised.value.sends)
    assert (1, 0, 0) == (peer.connects, pool.retried_total, pool.active)


@pytest.mark.parametrize("heard_bytes", [0, 1, 20_000])
async def test_what_the_peer_has_received_and_not_read_is_not_sent_again(bare, heard_bytes):
    """Nothing tells how much of it a process has read that dies."""
    peer, pool = bare
    request = sent(pool, b"x" * 50_000)
    await asyncio.sleep(0)
    await asyncio.to_thread(peer.hears, heard_bytes)
    peer.dies()
    with pytest.raises(Stale):
        await request

    assert (1, 0) == (peer.connects, pool.retried_total)


@pytest.mark.parametrize("method", sorted(IDEMPOTENT - {"HEAD"}))
async def test_an_idempotent_request_is_sent_again_whatever_the_peer_did(bare, method):
    """Sent twice it does what it does sent once."""
    peer, pool = bare
    request = sent(pool, method=method)
    await asyncio.to_thread(peer.hears, len(POST % 0) - 4 + len(method))
    peer.resets()

    await peer.serves(request)
    assert (2, b"hello") == await request


async def test_what_was_sent_again_and_fails_was_sent_twice(bare):
    """There is no third time."""
    peer, pool = bare
    request = sent(pool, b"x", just_before=peer.ends)
    line, _ = await asyncio.to_thread(peer._listening.accept)
    with line:
        line.settimeout(10)
        await asyncio.to_thread(line.recv, 1)
    with pytest.raises(UpstreamError) as raised:  # over TLS it is the handshake that fails
        await request

    assert 2 == raised.value.sends
    assert not isinstance(raised.value, Untaken)


@pytest.mark.parametrize("end", [BarePeer.ends, BarePeer.dies, BarePeer.resets])
async def test_a_connection_that_was_idle_is_looked_at_first(bare, end):
    """What the kernel knows already costs no request."""
    peer, pool = bare
    has_been_idle(pool)
    again = sent(pool, just_before=lambda: end(peer))

    await peer.serves(again)
    assert (1, b"hello") == await again
    assert (2, 0) == (peer.connects, pool.retried_total)


async def test_a_quiet_connection_is_used_after_the_look(bare):
    """The look costs it nothing."""
    peer, pool = bare
    has_been_idle(pool)
    request = sent(pool)
    await asyncio.to_thread(peer.hears, len(POST % 0))
    peer.line.sendall(HELLO)

    assert (1, b"hello") == await request


async def test_stray_bytes_retire_a_connection(bare):
    """They would be taken for the response."""
    peer, pool = bare
    has_been_idle(pool)
    first = peer.line
    stray = HELLO.replace(b"hello", b"stray")
    again = sent(pool, just_before=lambda: first.sendall(stray))
    await peer.serves(again)
    first.close()

    assert (1, b"hello") == await again

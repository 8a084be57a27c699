"""Which timeout ends what. Classes and order are asserted, never durations."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.domain.errors import (
    ConnectTimeout,
    FirstByteTimeout,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamTimeout,
)
from sidecar.http1.origin import ExchangeTimeouts, Origin, make_ssl_context
from sidecar.http1.pool import Pool
from tests.contract.http1.peer import HELLO, Line, Peer, answers, ask, whole

LONG_S, SHORT_S = 30.0, 0.03
STARTED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"5\r\nhello\r\n"


def timeouts(
    *,
    first_byte_s: float | None = None,
    response_s: float | None = None,
    idle_s: float | None = None,
) -> ExchangeTimeouts:
    return ExchangeTimeouts(
        connect_s=LONG_S, first_byte_s=first_byte_s, response_s=response_s, idle_s=idle_s
    )


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize(
    ("limits", "late"),
    [
        (timeouts(first_byte_s=SHORT_S), FirstByteTimeout),
        (timeouts(first_byte_s=SHORT_S, response_s=LONG_S, idle_s=0.0), FirstByteTimeout),
        (timeouts(response_s=SHORT_S), ResponseTimeout),
        (timeouts(response_s=SHORT_S, first_byte_s=LONG_S), ResponseTimeout),
    ],
)
async def test_no_head_in_time(
    peer: Peer, pool: Pool, said: bytes, limits: ExchangeTimeouts, late: type[UpstreamTimeout]
):
    """Until the head is whole the earlier of first byte and response counts; the connection is
    closed, the caller told which upstream it was.
    """
    peer.follows(answers(said))
    with pytest.raises(UpstreamTimeout, match=f"^127.0.0.1:{peer.port}: ") as raised:
        await ask(pool, timeouts=limits)
    assert type(raised.value) is late
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()


async def test_upstream_that_does_not_read_is_late_too(peer: Peer, pool: Pool):
    """A request that cannot be written out counts against the first byte."""
    ended = asyncio.Event()

    async def script(line: Line):
        await ended.wait()

    peer.follows(script)
    with pytest.raises(FirstByteTimeout):
        await ask(pool, b"x" * 30_000_000, timeouts=timeouts(first_byte_s=SHORT_S))
    ended.set()
    await peer.done()


@pytest.mark.parametrize(
    ("limits", "late"),
    [
        (timeouts(response_s=SHORT_S), ResponseTimeout),
        (timeouts(response_s=SHORT_S, idle_s=LONG_S), ResponseTimeout),
        (timeouts(idle_s=SHORT_S), StreamIdleTimeout),
        (timeouts(idle_s=SHORT_S, response_s=LONG_S, first_byte_s=LONG_S), StreamIdleTimeout),
    ],
)
async def test_body_stalls(
    peer: Peer, pool: Pool, limits: ExchangeTimeouts, late: type[UpstreamTimeout]
):
    """What arrived is read, then the timeout that the body has is raised and the connection
    closed.
    """
    peer.follows(answers(STARTED + CHUNK))
    reply = await ask(pool, timeouts=limits)
    assert await reply.read() == b"hello"
    with pytest.raises(UpstreamTimeout) as raised:
        await reply.read()
    assert type(raised.value) is late
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()


async def test_response_timeout_runs_while_nobody_reads(peer: Peer, pool: Pool):
    """The total is the upstream's, whoever waits: the connection goes, and the reader learns
    why.
    """
    peer.follows(answers(STARTED + CHUNK))
    reply = await ask(pool, timeouts=timeouts(response_s=SHORT_S))
    await peer.done()
    assert await reply.read() == b"hello"
    with pytest.raises(ResponseTimeout):
        await reply.read()


async def test_slow_reader_is_not_a_silent_upstream(peer: Peer, pool: Pool):
    """The idle timeout counts only while somebody waits for the upstream."""
    go_on, end = asyncio.Event(), asyncio.Event()

    async def script(line: Line):
        await line.hear()
        await line.say(STARTED + CHUNK)
        await go_on.wait()
        await line.say(CHUNK)
        await end.wait()
        await line.say(b"0\r\n\r\n")
        await line.gone()

    peer.follows(script)
    reply = await ask(pool, timeouts=timeouts(idle_s=SHORT_S * 3))
    assert await reply.read() == b"hello"
    waiting = asyncio.get_running_loop().create_task(reply.read())
    await asyncio.sleep(0)  # The idle deadline is set now.
    go_on.set()
    assert await waiting == b"hello"
    # sleep: it passes while the reader is busy elsewhere; time itself is what is tested
    await asyncio.sleep(SHORT_S * 9)
    end.set()
    assert await reply.read() == b""
    assert pool.idle == 1


async def test_timeouts_of_one_exchange_do_not_reach_the_next(peer: Peer, pool: Pool):
    """A kept connection takes each exchange's own timeouts: longer ones after short ones, and the
    reverse.
    """
    slow_s = SHORT_S * 3

    async def script(line: Line):
        await line.hear()
        await line.say(HELLO)
        await line.hear()
        await asyncio.sleep(slow_s)  # sleep: the slowness is what is tested
        await line.say(HELLO)
        await line.hear()
        await line.gone()

    peer.follows(script)
    assert await whole(await ask(pool, timeouts=timeouts(first_byte_s=SHORT_S))) == b"hello"
    assert await whole(await ask(pool, timeouts=timeouts(response_s=LONG_S))) == b"hello"
    with pytest.raises(FirstByteTimeout):
        await ask(pool, timeouts=timeouts(first_byte_s=SHORT_S, response_s=LONG_S))
    assert peer.connects == 1


async def test_a_request_that_is_sent_again_has_no_more_time(peer: Peer, pool: Pool):
    """Where a kept connection dies late, the timeouts of its replacement have been running since
    the first sending.
    """
    first_byte_s = SHORT_S * 20
    most_s = first_byte_s * 0.7

    async def dies_late(line: Line):
        await line.hear()
        await line.say(HELLO)
        await line.hear()
        await asyncio.sleep(most_s)  # sleep: the slowness is what is tested

    async def answers_late(line: Line):
        await line.hear()
        await asyncio.sleep(most_s)  # sleep: for a first sending that would be early enough
        await line.say(HELLO)
        await line.gone()

    peer.follows(dies_late, answers_late)
    assert await whole(await ask(pool)) == b"hello"
    with pytest.raises(FirstByteTimeout):
        await ask(pool, timeouts=timeouts(first_byte_s=first_byte_s), method="GET")
    assert (peer.connects, pool.retried_total) == (2, 1)


async def test_connect_timeout_covers_tls():
    """An upstream that accepts and then says nothing to our TLS is a ConnectTimeout, and sees us
    go.
    """
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(line: Line):
        heard.set_result(await line.gone())

    async with Peer() as peer:
        peer.follows(script)
        pool = Pool(Origin("https", "127.0.0.1", peer.port), ssl_context=make_ssl_context())
        with pytest.raises(ConnectTimeout, match=f"^127.0.0.1:{peer.port}: ") as raised:
            await ask(pool, timeouts=ExchangeTimeouts(connect_s=SHORT_S, first_byte_s=LONG_S))
        assert isinstance(raised.value.__cause__, TimeoutError)
        assert (await heard)[:1] == b"\x16"  # a TLS handshake record, and then the end
        assert (pool.idle, pool.active) == (0, 0)
        await pool.aclose()

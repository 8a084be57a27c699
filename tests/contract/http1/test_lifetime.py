"""How long a connection lives: kept, found dead, tried again, dropped when its caller goes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import weakref

import pytest

from sidecar.domain.errors import (
    ConnectFailed,
    FirstByteTimeout,
    UpstreamCut,
    UpstreamMalformed,
    UpstreamReset,
)
from sidecar.http1 import pool as pool_module
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.pool import Pool
from tests.contract.http1.peer import (
    HELLO,
    PATIENT,
    Line,
    Peer,
    answers,
    answers_and_closes,
    ask,
    until,
    whole,
)
from tests.support.net import closed_port

ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


async def test_idle_connections_are_used_last_in_first_out(peer: Peer, pool: Pool):
    """The connection that was idle for the shortest time serves next, so that the others can grow
    old and go.
    """
    served: list[int] = []

    async def script(line: Line):
        number = peer.connects
        while await line.hear():
            served.append(number)
            await line.say(HELLO)

    peer.follows(script)
    first, second = await asyncio.gather(ask(pool), ask(pool))
    assert (await whole(first), await whole(second)) == (b"hello", b"hello")
    last = served[-1]
    for _ in range(3):
        await whole(await ask(pool))
    assert [last] * 3 == served[2:]
    assert (peer.connects, pool.idle) == (2, 2)


async def test_idle_connections_expire(peer: Peer):
    """After ``keepalive_s`` an idle connection is closed, by a timer and without a request."""
    peer.follows(answers(HELLO))
    pool = Pool(peer.origin, keepalive_s=0.02)
    await asyncio.gather(ask(pool), ask(pool), ask(pool))
    await peer.done()
    assert (pool.idle, pool.active, pool.opened_total) == (0, 0, 3)
    await pool.aclose()


@pytest.mark.parametrize(
    ("hint", "is_kept"),
    [
        (b"timeout=5", True),
        (b"timeout=1", False),
        (b"max=5, timeout=0", False),
        (b"timeout=x", True),
        (b"", True),
    ],
)
async def test_an_upstream_may_say_how_long_it_keeps_connections(
    peer: Peer, pool: Pool, hint: bytes, is_kept: bool
):
    """We close a second before it does; what cannot be read is no hint."""
    said = HELLO.replace(b"\r\n\r\n", b"\r\nKeep-Alive: " + hint + b"\r\n\r\n")
    peer.follows(answers(said, said))
    for _ in range(2):
        assert await whole(await ask(pool)) == b"hello"
    assert peer.connects == (1 if is_kept else 2)


async def test_a_connection_does_not_live_for_ever(
    peer: Peer, pool: Pool, monkeypatch: pytest.MonkeyPatch
):
    """A name that moved is followed, however busy the old connections are."""
    monkeypatch.setattr(pool_module, "MAX_AGE_S", -1.0)
    peer.follows(answers(HELLO))
    for _ in range(2):
        assert await whole(await ask(pool)) == b"hello"
    assert peer.connects == 2


async def test_no_more_than_max_idle_are_kept(peer: Peer):
    """A connection that becomes idle when enough are is closed."""
    peer.follows(answers(HELLO))
    pool = Pool(peer.origin, max_idle=1)
    await asyncio.gather(ask(pool), ask(pool), ask(pool))
    assert (pool.idle, pool.active, pool.opened_total) == (1, 0, 3)
    await pool.aclose()


@pytest.mark.parametrize("is_reset", [False, True])
async def test_connection_closed_while_idle_is_dropped(peer: Peer, pool: Pool, is_reset: bool):
    """An upstream may close an idle connection at any time; the next request simply opens
    another.
    """

    async def script(line: Line):
        await line.hear()
        await line.say(HELLO)
        if is_reset:
            line.reset()

    peer.follows(script, answers(HELLO))
    await whole(await ask(pool))
    await until(lambda: pool.idle == 0)
    assert await whole(await ask(pool)) == b"hello"
    assert (peer.connects, pool.opened_total, pool.retried_total) == (2, 2, 0)


async def test_bytes_on_an_idle_connection_drop_it(peer: Peer, pool: Pool):
    """A response that nobody asked for must not become the response to the next request."""
    is_idle = asyncio.Event()

    async def script(line: Line):
        await line.hear()
        await line.say(HELLO)
        await is_idle.wait()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await line.gone()

    peer.follows(script, answers(HELLO))
    await whole(await ask(pool))
    is_idle.set()
    await until(lambda: pool.idle == 0)
    assert await whole(await ask(pool)) == b"hello"


async def test_replacement_is_not_another_kept_connection(peer: Peer, pool: Pool):
    """With several stale connections in the pool, the second try still goes to a new one."""

    async def dies_on_second(line: Line):
        await line.hear()
        await line.say(HELLO)
        await line.hear()

    peer.follows(dies_on_second, dies_on_second, answers(HELLO))
    await asyncio.gather(ask(pool), ask(pool))
    assert pool.idle == 2
    assert await whole(await ask(pool, method="GET")) == b"hello"
    assert (peer.connects, pool.retried_total) == (3, 1)


async def test_replacement_that_dies_is_a_reset(peer: Peer, pool: Pool):
    """There is one second try, no third."""

    async def dies_on_second(line: Line):
        await line.hear()
        await line.say(HELLO)
        await line.hear()

    async def dies(line: Line):
        await line.hear()

    peer.follows(dies_on_second, dies)
    await whole(await ask(pool))
    with pytest.raises(UpstreamReset) as raised:
        await ask(pool, method="GET")
    assert raised.value.sends == 2
    assert (peer.connects, pool.opened_total, pool.retried_total) == (2, 2, 1)


async def test_stale_connection_that_began_to_answer_is_not_replaced(peer: Peer, pool: Pool):
    """One byte of a response shows that the upstream has seen the request: it is not sent twice."""
    peer.follows(answers_and_closes(HELLO, b"H"))
    await whole(await ask(pool))
    with pytest.raises(UpstreamReset):
        await ask(pool, method="GET")
    assert (peer.connects, pool.retried_total) == (1, 0)


async def test_silent_kept_connection_is_not_replaced(peer: Peer, pool: Pool):
    """A timeout is never a reason to send again, on a kept connection either."""
    peer.follows(answers(HELLO))

    async def script(line: Line):
        await line.hear()
        await line.say(HELLO)
        await line.gone()

    peer.follows(script)
    await whole(await ask(pool))
    with pytest.raises(FirstByteTimeout):
        await ask(pool, timeouts=ExchangeTimeouts(connect_s=5, first_byte_s=0.02), method="GET")
    assert (peer.connects, pool.retried_total) == (1, 0)


async def test_refused_connection():
    """Nobody listens: ConnectFailed, with the reason and the system's error behind it."""
    port = closed_port()
    for host in ("127.0.0.1", "localhost"):
        pool = Pool(Origin("http", host, port))
        with pytest.raises(ConnectFailed, match=f"^{host}:{port}: could not connect: ") as raised:
            await ask(pool)
        assert isinstance(raised.value.__cause__, OSError)
        assert (pool.idle, pool.active, pool.opened_total) == (0, 0, 0)
        await pool.aclose()


@pytest.mark.parametrize("host", ["name.invalid", "a..b", "x" * 70])
async def test_unknown_name(host: str):
    """A name that does not resolve, or is none, is ConnectFailed."""
    pool = Pool(Origin("http", host, 80))
    with pytest.raises(ConnectFailed):
        await ask(pool)
    await pool.aclose()


async def test_name_is_resolved(peer: Peer):
    """A host name whose first address may refuse (``localhost`` as ::1) is reached at another
    one.
    """
    peer.follows(answers(HELLO))
    pool = Pool(Origin("http", "localhost", peer.port))
    assert await whole(await ask(pool)) == b"hello"
    await pool.aclose()


@pytest.mark.parametrize("is_kept", [False, True])
async def test_cancelled_send_closes_the_connection(peer: Peer, pool: Pool, is_kept: bool):
    """A caller that goes while it waits for the head takes the connection with it, so that the
    upstream stops.
    """
    was_heard = asyncio.Event()

    async def script(line: Line):
        if is_kept:
            await line.hear()
            await line.say(HELLO)
        await line.hear()
        was_heard.set()
        await line.gone()

    peer.follows(script)
    if is_kept:
        await whole(await ask(pool))
    task = asyncio.get_running_loop().create_task(ask(pool))
    await was_heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()
    assert (peer.connects, pool.retried_total) == (1, 0)


async def test_cancelled_read_closes_the_connection(peer: Peer, pool: Pool):
    """A caller that goes in mid-body takes the connection with it."""
    peer.follows(answers(ENDLESS))
    reply = await ask(pool)
    assert await reply.read() == b"hello"
    task = asyncio.get_running_loop().create_task(reply.read())
    await until(lambda: reply.is_awaited)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()
    with pytest.raises(UpstreamCut):
        await reply.read()


async def test_cancelled_write_closes_the_connection(peer: Peer, pool: Pool):
    """A caller that goes while an upstream does not read its request takes the connection with
    it.
    """
    was_called, may_read = asyncio.Event(), asyncio.Event()

    async def script(line: Line):
        was_called.set()
        await may_read.wait()
        await line.gone()

    peer.follows(script)
    task = asyncio.get_running_loop().create_task(ask(pool, b"x" * 30_000_000))
    await was_called.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_read.set()
    await peer.done()
    assert (pool.idle, pool.active) == (0, 0)


async def test_closed_coroutine_closes_the_connection(peer: Peer, pool: Pool):
    """A coroutine that is closed instead of cancelled (GeneratorExit) leaves nothing behind
    either.
    """
    peer.follows(answers(ENDLESS))
    reply = await ask(pool)
    await reply.read()
    reading = reply.read()
    reading.send(None)
    reading.close()
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()


async def test_cancellation_after_the_response_spares_the_kept_connection(peer: Peer, pool: Pool):
    """If the response was complete in the very turn of the cancellation, the connection is idle
    already and stays so.
    """
    peer.follows(answers(HELLO, HELLO))
    task = asyncio.get_running_loop().create_task(ask(pool))
    await until(lambda: pool.idle)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (pool.idle, pool.active) == (1, 0)
    assert await whole(await ask(pool)) == b"hello"
    assert peer.connects == 1


async def test_cancelled_connect_leaves_nothing(peer: Peer):
    """A caller that goes while it connects leaves no socket."""
    peer.follows(answers(HELLO))
    for turns in range(12):
        pool = Pool(peer.origin)
        task = asyncio.get_running_loop().create_task(ask(pool))
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        assert pool.active == 0
        await pool.aclose()
    await peer.done()


async def test_abort_closes_at_once_and_again_does_nothing(peer: Peer, pool: Pool):
    """`abort` ends the exchange for the upstream; what was held is gone, and nothing waits or
    raises.
    """
    peer.follows(answers(ENDLESS))
    reply = await ask(pool)
    reply.abort()
    reply.abort()
    assert (pool.idle, pool.active) == (0, 0)
    assert reply.read_nowait() is None
    await peer.done()
    with pytest.raises(UpstreamCut):
        await reply.read()


async def test_abort_of_a_complete_reply_spares_the_connection(peer: Peer, pool: Pool):
    """The connection of a complete response is not the reply's any more."""
    peer.follows(answers(HELLO, HELLO))
    (await ask(pool)).abort()
    assert await whole(await ask(pool)) == b"hello"
    assert peer.connects == 1


async def test_closing_the_pool_ends_everything(peer: Peer):
    """`aclose` closes idle connections, fails the exchanges in flight and returns when the sockets
    are closed.
    """
    was_heard = asyncio.Event()

    async def silent(line: Line):
        await line.hear()
        was_heard.set()
        await line.gone()

    peer.follows(answers(HELLO), answers(ENDLESS), silent)
    pool = Pool(peer.origin)
    loop = asyncio.get_running_loop()
    first = await ask(pool)
    assert pool.idle == 1
    # So that the next one is a new connection beside it.
    pool._idle._idle[0] = (pool._idle._idle[0][0], -1e9, -1e9)
    del first
    streaming = await ask(pool)
    await streaming.read()
    waiting = loop.create_task(ask(pool))
    await was_heard.wait()
    await pool.aclose()
    with pytest.raises(UpstreamReset, match="pool"):
        await waiting
    with pytest.raises(UpstreamCut, match="pool"):
        await streaming.read()
    await peer.done()
    with pytest.raises(ConnectFailed):
        await ask(pool)
    await pool.aclose()


async def test_replies_leave_no_cycles(peer: Peer, pool: Pool):
    """A reply is freed when its holder lets go, without the garbage collector: complete, failed or
    aborted.
    """
    was_read = asyncio.Event()

    async def turns_bad(line: Line):
        await line.hear()
        await line.say(ENDLESS)
        await was_read.wait()
        await line.say(b"zz\r\n")
        await line.gone()

    peer.follows(answers(HELLO), answers(ENDLESS), turns_bad, answers_and_closes(ENDLESS))
    gc.disable()
    try:
        for act in ("whole", "abort", "malformed", "cut"):
            reply = await ask(pool)
            gone = weakref.ref(reply)
            if act == "whole":
                assert await whole(reply) == b"hello"
                pool._idle._idle[0][0].abort()
            elif act == "abort":
                reply.abort()
            else:
                assert await reply.read() == b"hello"
                was_read.set()
                with pytest.raises((UpstreamMalformed, UpstreamCut)):
                    await whole(reply)
            del reply
            await until(lambda: not pool._unclosed)
            assert gone() is None, act
    finally:
        gc.enable()


async def test_early_response_is_delivered(peer: Peer, pool: Pool):
    """An upstream that refuses a request before it has read it is heard, and the connection is not
    used again.
    """

    async def script(line: Line):
        await line.reader.readuntil(b"\r\n\r\n")
        await line.say(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await line.gone()

    peer.follows(script)
    reply = await ask(pool, b"x" * 30_000_000)
    assert (reply.status, await whole(reply)) == (413, b"big")
    assert (pool.idle, pool.active) == (0, 0)


async def test_many_exchanges_at_once(peer: Peer, pool: Pool):
    """Responses never cross: each exchange has a connection of its own until it ends."""

    async def echo(line: Line):
        while heard := await line.hear():
            body = heard.partition(b"\r\n\r\n")[2]
            await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    peer.follows(echo)

    async def work(number: int):
        for turn in range(10):
            body = b"%d-%d" % (number, turn) * (1 + number * 50)
            assert await whole(await ask(pool, body, timeouts=PATIENT)) == body

    await asyncio.gather(*(work(number) for number in range(20)))
    assert (pool.idle, pool.active) == (20, 0)
    assert pool.opened_total == 20


async def test_callers_that_come_and_go(peer: Peer, pool: Pool):
    """Hundreds of callers, some of whom leave at any moment: the others get their own responses,
    and nothing leaks.
    """

    async def echo(line: Line):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while heard := await line.hear():
                body = heard.partition(b"\r\n\r\n")[2]
                await line.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(body), 40_000):
                    piece = body[at : at + 40_000]
                    await line.say(b"%x\r\n%s\r\n" % (len(piece), piece))
                await line.say(b"0\r\n\r\n")

    peer.follows(echo)
    loop = asyncio.get_running_loop()
    dice = random.Random(7)

    async def call(number: int) -> str:
        body = b"%d," % number * dice.choice([1, 100, 20_000])
        reply = await ask(pool, body)
        if dice.random() < 0.2:
            reply.abort()
            return "aborted"
        assert await whole(reply) == body
        return "served"

    async def caller(first: int) -> list[str]:
        ends = []
        for number in range(first, first + 20):
            task = loop.create_task(call(number))
            if dice.random() < 0.4:
                for _ in range(dice.randrange(30)):
                    await asyncio.sleep(0)
                task.cancel()
            try:
                ends.append(await task)
            except asyncio.CancelledError:
                ends.append("cancelled")
        return ends

    ends = await asyncio.gather(*(caller(first * 100) for first in range(20)))
    assert {end for each in ends for end in each} == {"served", "aborted", "cancelled"}
    assert pool.active == 0
    await until(lambda: len(pool._unclosed) == pool.idle)

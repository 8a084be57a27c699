"""Where a response begins and ends."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.domain.errors import UpstreamCut, UpstreamMalformed, UpstreamReset
from sidecar.http1.pool import Pool
from tests.contract.http1.peer import HELLO, Peer, answers, answers_and_closes, ask, whole

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_response_is_handed_over_as_received(peer: Peer, pool: Pool):
    """Status and header fields arrive as they stood on the wire: case, order, repetition and
    bytes.
    """
    peer.follows(
        answers(
            b"HTTP/1.1 429 Slow Down\r\nX-B: \xe9\r\nset-cookie: a\r\nSET-COOKIE: b\r\nE:\r\nContent-Length: 2\r\n\r\nno"
        )
    )

    reply = await ask(pool, b"hi")

    headers = [
        (b"X-B", b"\xe9"),
        (b"set-cookie", b"a"),
        (b"SET-COOKIE", b"b"),
        (b"E", b""),
        (b"Content-Length", b"2"),
    ]
    assert (429, headers, 2) == (reply.status, reply.headers, reply.content_length)
    assert await whole(reply) == b"no"


async def test_a_response_in_one_segment_is_whole_at_once(peer: Peer, pool: Pool):
    """Head and body of one segment need no second wait, and the connection is back before anybody
    reads.
    """
    peer.follows(answers(HELLO))

    reply = await ask(pool)

    assert (pool.idle, pool.active) == (1, 0)
    assert reply.read_nowait() == b"hello"
    assert await reply.read() == b""


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
        (CHUNKED + b"5;ext=1\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n", b"hello"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO, b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + HELLO, b"hello"),
        (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    ],
)
async def test_clean_end_keeps_the_connection(peer: Peer, pool: Pool, said: bytes, body: bytes):
    """A response that ends by its own framing leaves a connection that serves the next exchange."""
    peer.follows(answers(said, HELLO))

    first = await ask(pool)
    assert await whole(first) == body
    assert await whole(await ask(pool)) == b"hello"
    assert (peer.connects, pool.opened_total, pool.idle) == (1, 1, 1)
    assert not [name for name, _ in first.headers if name in {b"X-Trailer", b"ProviderClient"}]


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        HELLO + b"HTTP/1.1 200 OK\r\n",
        HELLO + b"H",
        HELLO + HELLO,
        HELLO + b"\0garbage",
    ],
)
async def test_doubtful_end_closes_the_connection(peer: Peer, pool: Pool, said: bytes):
    """A complete response is delivered, but a connection that says close, is HTTP/1.0 or babbles on
    is not used again.
    """
    peer.follows(answers(said))

    assert await whole(await ask(pool)) == b"hello"
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_close_delimited_body_ends_with_the_connection(
    peer: Peer, pool: Pool, version: bytes
):
    """Without length or chunks the end of the connection is the proper end, and nothing is
    pooled.
    """
    peer.follows(answers_and_closes(b"HTTP/%s 200 OK\r\nX: y\r\n\r\nhello" % version))

    reply = await ask(pool)
    assert reply.content_length is None
    assert await whole(reply) == b"hello"
    assert await reply.read() == b""
    assert (pool.idle, pool.active) == (0, 0)


async def test_close_delimited_body_that_is_reset_is_cut(peer: Peer, pool: Pool):
    """A reset is no proper end of a close-delimited body."""
    was_read = asyncio.Event()

    async def script(line):
        await line.hear()
        await line.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await was_read.wait()
        line.reset()

    peer.follows(script)
    reply = await ask(pool)
    assert await reply.read() == b"hello"
    was_read.set()
    with pytest.raises(UpstreamCut, match=f"127.0.0.1:{peer.port}") as raised:
        await whole(reply)
    assert isinstance(raised.value.__cause__, ConnectionError)


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
async def test_a_response_to_head_has_no_body(peer: Peer, pool: Pool, said: bytes):
    """The announced length of a response to HEAD is not waited for; the connection is not trusted
    any further.
    """
    peer.follows(answers(said))

    reply = await ask(pool, method="HEAD")

    assert reply.read_nowait() == b""
    await peer.done()
    assert (pool.idle, pool.active) == (0, 0)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"9\r\nhello",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
async def test_early_close_is_a_cut(peer: Peer, pool: Pool, said: bytes):
    """What arrived is read, then the missing end is an error: a fragment never passes for the
    whole.
    """
    peer.follows(answers_and_closes(said))

    reply = await ask(pool)
    assert reply.read_nowait() is None
    assert await reply.read() == b"hello"
    with pytest.raises(UpstreamCut):
        await reply.read()
    with pytest.raises(UpstreamCut):
        await reply.read()


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46" * 8,
        b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\nwhatever",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 257 + b"Content-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 66000 + b"\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300000,
        b"HTTP/1.1 " + b"2" * 70000,
        b"HTTP/1.1 200 " + b"O" * 70000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    ],
    ids=lambda said: str(len(said)),
)
async def test_nonsense_before_the_body_is_malformed(peer: Peer, pool: Pool, said: bytes):
    """What is not HTTP/1, is ambiguous or breaks a limit fails `send`, and the message repeats none
    of it.
    """
    peer.follows(answers(said))

    with pytest.raises(UpstreamMalformed) as raised:
        await whole(await ask(pool))
    assert f"127.0.0.1:{peer.port}: " in str(raised.value)
    assert "hello" not in str(raised.value)
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()


@pytest.mark.parametrize(
    "said",
    [b"zz\r\n", b"5\r\nhelloXX", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\nhello\n", b"0\r\nX: " + b"y" * 300000,
     b"0\r\n" + b"X: y\r\n" * 60000, b"1;" + b"e" * 300000],
    ids=lambda said: str(len(said)),
)  # fmt: skip
async def test_nonsense_in_the_body_is_malformed(peer: Peer, pool: Pool, said: bytes):
    """Broken chunks, and trailers or chunk extensions without end, fail the read after what was
    good.
    """
    was_read = asyncio.Event()

    async def script(line):
        await line.hear()
        await line.say(CHUNKED + b"5\r\nhello\r\n")
        await was_read.wait()
        await line.say(said)
        await line.gone()

    peer.follows(script)
    reply = await ask(pool)
    assert await reply.read() == b"hello"
    was_read.set()
    with pytest.raises(UpstreamMalformed):
        await whole(reply)
    assert (pool.idle, pool.active) == (0, 0)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
async def test_close_before_the_head_is_a_reset(peer: Peer, pool: Pool, said: bytes):
    """A new connection that closes before its response's head is whole is an UpstreamReset, and
    nothing is tried again.
    """
    peer.follows(answers_and_closes(said))

    with pytest.raises(UpstreamReset, match=f"127.0.0.1:{peer.port}"):
        await ask(pool)
    assert (peer.connects, pool.idle, pool.active) == (1, 0, 0)


@pytest.mark.parametrize(
    "said",
    [
        CHUNKED + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_a_stream_without_a_byte_never_began(peer: Peer, pool: Pool, said: bytes):
    """However properly it ends: nothing has gone to the app yet, and another candidate may
    serve.
    """
    peer.follows(answers_and_closes(said))

    with pytest.raises(UpstreamReset, match="before its first byte"):
        await (await ask(pool)).begin()


async def test_a_status_that_has_no_body_is_a_response(peer: Peer, pool: Pool):
    """A 204 is whole with its head."""
    peer.follows(answers(b"HTTP/1.1 204 No Content\r\n\r\n"))

    reply = await ask(pool)
    await reply.begin()
    assert reply.read_nowait() == b""


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nT: t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello",
    ],
)
async def test_one_byte_at_a_time(peer: Peer, pool: Pool, said: bytes):
    """How a response is cut into segments changes nothing."""

    async def script(line):
        await line.hear()
        for at in range(len(said)):
            await line.say(said[at : at + 1])

    peer.follows(script)
    reply = await ask(pool)
    assert (reply.status, reply.headers[0]) == (200, (b"X", b"y"))
    assert await whole(reply) == b"hello"

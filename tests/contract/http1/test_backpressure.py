"""A slow side slows the other one down; what waits between them is bounded."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from sidecar.http1.channel import WRITE_BYTES
from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.pool import Pool
from sidecar.http1.response import BUFFERED_BYTES, SHORT_BODY_BYTES
from tests.contract.http1.peer import Line, Peer, ask, until, whole

TURN_BYTES = 256 * 1024
"""The most that any of the transports reads in one turn of the loop."""
HIGH_WATER_BYTES = 64 * 1024
"""What a transport holds before it pauses its protocol."""


async def test_slow_reader_pauses_the_upstream(peer: Peer, pool: Pool):
    """A response that nobody reads stops at the bound, and goes on without loss when it is read."""
    block = bytes(range(256)) * 256
    blocks = 400

    async def script(line: Line):
        await line.hear()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(block) * blocks))
        for _ in range(blocks):
            await line.say(block)
        await line.gone()

    peer.follows(script)
    reply = await ask(pool)
    connection = reply.source
    assert isinstance(connection, UpstreamConnection)
    await until(lambda: connection._channel._is_read_paused)
    for _ in range(50):
        await asyncio.sleep(0)
    assert BUFFERED_BYTES < reply.buffered_bytes <= BUFFERED_BYTES + TURN_BYTES
    assert reply.read_nowait() is None
    digest, biggest = hashlib.sha256(), 0
    while piece := await reply.read():
        digest.update(piece)
        biggest = max(biggest, len(piece))
    assert digest.digest() == hashlib.sha256(block * blocks).digest()
    assert biggest <= BUFFERED_BYTES + TURN_BYTES
    assert (pool.idle, pool.active) == (1, 0)


@pytest.mark.parametrize("size", [BUFFERED_BYTES + 1, SHORT_BODY_BYTES])
async def test_a_short_body_pauses_nobody(peer: Peer, pool: Pool, size: int):
    """An announced body of up to 256 KiB is taken whole, so that its connection is free before it
    is read.
    """

    async def script(line: Line):
        await line.hear()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        await line.say(b"x" * size)
        await line.gone()

    peer.follows(script)
    reply = await ask(pool)
    await until(lambda: pool.idle == 1)
    assert reply.read_nowait() == b"x" * size


async def test_slow_upstream_pauses_the_writer(peer: Peer, pool: Pool):
    """A request that the upstream does not read waits in batches, and arrives without loss when it
    does.
    """
    may_read = asyncio.Event()
    body = bytes(range(256)) * 120_000

    async def script(line: Line):
        await may_read.wait()
        head = await line.reader.readuntil(b"\r\n\r\n")
        assert head.endswith(b"Content-Length: %d\r\n\r\n" % len(body))
        digest, left = hashlib.sha256(), len(body)
        while left:
            data = await line.reader.read(65536)
            digest.update(data)
            left -= len(data)
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n" + digest.digest())
        await line.gone()

    peer.follows(script)
    task = asyncio.get_running_loop().create_task(ask(pool, body))
    await until(lambda: pool._live)
    (connection,) = pool._live
    await until(lambda: connection._channel.is_write_paused)
    for _ in range(50):
        await asyncio.sleep(0)
        transport = connection._channel.transport
        assert transport is not None
        assert transport.get_write_buffer_size() <= WRITE_BYTES + HIGH_WATER_BYTES
    may_read.set()
    assert await whole(await task) == hashlib.sha256(body).digest()
    assert (pool.idle, pool.active) == (1, 0)

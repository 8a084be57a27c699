"""The framing of chunked bodies: sizes, extensions and trailers are no way around the limits of a body.
12 GB of extensions went through one call in 35 s.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sidecar.app import App
from sidecar.runtime.lifecycle import Tasks
from tests.support.faults import Fault
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

KIB = 1024
MIB = 1 << 20
GOOD = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PIECES = 256
"""Of 64 KiB: more than a refusal lets through, sockets' buffers included."""

TASKS = Tasks()


class Framed(NamedTuple):
    """A sidecar whose bodies may have 1 MiB, and the provider behind it."""

    app: App
    provider: ScriptedProvider


@pytest.fixture
async def framed(either_listener_path: None, tmp_path: Path) -> AsyncIterator[Framed]:
    """On either way into aiohttp."""
    async with ScriptedProvider() as provider:
        config = sidecar_config(provider.url, limits={"body_bytes": MIB})
        async with running_app(config, tmp_path) as app:
            yield Framed(app, provider)


def extension() -> Iterator[bytes]:
    """One chunk whose extension has no end."""
    yield b"2;"
    yield from itertools.repeat(b"a" * 64 * KIB, PIECES)


def extensions() -> Iterator[bytes]:
    """Chunks of one byte, each with an extension of 4 KiB."""
    yield from itertools.repeat(b"1;" + b"a" * 4 * KIB + b"\r\n \r\n", PIECES * 16)


def zeros() -> Iterator[bytes]:
    """A size that begins with zeros and has no end."""
    yield from itertools.repeat(b"0" * 64 * KIB, PIECES)


def trailers() -> Iterator[bytes]:
    """Fields behind the last chunk."""
    yield b"%x\r\n%b\r\n0\r\n" % (len(GOOD), GOOD)
    yield from itertools.repeat(b"x: " + b"a" * 32 * KIB + b"\r\n", PIECES * 2)


async def send_until_answered(
    port: int, head: bytes, pieces: Iterable[bytes]
) -> tuple[RawReply | None, int]:
    """Send pieces until an answer comes, or the connection ends; return it, and how much was taken."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        answer = TASKS.spawn(read_reply(reader), name="the answer")
        taken = 0
        try:
            for piece in pieces:
                if answer.done():
                    break
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), 5)
                taken += len(piece)
        except (ConnectionError, TimeoutError):
            pass
        try:
            return await answer, taken
        except ConnectionError:
            return None, taken
        finally:
            writer.transport.abort()


@pytest.mark.parametrize("pieces", [extension, extensions, zeros, trailers])
async def test_framing_counts_as_body(framed, pieces):
    """It is refused where it is longer than a body may be, and the rest of it is not read."""
    reply, taken = await send_until_answered(framed.app.ports.data, CHUNKED, pieces())

    assert taken < (PIECES - 1) * 64 * KIB
    assert reply is not None
    assert reply.status in {400, 413}
    assert 0 == framed.provider.seen


async def test_framing_behind_a_request_that_is_served_is_not_read_without_end(framed):
    """The next request's chunks come while a stream goes on."""
    hold = asyncio.Event()
    framed.provider.script.next(Fault(hold=hold))
    length = b"Content-Length: %d\r\n\r\n" % len(GOOD)
    sending = TASKS.spawn(
        send_until_answered(framed.app.ports.data, HEAD + length + GOOD + CHUNKED, extension()),
        name="an app that sends ahead",
    )
    await framed.provider.wait_for_requests(1)
    await asyncio.wait({sending}, timeout=1)
    hold.set()
    reply, taken = await sending

    assert taken < (PIECES - 1) * 64 * KIB
    assert reply is not None
    assert (200, 1) == (reply.status, framed.provider.seen)


async def test_a_body_in_tiny_chunks_is_served(framed):
    """As a JSON encoder's pieces are sent one by one: its framing is five times the body."""
    filler = GOOD + b" " * 60 * KIB
    chunks = b"".join(b"1\r\n%b\r\n" % filler[at : at + 1] for at in range(len(filler)))
    reply = await exchange(framed.app.ports.data, CHUNKED + chunks + b"0\r\n\r\n")

    assert 200 == reply.status


async def test_a_chunked_body_of_the_longest_length_is_served(framed):
    """Its framing does not count as long as it is shorter than the limit itself."""
    body = GOOD + b" " * (MIB - len(GOOD))
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (KIB, body[at : at + KIB]) for at in range(0, MIB, KIB))
    reply = await exchange(framed.app.ports.data, CHUNKED + chunks + b"0\r\nx: y\r\n\r\n")

    assert 200 == reply.status


async def test_http_10_has_no_chunks(framed):
    """RFC 9112, 6.1: its framing is faulty, and what follows is anybody's guess."""
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    request = (CHUNKED + chunks).replace(b"HTTP/1.1\r\n", b"HTTP/1.0\r\nConnection: keep-alive\r\n")
    reply = await exchange(framed.app.ports.data, request)

    assert (400, "invalid_request", "close", 0) == (
        reply.status,
        reply.header("x-plano-error"),
        reply.header("connection"),
        framed.provider.seen,
    )

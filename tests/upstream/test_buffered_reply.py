"""An error whose beginning was read reaches the app byte for byte."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from sidecar.domain.errors import UpstreamCut, UpstreamError
from sidecar.runtime.memory_budget import MemoryBudget
from sidecar.upstream.buffered_reply import READ_AT_MOST, READ_AT_MOST_S, BufferedReply


class _Reply:
    """A reply whose body comes in pieces, the last of which may be an error."""

    status, headers, content_length = 503, ((b"a", b"b"),), None
    sends = 1

    def __init__(self, *pieces: bytes | UpstreamError, whole: bytes | None = None) -> None:
        self.pieces = list(pieces)
        self._whole = whole
        self.is_aborted = False

    def in_s(self, duration_s: float) -> float:
        return duration_s

    async def wait_for_more(self, seen_bytes: int, by_s: float) -> bool:
        """Whether a piece comes in time; without one the time passes at once."""
        assert (0, READ_AT_MOST_S) == (seen_bytes, by_s)
        if self.pieces and isinstance(error := self.pieces[0], UpstreamError):
            raise error
        return bool(self.pieces)

    def read_nowait(self) -> bytes | None:
        return self._whole

    async def read(self) -> bytes:
        piece = self.pieces.pop(0)
        assert not isinstance(piece, UpstreamError)
        return piece

    def abort(self) -> None:
        self.is_aborted = True


def _buffered(*pieces: Any, whole: bytes | None = None) -> tuple[BufferedReply, _Reply]:
    reply: Any = _Reply(*pieces, whole=whole)
    return BufferedReply(reply), reply


async def _rest(reply: BufferedReply) -> bytes:
    pieces = []
    while piece := await reply.read():
        pieces.append(piece)
    return b"".join(pieces)


async def test_a_body_that_is_here_is_taken_at_once():
    """Nothing is waited for, and it can be read either way."""
    buffered, _ = _buffered(whole=b"all")

    assert (True, b"all", b"all") == (buffered.is_whole, buffered.beginning, buffered.read_nowait())
    assert (b"all", b"") == (await buffered.read(), await buffered.read())
    assert (503, ((b"a", b"b"),), None) == (
        buffered.status,
        buffered.headers,
        buffered.content_length,
    )


async def test_a_body_in_pieces_is_read_to_its_end():
    """Then it is whole."""
    buffered, _ = _buffered(b"a", b"b", b"")
    assert (False, None) == (buffered.is_whole, buffered.read_nowait())
    await buffered.fill()

    assert (b"ab", b"ab") == (buffered.beginning, buffered.read_nowait())


async def test_of_a_long_body_only_the_beginning_is_waited_for():
    """The rest is read from the provider as the app reads it."""
    long = b"x" * READ_AT_MOST
    buffered, _ = _buffered(long, b"tail", b"")
    await buffered.fill()

    assert (False, long) == (buffered.is_whole, buffered.beginning)
    assert long + b"tail" == await _rest(buffered)


async def test_a_slow_body_is_not_waited_for():
    """Another candidate waits to be tried; an app that is shown this error gets all of it."""
    buffered, reply = _buffered(b"begins")
    await buffered.fill()
    assert (False, b"begins") == (buffered.is_whole, buffered.beginning)

    reply.pieces += [b"ends", b""]
    assert b"beginsends" == await _rest(buffered)


async def test_a_body_that_breaks_breaks_where_it_did():
    """What came before is read first."""
    buffered, _ = _buffered(b"begins", UpstreamCut("cut"))
    await buffered.fill()

    assert b"begins" == await buffered.read()
    with pytest.raises(UpstreamCut):
        await buffered.read()


def test_aborting_drops_what_was_buffered_and_the_connection():
    """Nobody will read it."""
    buffered, reply = _buffered(whole=b"all")
    buffered.abort()

    assert (b"", True) == (buffered.beginning, reply.is_aborted)


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        (b"gzip", gzip.compress),
        (b"X-Gzip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"br", lambda body: body),
        (b"gzip", lambda body: body),  # it is none
        (b"gzip", lambda body: gzip.compress(body)[:-12]),  # cut
    ],
)
async def test_a_compressed_refusal_is_read_all_the_same(coding, pack):
    """Where the app may ask for compression, or a proxy on the way compresses; it goes on as it
    came.
    """
    body = b"Invalid `signature` in `thinking` block"
    packed = pack(body)
    buffered, _ = _buffered(whole=packed)
    buffered.headers = [(b"content-language!", b"gzip"), (b"Content-Encoding", coding)]

    assert buffered.readable[:20] == body[:20]
    assert packed == buffered.read_nowait()


async def test_no_more_is_decompressed_than_is_read():
    """A bomb of a megabyte's zeros."""
    buffered, _ = _buffered(whole=gzip.compress(bytes(1 << 20)))
    buffered.headers = [(b"content-encoding", b"gzip")]

    assert READ_AT_MOST == len(buffered.readable)


@pytest.mark.parametrize("end", ["read", "abort"])
async def test_what_is_read_of_an_error_takes_memory_until_it_is_let_go(end: str):
    """Where there is none left, the error is judged by what has come, and the rest stays with the
    provider.
    """
    share = MemoryBudget(16_384).share("replies", keeps=1.0)
    reply: Any = _Reply(*[b"x" * 8192] * 4, b"")
    buffered = BufferedReply(reply, share)
    await buffered.fill()
    assert (8192 * 3, 2) == (len(buffered.beginning), len(reply.pieces))
    assert 8192 * 2 - 4096 == share.used_bytes

    if end == "read":
        assert b"x" * 8192 * 4 == await _rest(buffered)
    buffered.abort()
    assert 0 == share.used_bytes

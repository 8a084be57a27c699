"""A provider's answer that is cut somewhere on the wire: no SDK takes the fragment for the
whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct
from typing import Any

import pytest

from tests.support.failing import CHAT, GENERATING_PATHS, MESSAGES, RESPONSES, body_for, good_model
from tests.support.in_process import running_app
from tests.support.net import exchange, json_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sdks import KINDS, Sdks, open_sdks
from tests.support.sidecar_process import sidecar_config

# Thousands of calls that reach what others reach: counting branches doubles the time they take.
pytestmark = pytest.mark.no_cover

CHUNK_BYTES = 200
CUTS = 24
TERMINAL = {CHAT: b"[DONE]", MESSAGES: b"message_stop"}


class Cutter:
    """A provider that sends the first ``cut`` bytes of an answer and hangs up, in order or with a
    reset.
    """

    def __init__(self, wire: bytes) -> None:
        self.wire, self.cut = wire, len(wire)

    async def provide(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            await reader.readexactly(int(length.partition(b":")[2]))
            writer.write(self.wire[: self.cut])
            await writer.drain()
            if self.cut % 2:
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        writer.close()


def chunked(body: bytes) -> bytes:
    pieces = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def answer_of(path: str, *, streams: bool, coding: str, framing: str) -> tuple[bytes, int]:
    """What the demo provider answers, as it stands on the wire, and how many bytes an SDK must have
    got of it.
    """
    async with ScriptedProvider() as provider:
        port = int(provider.url.rpartition(":")[2])
        body = body_for(path, good_model(path), stream=streams)
        reply = await exchange(port, json_request(path, body, {"anthropic-version": "2023-06-01"}))
    assert reply.status == 200
    coded = gzip.compress(reply.body) if coding == "gzip" else reply.body
    kind = b"text/event-stream" if streams else b"application/json"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n" % kind
    if coding == "gzip":
        head += b"Content-Encoding: gzip\r\n"
    if framing == "chunks":
        wire = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(coded)
    elif framing == "length":
        wire = head + b"Content-Length: %d\r\n\r\n" % len(coded) + coded
    else:
        wire = head + b"Connection: close\r\n\r\n" + coded
    if not streams or coding == "gzip":
        return wire, len(wire)
    if path == RESPONSES:
        sent = reply.body.rstrip(b"\n")  # the last event is the answer once more
    else:
        sent = reply.body[: reply.body.rindex(b"\n\n", 0, reply.body.index(TERMINAL[path]))]
    return wire, len(wire) - len(chunked(reply.body) if framing == "chunks" else reply.body) + len(
        sent
    )


def cuts_of(wire: bytes, needed_bytes: int) -> list[int]:
    """Nothing, inside the head, at its end, at and beside chunks' edges, all over the body, and
    just before the end.
    """
    head_bytes = wire.index(b"\r\n\r\n") + 4
    edges = [
        head_bytes,
        head_bytes + 1,
        head_bytes + 4,
        head_bytes + 5,
        head_bytes + CHUNK_BYTES + 4,
    ]
    step = max(1, needed_bytes // CUTS)
    cuts = {
        0,
        1,
        20,
        head_bytes - 1,
        *edges,
        *range(head_bytes, needed_bytes, step),
        *range(needed_bytes - 8, needed_bytes),
    }
    return sorted(cut for cut in cuts if 0 <= cut < needed_bytes)


async def call(sdks: Sdks, path: str, *, streams: bool) -> Any:
    method: Any = {
        CHAT: sdks.openai.chat.completions.create,
        RESPONSES: sdks.openai.responses.create,
        MESSAGES: sdks.anthropic.messages.create,
    }[path]
    ask = sdks.events if streams else sdks.call
    return await ask(method, **body_for(path, good_model(path)))


WAYS = [
    (streams, coding, framing)
    for streams in (True, False)
    for coding in ("identity", "gzip")
    for framing in ("chunks", "length", "close")
    # Where the connection's end is the answer's, only an event stream in the clear says that
    # something is missing.
    if framing != "close" or (streams and coding == "identity")
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("streams", "coding", "framing"), WAYS)
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_whatever_is_cut_the_sdks_raise(tmp_path, path, streams, coding, framing, kind):
    """Cut anywhere before what the SDK needs has come, the call raises; uncut, it works."""
    wire, needed_bytes = await answer_of(path, streams=streams, coding=coding, framing=framing)
    cutter = Cutter(wire)
    provider = await asyncio.start_server(cutter.provide, "127.0.0.1", 0)
    ended_well = []
    async with (
        running_app(
            sidecar_config(f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"), tmp_path
        ) as app,
        open_sdks(f"http://127.0.0.1:{app.ports.data}", kind) as sdks,
    ):
        whole = await call(sdks, path, streams=streams)
        assert whole
        for cut in cuts_of(wire, needed_bytes):
            cutter.cut = cut
            try:
                got = await call(sdks, path, streams=streams)
            except Exception:
                continue
            # Of a compressed stream what came may hold all events: only the checksum behind them is
            # missing then.
            if not (streams and coding == "gzip" and got == whole):
                ended_well.append(cut)
    provider.close()

    assert [] == ended_well

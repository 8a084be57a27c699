"""Streams as providers send them, cut in every place: the app gets the same bytes, Prometheus the
right tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.app import App
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.sidecar_process import sidecar_config

STREAMS = Path(__file__).resolve().parents[1] / "support" / "streams"
PHASES = 64
CASES = {
    "chat_tools": (
        "/v1/chat/completions",
        "openai/gpt-4o",
        {"input": 1342, "output": 57, "cached_input": 1024, "cache_write": 0, "reasoning": 0},
    ),
    "messages_thinking": (
        "/v1/messages",
        "anthropic/claude-demo",
        {"input": 412, "output": 233, "cached_input": 8192, "cache_write": 2048, "reasoning": 0},
    ),
    "responses": (
        "/v1/responses",
        "openai/gpt-4o",
        {"input": 87, "output": 312, "cached_input": 64, "cache_write": 0, "reasoning": 256},
    ),
}


class Player:
    """A provider that answers each call with given pieces of a body, each sent by itself."""

    def __init__(
        self,
        content_type: str = "text/event-stream; charset=utf-8",
        coding: str = "",
        *,
        is_chunked: bool = True,
    ) -> None:
        self.pieces: list[bytes] = []
        self._is_chunked = is_chunked
        framing = "Transfer-Encoding: chunked\r\n" if is_chunked else ""
        self._head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{framing}{coding}\r\n"

    async def provide(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    line
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                await reader.readexactly(int(length.partition(b":")[2]))
                writer.write(self._head.encode())
                for piece in self.pieces:
                    writer.write(
                        b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece
                    )
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n" if self._is_chunked else b"")
        writer.close()


@contextlib.asynccontextmanager
async def _played(player: Player, tmp_path: Path) -> AsyncIterator[App]:
    provider = await asyncio.start_server(player.provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    async with running_app(sidecar_config(url), tmp_path) as app:
        yield app
    provider.close()


async def _ask(app: App, path: str, model: str) -> RawReply:
    body = {"model": model, "stream": True, "messages": [], "input": "hi", "max_tokens": 9}
    return await exchange(app.ports.data, json_request(path, body))


async def _tokens(app: App) -> dict[tuple[str, str], float]:
    """(model, kind or "missing") -> count, as a scrape has them."""
    body = (await exchange(app.ports.admin, raw_request("GET", "/metrics"))).body.decode()
    return {
        (sample.labels["model"], sample.labels.get("kind", "missing")): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if sample.name in ("plano_sidecar_tokens_total", "plano_sidecar_usage_missing_total")
    }


@pytest.mark.parametrize("case", CASES)
async def test_streams_cut_at_64_phases(tmp_path, case):
    """Every byte is once the first and once the last of a piece."""
    path, model, expected = CASES[case]
    stream = (STREAMS / f"{case}.sse").read_bytes()
    player = Player()
    async with _played(player, tmp_path) as app:
        for phase in range(PHASES):
            edges = [0, *range(phase or PHASES, len(stream), PHASES), len(stream)]
            player.pieces = [stream[edges[at] : edges[at + 1]] for at in range(len(edges) - 1)]
            reply = await _ask(app, path, model)
            assert (stream, True) == (reply.body, reply.is_complete)
        tokens = await _tokens(app)

    assert {(model, kind): PHASES * count for kind, count in expected.items()} == tokens


async def test_a_stream_byte_by_byte(tmp_path):
    """1-byte chunks, as some gateways send them."""
    path, model, expected = CASES["chat_tools"]
    stream = (STREAMS / "chat_tools.sse").read_bytes()
    player = Player()
    player.pieces = [stream[at : at + 1] for at in range(len(stream))]
    async with _played(player, tmp_path) as app:
        reply = await _ask(app, path, model)
        tokens = await _tokens(app)

    assert (stream, True) == (reply.body, reply.is_complete)
    assert expected["input"] == tokens[model, "input"]


async def test_what_comes_compressed_passes_untouched_and_counts_as_missing(tmp_path):
    """Nobody inflates it."""
    path, model, _ = CASES["responses"]
    stream = gzip.compress((STREAMS / "responses.sse").read_bytes())
    player = Player(coding="Content-Encoding: gzip\r\n")
    player.pieces = [stream]
    async with _played(player, tmp_path) as app:
        reply = await _ask(app, path, model)
        tokens = await _tokens(app)

    assert (stream, True) == (reply.body, reply.is_complete)
    assert {(model, "missing"): 1} == tokens


@pytest.mark.parametrize("size", [1 << 10, 50 << 20])
async def test_a_long_answer_in_one_line(tmp_path, size):
    """50 MB on one line: the tap gives that line up, the stream goes on, and what comes after it is
    read.
    """
    path, model, expected = CASES["chat_tools"]
    stream = (STREAMS / "chat_tools.sse").read_bytes()
    player = Player()
    player.pieces = [
        b'data: {"x":"',
        *[b"y" * min(size, 1 << 20)] * max(1, size >> 20),
        b'"}\n\n',
        stream,
    ]
    async with _played(player, tmp_path) as app:
        reply = await _ask(app, path, model)
        tokens = await _tokens(app)

    assert (True, sum(map(len, player.pieces))) == (reply.is_complete, len(reply.body))
    assert expected["output"] == tokens[model, "output"]


async def test_an_app_that_leaves_in_mid_stream_is_billed_for_what_came(tmp_path):
    """The attempt counts as cancelled, and the tokens that the provider has told by then count."""
    path, model, expected = CASES["messages_thinking"]
    stream = (STREAMS / "messages_thinking.sse").read_bytes()
    player = Player()
    player.pieces = [stream[: stream.index(b"message_delta")], *[b": ping\n\n"] * (1 << 20)]
    async with _played(player, tmp_path) as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
        writer.write(
            json_request(path, {"model": model, "stream": True, "messages": [], "max_tokens": 9})
        )
        await reader.readuntil(b": ping")
        writer.transport.abort()
        while app.foundation.drain.in_flight:
            await asyncio.sleep(
                0.01
            )  # sleep: nobody is told when a call that was cancelled has ended
        tokens = await _tokens(app)
        body = (await exchange(app.ports.admin, raw_request("GET", "/metrics"))).body

    assert expected["input"] == tokens[model, "input"]
    assert b'model="%b",outcome="cancelled"' % model.encode() in body

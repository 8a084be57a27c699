"""`plano-sidecar tail`: a line a call, for a person."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from sidecar.commands.tail import NoTail, call_line, tail, tailed_lines
from sidecar.listener.server import bind, port_of

PINNED: dict[str, Any] = {
    "time": "2026-01-01T10:20:30.123Z",
    "status": 200,
    "outcome": "ok",
    "total_ms": 812.4567,
    "first_byte_ms": 210.1,
    "source": "pinned",
    "model": "openai/gpt-4o",
    "route": "code",
    "attempts": 1,
    "input_tokens": 1200,
    "output_tokens": 80,
    "cost_usd": 0.0042,
    "session": "0123456789abcdef",
    "flags": "AH",
}
FAILED: dict[str, Any] = {
    "time": "2026-01-01T10:20:31.000Z",
    "status": 503,
    "outcome": "upstream_error",
    "total_ms": 12000.0,
    "requested_model": "anthropic/claude-with-a-very-long-name",
    "attempts": 2,
    "error": "upstream_connect_failed",
    "cause": "connection refused",
    "flags": "UF,URX",
}


def _line(facts: dict[str, Any], *, has_colour: bool = False) -> str:
    return call_line(json.dumps(facts).encode(), has_colour=has_colour)


def test_calls_stand_in_columns():
    """Whatever is missing leaves a mark, and what is too long is cut."""
    assert (
        "10:20:30.123    200     812.5    210.1 pinned    openai/gpt-4o                code           "
        "  1       1200>80  0.004200 01234567 AH"
    ) == _line(PINNED)
    assert (
        "10:20:31.000    503   12000.0        - -         anthropic/claude-with-a-ver~ -              "
        "  2             -         - -        UF,URX  upstream_connect_failed: connection refused"
    ) == _line(FAILED)


@pytest.mark.parametrize(
    ("changes", "colour"),
    [
        ({}, "\x1b[2m"),
        ({"source": "routed"}, "\x1b[32m"),
        ({"outcome": "client_error"}, "\x1b[33m"),
        ({"outcome": "incomplete"}, "\x1b[31m"),
    ],
)
def test_a_terminal_shows_in_colour_how_calls_ended(changes, colour):
    """Elsewhere there is none."""
    line = _line(PINNED | changes, has_colour=True)

    assert (True, True) == (line.startswith(colour), line.endswith("\x1b[0m"))
    assert "\x1b" not in _line(PINNED | changes)


def test_no_text_moves_the_cursor_or_makes_a_second_line():
    """A model's name is the app's to invent."""
    line = _line(PINNED | {"model": "a\nb\x1b[2Jc", "error": "x\r\x07"})

    assert (1, "a?b?[2Jc") == (len(line.splitlines()), line.split()[5])
    assert "\x1b" not in line


def test_calls_that_were_left_out_are_said_to_be():
    """And a line that is no call's is shown as it is."""
    assert "... 12 calls left out: they came faster than they were read" == _line({"dropped": 12})
    assert "no?call" == call_line(b"no\x1bcall", has_colour=False)


async def _from(handler, wishes) -> list[bytes]:
    server = web.Server(handler)
    (listening,) = await bind(server, ["127.0.0.1"], 0, "a port")
    await listening.start_serving()
    try:
        address = f"127.0.0.1:{port_of(listening)}"
        return [line async for line in tailed_lines(address, wishes)]
    finally:
        listening.close()
        await server.shutdown(1)


async def test_the_head_of_the_columns_waits_for_a_sidecar_that_answers(capsys):
    """A failure alone is printed where there is nothing to follow."""
    arguments = argparse.Namespace(
        admin="127.0.0.1:1", model=None, route=None, status=None, session=None, json=False
    )
    code = await asyncio.to_thread(tail, arguments)
    printed = capsys.readouterr()

    assert (1, "") == (code, printed.out)
    assert "tail: no operators' pages answer at 127.0.0.1:1" in printed.err


async def test_lines_are_read_until_the_sidecar_ends():
    """With the wishes as a query."""

    async def handler(request: web.BaseRequest) -> web.Response:
        body = b'{"a":1}\n{"b":2}\n' if request.query == {"status": "5xx"} else b""
        return web.Response(body=body, content_type="application/x-ndjson")

    assert [b'{"a":1}', b'{"b":2}'] == await _from(handler, {"status": "5xx"})


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (lambda: web.json_response({"error": "enough readers"}, status=503), "enough readers"),
        (lambda: web.Response(text="hello"), "no operators' pages of a sidecar"),
    ],
)
async def test_what_is_no_tail_says_why(response, why):
    """A refusal, or another server."""

    async def handler(request: web.BaseRequest) -> web.Response:
        made: web.Response = response()
        return made

    with pytest.raises(NoTail, match=why):
        await _from(handler, {})


async def test_a_sidecar_that_is_not_there_is_named():
    """By the address that was given."""
    with pytest.raises(NoTail, match=r"127\.0\.0\.1:1"):
        [line async for line in tailed_lines("127.0.0.1:1", {})]

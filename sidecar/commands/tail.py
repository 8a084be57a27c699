"""Calls of a running sidecar as they end, as `plano-sidecar tail` shows them: one line each."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final, TextIO

import aiohttp
import msgspec

from sidecar.commands.operators_client import operators_client
from sidecar.commands.shell import FAILED, OK, is_coloured, run_loop
from sidecar.domain.ids import as_shown
from sidecar.listener.tail_page import TAIL_PATH

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=3.0)
_LINE_BYTES: Final = 1 << 20
"""A longer line is no call's."""
_COLUMNS: Final = (
    ("TIME", 12),
    ("STATUS", -6),
    ("MS", -9),
    ("FIRST", -8),
    ("SOURCE", 9),
    ("MODEL", 28),
    ("ROUTE", 14),
    ("TRY", -3),
    ("TOKENS", -13),
    ("USD", -9),
    ("SESSION", 8),
)
"""Head and width of each column, right-aligned where it is below zero; flags and error follow."""
_HEAD: Final = " ".join(
    [*(name.ljust(width) if width > 0 else name.rjust(-width) for name, width in _COLUMNS), "NOTES"]
)
_PLAIN, _DIM, _GREEN, _YELLOW, _RED = "", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"
_END: Final = "\x1b[0m"


class TailedCall(msgspec.Struct):
    """What a line says of a call; whatever else it says is left alone."""

    time: str = ""
    status: int = 0
    outcome: str = ""
    total_ms: float = 0.0
    first_byte_ms: float | None = None
    source: str | None = None
    model: str | None = None
    requested_model: str | None = None
    route: str | None = None
    attempts: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    session: str | None = None
    flags: str = ""
    error: str | None = None
    cause: str | None = None
    dropped: int | None = None
    """Calls that are missing before the next line, since this reader was too slow."""


class NoTail(Exception):
    """There is nothing to follow; the text says why."""


def tail(arguments: argparse.Namespace) -> int:
    """Print calls as they end, until the sidecar ends, or the reader has enough."""
    return run_loop(_tail(arguments, os.environ))


async def _tail(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    has_colour = is_coloured(sys.stdout, environ)
    session = arguments.session
    wishes = {
        "model": arguments.model,
        "route": arguments.route,
        "status": arguments.status,
        # As logs show it: a session's own name goes nowhere.
        "session": None if session is None else as_shown(session),
    }
    given = {name: value for name, value in wishes.items() if value is not None}
    try:
        show_head = _no_head if arguments.json else _print_head
        lines = tailed_lines(arguments.admin, given, show_head)
        async with contextlib.aclosing(lines):  # also where `head` has had enough
            await _print(lines, sys.stdout, is_json=arguments.json, has_colour=has_colour)
    except NoTail as error:
        print(f"tail: {error}", file=sys.stderr)
        return FAILED
    print("tail: the sidecar has ended", file=sys.stderr)
    return OK


async def _print(
    lines: AsyncIterator[bytes], out: TextIO, *, is_json: bool, has_colour: bool
) -> None:
    async for line in lines:
        text = line.decode(errors="replace") if is_json else call_line(line, has_colour=has_colour)
        print(text, file=out, flush=True)


def _print_head() -> None:
    print(_HEAD, flush=True)


def _no_head() -> None:
    pass


async def tailed_lines(
    address: str, wishes: Mapping[str, str], on_open: Callable[[], None] = _no_head
) -> AsyncGenerator[bytes, None]:
    """Yield a running sidecar's lines, one JSON object each, until it ends.

    Args: ``address`` is that of its operators' pages; ``wishes`` as `call_feed.call_filter`;
        ``on_open`` is called once it has said yes.
    Raises: NoTail.
    """
    try:
        async with (
            operators_client(address) as (client, url),
            client.get(
                url + TAIL_PATH, params=wishes, timeout=_TIMEOUT, read_bufsize=_LINE_BYTES
            ) as reply,
        ):
            if reply.status != 200 or reply.content_type != "application/x-ndjson":
                raise NoTail(f"{address}: {_why(await reply.read())}")
            on_open()
            async for line in reply.content:
                yield line.rstrip(b"\n")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise NoTail(f"no operators' pages answer at {address}, or they have ended") from error


def call_line(line: bytes, *, has_colour: bool) -> str:
    """Return one call as a line for a person; nothing in it moves a terminal's cursor."""
    try:
        call = msgspec.json.decode(line, type=TailedCall)
    except ValueError:
        return _printable(line.decode(errors="replace"))
    if call.dropped is not None:
        return f"... {call.dropped} calls left out: they came faster than they were read"
    cells = zip(_cells(call), _COLUMNS, strict=True)
    row = " ".join(_cell(_printable(text), width) for text, (_, width) in cells)
    text = f"{row} {_printable(_notes(call))}".rstrip()
    colour = _colour_of(call) if has_colour else _PLAIN
    return f"{colour}{text}{_END}" if colour else text


def _cells(call: TailedCall) -> tuple[str, ...]:
    tokens = ""
    if call.input_tokens is not None or call.output_tokens is not None:
        tokens = f"{call.input_tokens or 0}>{call.output_tokens or 0}"
    return (
        call.time[11:23],
        str(call.status) if call.status else "-",
        f"{call.total_ms:.1f}",
        "-" if call.first_byte_ms is None else f"{call.first_byte_ms:.1f}",
        call.source or "-",
        call.model or call.requested_model or "-",
        call.route or "-",
        str(call.attempts),
        tokens or "-",
        "-" if call.cost_usd is None else f"{call.cost_usd:.6f}",
        (call.session or "-")[:8],
    )


def _notes(call: TailedCall) -> str:
    """Return flags, error and cause."""
    why = ": ".join(each for each in (call.error, call.cause) if each)
    return "  ".join(each for each in (call.flags, why) if each)


def _cell(text: str, width: int) -> str:
    """Return a text that is as wide as its column: cut where it is longer."""
    size = abs(width)
    if len(text) > size:
        text = f"{text[: size - 1]}~"
    return text.ljust(size) if width > 0 else text.rjust(size)


def _colour_of(call: TailedCall) -> str:
    if call.outcome == "ok":
        return _DIM if call.source == "pinned" else _GREEN
    return _YELLOW if call.outcome in ("client_error", "cancelled") else _RED


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def _why(body: bytes) -> str:
    try:
        decoded: Any = msgspec.json.decode(body)
    except ValueError:
        decoded = None
    why = decoded.get("error") if isinstance(decoded, dict) else None
    return why if isinstance(why, str) else "these are no operators' pages of a sidecar"

"""Ports and raw HTTP for tests: what an SDK would hide is seen here byte by byte."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import json
import random
import socket
from typing import Any, NamedTuple

_FIRST_PORT, _LAST_PORT, _BLOCK = 10_000, 32_000, 200
"""Below the ports that the kernel gives to whoever asks for any: nobody is given one of ours by
chance.
"""


class _Ports:
    """A block of ports that one process of tests has for itself, also beside others; its first port
    is the lock.
    """

    def __init__(self) -> None:
        blocks = list(range(_FIRST_PORT, _LAST_PORT, _BLOCK))
        random.shuffle(blocks)
        for first in blocks:
            self._lock = socket.socket()
            try:
                self._lock.bind(("127.0.0.1", first))
            except OSError:
                self._lock.close()
                continue
            atexit.register(self._lock.close)
            self._ports = itertools.cycle(range(first + 1, first + _BLOCK))
            return
        raise AssertionError("no block of ports is free")

    def take(self) -> int:
        """The next one that nobody listens on."""
        for port in itertools.islice(self._ports, _BLOCK):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return port
        raise AssertionError("no port is free")


_ports = functools.cache(_Ports)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that nobody else is given while these
    tests run.
    """
    return _ports().take()


def closed_port() -> int:
    """A TCP port of 127.0.0.1 that refuses connections as long as these tests run: nobody else can
    be given it.
    """
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    atexit.register(held.close)
    port: int = held.getsockname()[1]
    return port


class RawReply(NamedTuple):
    """An answer as it stood on the wire."""

    status_line: str
    headers: list[tuple[str, str]]
    """Names in lower case; order and repetition kept."""
    body: bytes
    """Without its chunking."""
    is_complete: bool
    """Whether the length, or the last chunk, was reached."""

    @property
    def status(self) -> int:
        return int(self.status_line.split(" ")[1])

    def header(self, name: str) -> str | None:
        """The first value, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def header_values(self, name: str) -> list[str]:
        """Every value, in order."""
        return [value for key, value in self.headers if key == name]

    def json(self) -> Any:
        return json.loads(self.body)


def raw_request(
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    close: bool = True,
) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = {"host": "localhost", "content-type": "application/json"}
    if body:
        lines["content-length"] = str(len(body))
    if close:
        lines["connection"] = "close"
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def json_request(path: str, body: object, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of one POST of JSON."""
    return raw_request("POST", path, json.dumps(body).encode(), headers)


async def exchange(port: int, request: bytes, *, limit_s: float = 20.0) -> RawReply:
    """Send these very bytes to 127.0.0.1 and read one answer. Raises: TimeoutError,
    ConnectionError.
    """
    async with asyncio.timeout(limit_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        try:
            writer.write(request)
            return await read_reply(reader, has_body=not request.startswith(b"HEAD "))
        finally:
            writer.close()
            with contextlib.suppress(
                OSError
            ):  # a peer that aborts is one of the things that tests look at
                await writer.wait_closed()


async def read_reply(reader: asyncio.StreamReader, *, has_body: bool = True) -> RawReply:
    """Read one answer, skipping interim ones. Raises: ConnectionError where no head came,
    ValueError for nonsense.
    """
    status_line, headers = await _read_head(reader)
    if not status_line.startswith("HTTP/1.1 "):
        raise ValueError(f"not a status line: {status_line!r}")
    while status_line.split(" ")[1].startswith("1") and " 101 " not in status_line:
        status_line, headers = await _read_head(reader)
    fields = dict(headers)
    if not has_body or status_line.split(" ")[1] in {"204", "304"}:
        return RawReply(status_line, headers, b"", is_complete=True)
    if fields.get("transfer-encoding") == "chunked":
        body, is_complete = await read_chunks(reader)
    elif "content-length" in fields:
        wanted = int(fields["content-length"])
        body = await _read_up_to(reader, wanted)
        is_complete = len(body) == wanted
    else:
        body, is_complete = await reader.read(), True
    return RawReply(status_line, headers, body, is_complete)


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise ConnectionError(f"no head, only {error.partial!r}") from error
    status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    return status_line, [(name.lower(), value.strip()) for name, _, value in pairs]


async def read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    try:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        pieces.append(getattr(error, "partial", b""))
        return b"".join(pieces), False
    return b"".join(pieces), True


async def _read_up_to(reader: asyncio.StreamReader, wanted: int) -> bytes:
    try:
        return await reader.readexactly(wanted)
    except asyncio.IncompleteReadError as error:
        return error.partial

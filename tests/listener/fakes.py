"""A request and a transport that write down what is done to them."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from sidecar.domain.events import DownstreamClosed, Listeners
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import ConnectionEnd
from sidecar.listener.kept_connections import ConnectionLimits, KeptConnections


def kept(
    limits: ConnectionLimits | None = None, ends: list[ConnectionEnd] | None = None
) -> KeptConnections:
    """Those of one server, within the default limits unless a test gives others; ``ends`` notes why
    some were closed.
    """
    observers = Observers([] if ends is None else [_NotesEnds(ends)])
    return KeptConnections(limits or ConnectionLimits(), observers)


class _NotesEnds:
    def __init__(self, ends: list[ConnectionEnd]) -> None:
        self._ends = ends

    def listeners(self) -> Listeners:
        return {DownstreamClosed: lambda event: self._ends.append(event.reason)}


class FakeTransport(asyncio.Transport):
    """Notes writes and how it ended; a closed one notes nothing more."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended: list[str] = []

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended.append("close")

    def abort(self) -> None:
        self.ended.append("abort")


class FakeRequest:
    """Implements `listener.request.Request`: what a test gives it, and a body that is there unless
    it says otherwise.
    """

    def __init__(self, **changes: Any) -> None:
        self.transport: FakeTransport | None = FakeTransport()
        self.method = "POST"
        self.target = "/v1/chat/completions"
        self.authority = ""
        self.headers: list[tuple[str, str]] = []
        self.version = (1, 1)
        self.keep_alive = True
        self.is_last_sent = True
        self.is_write_paused = False
        self.body: bytes | None = b""
        self.drained = 0
        for name, value in changes.items():
            setattr(self, name, value)
        protocol = BaseProtocol(asyncio.get_running_loop())
        protocol.transport = self.transport  # a stream without one says that the app is gone
        self.content = StreamReader(protocol, 2**16)
        if self.body is not None:
            self.content.feed_data(self.body)
            self.content.feed_eof()

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple(
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers
        )

    @property
    def task(self) -> asyncio.Task[Any]:
        task = asyncio.current_task()
        assert task is not None
        return task

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def hold_head(self, size: int) -> None:
        self.held_head_bytes = size

    def take_body(self) -> bytes | None:
        return self.body

    def bound_framing(self, size: int) -> None:
        self.framing_at_most = size

    async def drain(self) -> None:
        self.drained += 1

    @property
    def written(self) -> bytes:
        assert self.transport is not None
        return self.transport.written

    @property
    def ended(self) -> list[str]:
        assert self.transport is not None
        return self.transport.ended

"""Providers with a pace and with troubles, and TLS in front of one of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from sidecar.demo.replies import HttpRequest, read_body
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel

_SPREAD: Final = 0.35
"""Sigma of the lognormal distribution of first bytes: the slowest in a hundred takes 2.3 times the
median.
"""


class Trouble(NamedTuple):
    """What goes wrong with a share of a provider's requests, in the words of a scripted fault."""

    fault: str
    share: float


class PacedProvider(ScriptedProvider):
    """Takes its time before the first byte, by model, and has its troubles at random.

    Args: ``first_byte_s`` is the median of each model's first byte, by bare id.
    """

    def __init__(
        self, *, name: str, first_byte_s: Mapping[str, float], keys: frozenset[str]
    ) -> None:
        super().__init__(name=name, token_gap_s=0.015, record=1, keys=keys)
        self.trouble: Trouble | None = None
        self._first_byte_s = first_byte_s

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request, late, and badly if it is its turn."""
        http = HttpRequest(request.method, request.path, request.headers, await request.read(), 0)
        body, _ = read_body(http)
        model = str(body.get("model", ""))
        if self.trouble is not None and random.random() < self.trouble.share:
            self.script.next(self.trouble.fault, model=model)
        else:
            median_s = self._first_byte_s.get(model, 0.1)
            await asyncio.sleep(median_s * random.lognormvariate(0.0, _SPREAD))
        return await super().handle(request)


class PacedRouterModel(ScriptedRouterModel):
    """A router model that thinks for a while."""

    median_s: Final = 0.04

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request, late."""
        await asyncio.sleep(self.median_s * random.lognormvariate(0.0, _SPREAD))
        return await super().handle(request)


class TlsFront:
    """Ends TLS in front of a port of plain HTTP, on a port of its own."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self, certificate: Path) -> None:
        """Accept connections. Args: ``certificate`` is a PEM file with its key."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)

    async def stop(self) -> None:
        """Refuse connections, and break those that there are. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for writer in list(self._connections):
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        inner: asyncio.StreamWriter | None = None
        try:
            answers, inner = await asyncio.open_connection("127.0.0.1", self._target_port)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, inner))
                group.create_task(_copy(answers, writer))
        except* OSError:
            pass
        finally:
            self._connections.discard(writer)
            for each in (writer, inner):
                if each is not None:
                    each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, and say so where that is possible."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, NotImplementedError):
        # TLS has no half-close: the connection ends as a whole.
        writer.close()

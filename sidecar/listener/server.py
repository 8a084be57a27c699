"""The two ports: aiohttp's low-level server with its defaults overridden, and its parse errors in
our words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohttp import http_parser, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from sidecar.domain.errors import ConfigError
from sidecar.listener.connection import Connection, TimedConnection, is_supported
from sidecar.listener.request import Handler, ParseErrorHandler, PlainRequest

KEEPALIVE_S: Final = 600.0
"""Longer than an app's HTTP client keeps idle connections (5 to 300 s), so that the app closes
first.
"""
ADMIN_KEEPALIVE_S: Final = 75.0
"""nginx's default, longer than usual intervals of scrapes. Any peer may open connections here and
be silent.
"""
MAX_FIELD_BYTES: Final = 65_536
READ_BUFFER_BYTES: Final = 65_536
BACKLOG: Final = 1024

_silent: Final = logging.getLogger("sidecar.listener.aiohttp")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
"""aiohttp logs malformed requests with their bytes, credentials included. What matters is reported
by our own words.
"""


class _NoBytes(logging.Filter):
    """Keeps malformed requests out of the admin port's log: any peer may send them, and credentials
    stand in them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is of anything else: a failed handler is our bug, and is told."""
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_admin_log: Final = logging.getLogger("sidecar.listener.admin")
_admin_log.addFilter(_NoBytes())


def assert_c_parser() -> None:
    """Refuse to start on aiohttp's pure Python parser, the one that most smuggling CVEs were found
    in.

    Raises: ConfigError.
    """
    if http_parser.HttpRequestParser.__module__ != "aiohttp._http_parser":
        raise ConfigError(
            [
                (
                    "aiohttp runs on its pure Python parser: install its binary wheel, unset "
                    "AIOHTTP_NO_EXTENSIONS"
                )
            ]
        )


class _Written(web.StreamResponse):
    """What aiohttp's own loop gets for an answer that was written to the transport already."""

    def __init__(self, *, keeps_alive: bool) -> None:
        super().__init__()
        self._keeps_alive = keeps_alive

    @property
    def keep_alive(self) -> bool:
        return self._keeps_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - aiohttp's signature
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        pass


class _PlainConnection(TimedConnection):
    """aiohttp's own loop, with the hook through which its parse errors pass."""

    __slots__ = ("_is_serving",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._is_serving = False
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_serving:
            self.start_head_timer()

    async def serve(self, handler: Handler, request: web.BaseRequest) -> web.StreamResponse:
        """Run the handler; the head of its request is here."""
        self._is_serving = True
        self.stop_head_timer()
        plain = PlainRequest(request)
        if plain.is_write_paused:
            await plain.drain()  # see `Connection._next_message`
        answer = await handler(plain)
        self._is_serving = (
            not answer.keep_alive
        )  # else what still comes is the rest of a body that nobody wants
        return _Written(keeps_alive=answer.keep_alive)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 - aiohttp's signature
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        self.stop_head_timer()
        answer = self.on_parse_error(PlainRequest(request), exc)
        return _Written(keeps_alive=answer.keep_alive)


class DataServer(web.Server):
    """aiohttp's low-level server with our connections in it; with ``is_plain``, with aiohttp's own.

    Args: ``head_s`` is how long an app may take for the head of a request.
    """

    def __init__(
        self,
        handler: Handler,
        on_parse_error: ParseErrorHandler,
        *,
        head_s: float = 10.0,
        is_plain: bool = False,
    ) -> None:
        super().__init__(self._handle_plain, handler_cancellation=True)
        self._handler = handler
        self._on_parse_error = on_parse_error
        self._head_s = head_s
        self._is_plain = is_plain or not is_supported()

    async def _handle_plain(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _PlainConnection)
        return await connection.serve(self._handler, request)

    def swap(self, handler: Handler, on_parse_error: ParseErrorHandler) -> None:
        """Let another handler serve all requests that come from now on, on open connections too."""
        self._handler = handler
        self._on_parse_error = on_parse_error
        for connection in self.connections:
            if isinstance(connection, TimedConnection):
                connection.on_parse_error = on_parse_error
            if isinstance(connection, Connection):
                connection.handler = handler

    def __call__(self) -> RequestHandler:
        """A protocol for a new connection."""
        kind = _PlainConnection if self._is_plain else Connection
        connection = kind(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_S,
            access_log=None,  # type: ignore[arg-type] # its documentation allows it
            logger=_silent,
            max_line_size=MAX_FIELD_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=False,
        )
        connection.head_s = self._head_s
        connection.on_parse_error = self._on_parse_error
        if isinstance(connection, Connection):
            connection.handler = self._handler
        return connection


def make_admin_server(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> web.Server:
    """The server of the admin port."""
    return web.Server(
        handler, access_log=None, logger=_admin_log, keepalive_timeout=ADMIN_KEEPALIVE_S
    )


async def bind(
    factory: Callable[[], asyncio.BaseProtocol], addresses: Sequence[str], port: int, what: str
) -> list[asyncio.Server]:
    """Listen on every address with the same port; 0 takes a free one. The sockets accept only once
    served.

    An address family that the machine lacks is left out as long as one address remains.
    Raises: ConfigError naming the address and the reason.
    """
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    problems: list[str] = []
    for address in addresses:
        try:
            server = await loop.create_server(
                factory, address, port, backlog=BACKLOG, start_serving=False, reuse_address=True
            )
        except OSError as error:
            problems.append(
                f"{what} cannot listen on {address} port {port}: {error.strerror or error}"
            )
            continue
        servers.append(server)
        port = port or port_of(server)
    in_use = [problem for problem in problems if "in use" in problem]
    if in_use or not servers:
        for server in servers:
            server.close()
        raise ConfigError(in_use or problems)
    return servers


def port_of(server: asyncio.Server) -> int:
    """The port that a server got."""
    address: Any = server.sockets[0].getsockname()
    return int(address[1])


def is_loopback(request: web.BaseRequest) -> bool:
    """Whether the peer is in this pod."""
    peer: Any = (
        request.transport.get_extra_info("peername") if request.transport is not None else None
    )
    if not peer:
        return False
    host = str(peer[0]).removeprefix("::ffff:")
    return host == "::1" or host.startswith("127.")


def raise_file_limit(wanted: int) -> int:
    """Raise RLIMIT_NOFILE's soft limit as far as allowed: each call in flight holds two sockets.
    Returns the limit.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        soft = target
    return soft

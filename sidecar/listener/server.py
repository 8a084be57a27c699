"""The data port: aiohttp's low-level server with its defaults overridden; how ports are bound."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
from aiohttp import http_parser, web
from aiohttp.web_protocol import RequestHandler

from sidecar.domain.errors import ConfigError
from sidecar.listener.acceptor import Acceptor, Factory, Room
from sidecar.listener.connection import Connection, missing_names
from sidecar.listener.kept_connections import KeptConnections
from sidecar.listener.plain_connection import PlainConnection, TimedConnection
from sidecar.listener.request import Handler, ParseErrorHandler
from sidecar.runtime.memory_budget import MemoryShare, unlimited

FAST: Final = "fast"
"""`connection.Connection`: requests are served in the connection's own task."""
PLAIN: Final = "plain"
"""`plain_connection.PlainConnection`: aiohttp's own loop, with a task for each call."""
_NEVER_S: Final = 1e8
"""For aiohttp's own timer of idle connections: `kept_connections` closes them."""
MAX_FIELD_BYTES: Final = 65_536
READ_BUFFER_BYTES: Final = 65_536
BACKLOG: Final = 4096
"""Linux's own limit, net.core.somaxconn, since 5.4. A connection that finds no place there comes
again after a second.
"""

_log: Final = logging.getLogger("sidecar")
_silent: Final = logging.getLogger("sidecar.listener.aiohttp")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
"""aiohttp logs malformed requests with their bytes, credentials included. Ours are counted instead,
as refused requests.
"""


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


def listener_path() -> str:
    """Return which code serves connections: `FAST` where aiohttp has what it relies on, else
    `PLAIN`.
    """
    return PLAIN if missing_names() else FAST


class DataServer(web.Server):
    """aiohttp's low-level server with connections of our own in it.

    Args: ``kept`` closes the connections that wait for too long, or are too many; ``path`` is
        `FAST` or `PLAIN`; ``head_memory`` is what unfinished and long heads may take,
        ``unread_memory`` what apps do not read of responses; None: as they like.
    """

    def __init__(
        self,
        handler: Handler,
        on_parse_error: ParseErrorHandler,
        kept: KeptConnections,
        *,
        path: str = "",
        head_memory: MemoryShare | None = None,
        unread_memory: MemoryShare | None = None,
    ) -> None:
        super().__init__(self._handle_plain, handler_cancellation=True)
        self._handler = handler
        self._on_parse_error = on_parse_error
        self.room = kept
        """Takes new connections as long as there are descriptors for them."""
        self._head_memory = head_memory or unlimited()
        self._unread_memory = unread_memory or unlimited()
        log_listener_path()
        self._kind = PlainConnection if (path or listener_path()) == PLAIN else Connection

    async def _handle_plain(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, PlainConnection)
        return await connection.serve(request)

    def swap(self, handler: Handler, on_parse_error: ParseErrorHandler) -> None:
        """Let another handler serve all requests that come from now on, on open connections too."""
        self._handler = handler
        self._on_parse_error = on_parse_error
        for connection in self.connections:
            if isinstance(connection, TimedConnection):
                connection.on_parse_error = on_parse_error
                connection.handler = handler

    def __call__(self) -> RequestHandler:
        """A protocol for a new connection."""
        connection: TimedConnection = self._kind(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_NEVER_S if self._kind is PlainConnection else 0,
            access_log=None,  # type: ignore[arg-type] # its documentation allows it
            logger=_silent,
            max_line_size=MAX_FIELD_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=False,
        )
        connection.kept = self.room
        connection.head_memory = self._head_memory
        connection.unread_memory = self._unread_memory
        connection.on_parse_error = self._on_parse_error
        connection.handler = self._handler
        return connection


def log_listener_path() -> None:
    """Write into the log which code serves connections, and why where it is the slower one."""
    missing = missing_names()
    if missing:
        _log.warning(
            "listener path: plain, which takes more CPU for each call; aiohttp %s lacks %s",
            aiohttp.__version__,
            ", ".join(missing),
        )
    else:
        _log.info("listener path: fast")


async def bind(
    factory: Factory,
    addresses: Sequence[str],
    port: int,
    what: str,
    room: Room | None = None,
) -> list[Acceptor]:
    """Bind every address to the same port; 0 takes a free one. The sockets accept connections only
    after `start_serving`, and only as ``room`` has it.

    An address family that the machine lacks is left out as long as one address remains.
    Raises: ConfigError naming the address and the reason.
    """
    bound: list[Acceptor] = []
    problems: list[str] = []
    for address in addresses:
        try:
            listening = _bound(address, port)
        except (OSError, OverflowError) as error:
            problems.append(f"{what} cannot listen on {address} port {port}: {_why(error)}")
            continue
        bound.append(Acceptor(listening, factory, BACKLOG, what, room))
        port = port or port_of(bound[-1])
    in_use = [problem for problem in problems if "in use" in problem]
    if in_use or not bound:
        for acceptor in bound:
            acceptor.close()
        raise ConfigError(in_use or problems)
    return bound


def _bound(address: str, port: int) -> socket.socket:
    """Return a socket that is bound to an IP address and does not listen yet. Raises: OSError."""
    numeric = socket.AI_NUMERICHOST | socket.AI_PASSIVE
    # As bytes: for a str, Python loads its IDNA tables, which nothing else here needs.
    (info, *_) = socket.getaddrinfo(address.encode(), port, type=socket.SOCK_STREAM, flags=numeric)
    family, kind, protocol, _, (host, _, *scope) = info
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # the same port of IPv4 is another socket's
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port, *scope))  # getaddrinfo takes 65536 for 0
    except (OSError, OverflowError):
        listening.close()
        raise
    return listening


async def start_serving(acceptor: Acceptor) -> None:
    """Let a bound socket accept connections.

    Raises: ConfigError where another socket at the same port has come first, which the kernel may
        tell only now.
    """
    place = acceptor.sockets[0].getsockname()
    try:
        await acceptor.start_serving()
    except OSError as error:
        where = place if isinstance(place, str) else f"{place[0]} port {place[1]}"
        raise ConfigError([f"cannot listen on {where}: {_why(error)}"]) from error


def _why(error: Exception) -> str:
    """Return the kernel's phrase."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number and number > 0 else str(error)


def port_of(acceptor: Acceptor) -> int:
    """Return the port that a socket got."""
    address: Any = acceptor.sockets[0].getsockname()
    return int(address[1])


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

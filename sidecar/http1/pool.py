"""The connections to one upstream: kept while idle, watched, and closed together."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sidecar.domain.errors import ConnectFailed, Stale, Untaken, UpstreamError
from sidecar.http1.certificate import TlsFacts, tls_facts
from sidecar.http1.channel import RestOfBody
from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.dialer import Dialer
from sidecar.http1.idle import IdleConnections
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.reset_watch import ResetWatch, may_miss_resets
from sidecar.http1.response import UpstreamResponse
from sidecar.runtime.memory_budget import MemoryShare
from sidecar.runtime.write_coalescer import Write, write_at_once

READ_BYTES: Final = 64 * 1024
"""Read at once: what a socket usually has ready at most, and four TLS records."""
MAX_AGE_S: Final = 300.0
"""A connection used for so long is replaced, so that a name that moved to other addresses is
followed.
"""
REPLACED_IN_S: Final = 30.0
"""In such a time the connections of a former TLS context are replaced."""
FREED_WITHIN_S: Final = 1.0
"""Without a file descriptor for another connection, so long is waited for one that is at work."""
_LOOK_EVERY_S: Final = 0.01
IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))
"""RFC 9110, 9.2.2: sent twice they do what they do sent once."""


class Pool:
    """Holds as many connections as there are exchanges in flight. Idle ones are used again, the
    last one first.

    Args: ``keepalive_s`` is how long an idle connection is kept, which should be less than the
        upstream keeps it. ``write`` sends a whole request, at once where none is given.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        ssl_context: ssl.SSLContext | None = None,
        keepalive_s: float = 20.0,
        max_idle: int = 128,
        write: Write | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        self.origin = origin
        self.write = write or write_at_once
        self.opened_total = 0
        self.retried_total = 0
        """Requests sent again because a kept connection turned out to be dead."""
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self.head_memory: MemoryShare | None = None
        """What long heads of responses may take, those of other pools included; None: as they
        like."""
        self.renew_tls: Callable[[], Awaitable[None]] | None = None
        """Has the TLS files looked at: `use_tls` is called where they hold something else."""
        self._tls = ssl_context
        self._dialer = dialer or Dialer()
        self._is_closed = False
        self._idle = IdleConnections(keepalive_s, max_idle)
        self._live: dict[UpstreamConnection, float] = {}
        """Each with the time, on the loop's clock, at which it was opened."""
        self._watch = ResetWatch(self._live)
        self._unclosed: set[UpstreamConnection] = set()
        self._all_closed: asyncio.Future[None] | None = None
        # Kept from the first exchange on: Python 3.11 makes a system call (getpid) to name the
        # running loop.
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def idle(self) -> int:
        """Connections that wait for work."""
        return len(self._idle)

    @property
    def active(self) -> int:
        """Connections that are at work or being made."""
        return len(self._live) - len(self._idle)

    async def send(
        self,
        head: bytes,
        body: Sequence[bytes | memoryview],
        timeouts: ExchangeTimeouts,
        method: str = "POST",
        rest: RestOfBody | None = None,
    ) -> UpstreamResponse:
        """Send a request and return once the head of its response is here. Read the response to its
        end, or abort it.

        Args: ``head`` is complete with its blank line; ``body`` are the bytes that it announces.
        They are sent twice only where a kept connection dies before any byte of a response, and
        either the upstream provably took no byte of them or ``method`` is idempotent: then once
        more, on a new connection, within the same timeouts.
        ``rest`` are those of them that are not here yet, sent on as they come; once it is begun
        nothing is sent twice. A response that comes before its end leaves the end unsent.
        Raises: ConnectFailed, ConnectTimeout, UpstreamReset, UpstreamMalformed, FirstByteTimeout,
            ResponseTimeout; each knows how often the request was sent, as the response does. And
            what ``rest`` raises.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        now_s = loop.time()
        connection = self._idle.take(now_s, looks=rest is not None)
        if connection is None:
            connection = await self._open(loop, timeouts.connect_s)
            sent_s = loop.time()
            return await connection.exchange(head, body, timeouts, method, sent_s, rest)
        try:
            return await connection.exchange(head, body, timeouts, method, now_s, rest)
        except Stale as error:
            if method not in IDEMPOTENT and not isinstance(error, Untaken):
                raise
            if rest is not None and rest.is_begun:
                raise
        self.retried_total += 1
        try:
            connection = await self._open(loop, timeouts.connect_s)
            # It may have died late: what the first try took is gone from the same timeouts.
            reply = await connection.exchange(head, body, timeouts, method, now_s, rest)
        except UpstreamError as error:
            error.sends = 2
            raise
        reply.sends = 2
        return reply

    async def prepare(self, timeouts: ExchangeTimeouts) -> TlsFacts | None:
        """Open a connection for the next request; return how TLS is spoken over it, None where it
        is not.

        Raises: ConnectFailed, ConnectTimeout.
        """
        loop = self._loop = self._loop or asyncio.get_running_loop()
        connection = await self._open(loop, timeouts.connect_s)
        facts = tls_facts(connection.transport)
        self._idle.keep(connection, None, loop, loop.time())
        return facts

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Open connections with another TLS context from now on. Those that are open carry on for
        `REPLACED_IN_S` at most, and then to the end of their exchange, each for another time: they
        are not all replaced at once.
        """
        self._tls = context
        if self._loop is not None:
            over_s = self._loop.time() - MAX_AGE_S
            for connection, opened_s in self._live.items():
                spread_s = random.random() * REPLACED_IN_S
                self._live[connection] = min(opened_s, over_s + spread_s)

    async def aclose(self) -> None:
        """Close every connection, those in use too, and wait until their sockets are closed."""
        self._is_closed = True
        self._idle.stop()
        self._watch.stop()
        for connection in tuple(self._live):
            connection.close("the pool was closed")
        if self._unclosed:
            self._all_closed = self._all_closed or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._all_closed)

    def recycle(self, connection: UpstreamConnection, keep_alive_s: int | None) -> None:
        """Keep a connection whose exchange has ended well."""
        loop = self._loop
        assert loop is not None  # its connection was opened by `send`
        now_s = loop.time()
        if self._is_closed or now_s - self._live[connection] > MAX_AGE_S:
            connection.abort()
        else:
            self._idle.keep(connection, keep_alive_s, loop, now_s)

    def discard(self, connection: UpstreamConnection) -> None:
        """Forget a connection that will not be used again."""
        self._live.pop(connection, None)
        self._idle.discard(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        """The connection's socket is closed."""
        self._unclosed.discard(connection)
        if not self._unclosed and self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)

    async def _open(self, loop: asyncio.AbstractEventLoop, connect_s: float) -> UpstreamConnection:
        if self._is_closed:
            raise ConnectFailed(f"{self.origin.place}: the pool is closed")
        try:
            connection = await self._dial(loop, connect_s)
        except ConnectFailed as error:
            if not error.is_own_shortage:
                raise
            short = error
        else:
            return self._opened(connection, loop)
        freed = await self._freed(loop, connect_s)
        if freed is None:
            raise short
        return freed

    def _opened(
        self, connection: UpstreamConnection, loop: asyncio.AbstractEventLoop
    ) -> UpstreamConnection:
        if not connection.is_usable:
            connection.abort()
            raise ConnectFailed(
                f"{self.origin.place}: the connection was closed as soon as it was made"
            )
        self._unclosed.add(connection)
        if may_miss_resets(loop, connection.transport):
            self._watch.begin(loop)
        self.opened_total += 1
        return connection

    async def _freed(
        self, loop: asyncio.AbstractEventLoop, connect_s: float
    ) -> UpstreamConnection | None:
        """Wait for a connection that is at work now; return None where none is free in time."""
        until_s = loop.time() + min(connect_s, FREED_WITHIN_S)
        while self._live and loop.time() < until_s:
            await asyncio.sleep(_LOOK_EVERY_S)
            connection = self._idle.take(loop.time(), looks=True)
            if connection is not None:
                return connection
        return None

    async def _dial(self, loop: asyncio.AbstractEventLoop, connect_s: float) -> UpstreamConnection:
        """Return a connected connection. Where TLS fails and its files hold something else by then,
        they are tried at once.
        """
        tls, connection = self._tls, UpstreamConnection(self, loop)
        self._live[connection] = loop.time()
        try:
            await self._dialer.dial(self.origin, tls, connection, connect_s=connect_s)
        except ConnectFailed as error:
            if self.renew_tls is None or not isinstance(error.__cause__, ssl.SSLError):
                raise
            failed = error
        else:
            return connection
        # Not inside the handler: mypyc's coroutines lose the exception over an await there.
        await self.renew_tls()
        if self._tls is tls:
            raise failed
        connection = UpstreamConnection(self, loop)
        self._live[connection] = loop.time()
        await self._dialer.dial(self.origin, self._tls, connection, connect_s=connect_s)
        return connection

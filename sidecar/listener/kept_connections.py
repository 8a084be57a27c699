"""The data port's connections that wait for a request: how long they stay, and how many.

One that is closed while a request arrives loses that call, whatever its client does: httpx and
undici look whether a kept connection was closed before they use it, and not once more. So none is
closed of which a byte has come, into the kernel's buffer even; between that look and the end that
the client sees there are two system calls and nothing else. What remains is a request that left in
the very moment, which the SDKs send again. Usually there is none: an app's HTTP client closes its
own idle connections long before (httpx after 5 s, undici 4, Go and reqwest 90, OkHttp 300).
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from typing import Final, Protocol

import msgspec

from sidecar.domain.events import DownstreamClosed
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import ConnectionEnd

LOOKS: Final = 16
"""So many connections are looked at, at most, to make room for a new one."""


class ConnectionLimits(msgspec.Struct, frozen=True):
    """How long an app may keep a connection of the data port waiting, and how many."""

    head_s: float = 10.0
    """For the head of a request, from its first byte on."""
    downstream_idle_s: float = 300.0
    """For reading some of a response; 0 is no limit."""
    idle_s: float = 600.0
    """Between two requests, and before the first one."""
    idle_connections: int = 1024


class KeptConnection(Protocol):
    """A connection, as far as it is kept."""

    transport: asyncio.Transport | None

    @property
    def is_idle(self) -> bool:
        """Whether nothing has come of a request since the last response."""
        ...

    def force_close(self) -> None:
        """Serve no more requests."""
        ...


class KeptConnections:
    """Those of one server. Implements `acceptor.Room`."""

    def __init__(self, limits: ConnectionLimits, observers: Observers) -> None:
        self.limits = limits
        self.at_most = sys.maxsize
        """Connections, idle or not, for which there are descriptors."""
        self._observers = observers
        self.since_s: dict[KeptConnection, float] = {}
        """Those that have no complete head of a request, each with the time, on the loop's clock,
        since which it waits; the longest first. A connection takes itself out and puts itself in.
        """
        self._open = 0
        self._sweeper: asyncio.TimerHandle | None = None

    def configure(self, limits: ConnectionLimits) -> None:
        """Keep by other limits from now on."""
        self.limits = limits
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweep(asyncio.get_running_loop())

    def admit(self, connection: KeptConnection) -> None:
        """A connection was made: where too many wait, the longest idle ones are closed for it."""
        loop = asyncio.get_running_loop()
        while len(self.since_s) >= self.limits.idle_connections and self.make_room():
            pass
        self.since_s[connection] = loop.time()
        self._open += 1
        if self._sweeper is None:
            self._sweeper = loop.call_later(self.limits.idle_s, self._sweep, loop)

    def is_full(self, coming: int) -> bool:
        """See `acceptor.Room.is_full`."""
        return self._open + coming >= self.at_most

    def make_room(self) -> bool:
        """Close the connection that is idle the longest; return whether one of the first `LOOKS`
        could be closed.
        """
        now_s = asyncio.get_running_loop().time()
        for _ in range(min(LOOKS, len(self.since_s))):
            if self._end(next(iter(self.since_s)), ConnectionEnd.CROWDED, now_s):
                return True
        return False

    def counts(self) -> tuple[int, int]:
        """Return how many connections have a request, and how many wait for one."""
        idle = len(self.since_s)
        return self._open - idle, idle

    def forget(self, connection: KeptConnection) -> None:
        """A connection has ended."""
        self.since_s.pop(connection, None)
        self._open -= 1
        if not self._open and self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def report(self, reason: ConnectionEnd) -> None:
        """A connection was closed by the sidecar, which is counted."""
        if DownstreamClosed in self._observers.heard:
            self._observers.emit(DownstreamClosed(reason))

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has waited for too long, and look again when the next one is due."""
        now_s = loop.time()
        for _ in range(len(self.since_s)):
            longest = next(iter(self.since_s))
            if self.since_s[longest] > now_s - self.limits.idle_s:
                break
            self._end(longest, ConnectionEnd.IDLE, now_s)
        next_s = next(iter(self.since_s.values()), now_s)
        self._sweeper = loop.call_at(next_s + self.limits.idle_s, self._sweep, loop)

    def _end(self, connection: KeptConnection, reason: ConnectionEnd, now_s: float) -> bool:
        """Close a connection if it is idle, else let it wait anew; return whether it is closed."""
        transport = connection.transport
        del self.since_s[connection]
        if transport is None:
            return True
        if transport.get_write_buffer_size():
            is_over = reason is ConnectionEnd.IDLE and self.limits.downstream_idle_s > 0
            reason = ConnectionEnd.UNREAD
        else:
            is_over = connection.is_idle and _is_ended(transport)
        if not is_over:
            self.since_s[connection] = now_s
            return False
        connection.force_close()
        transport.abort()
        self.report(reason)
        return True


class UnreadBytes:
    """What a transport holds of responses that the app has not read."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._left_bytes = transport.get_write_buffer_size()

    def are_read(self) -> bool:
        """Return whether the app has read some of them since the last look."""
        before, self._left_bytes = self._left_bytes, self._transport.get_write_buffer_size()
        return self._left_bytes < before


def _is_ended(transport: asyncio.Transport) -> bool:
    """Tell the client that the connection ends, unless something of it has arrived; return whether
    it was told.
    """
    shown = transport.get_extra_info("socket")
    if shown is None or shown.fileno() < 0:
        return True
    # uvloop's own cannot be shut down. This one borrows the descriptor, and needs no other.
    borrowed = socket.socket(fileno=shown.fileno())
    poll = select.poll()
    poll.register(borrowed, select.POLLIN)
    try:
        if poll.poll(0):
            return False
        borrowed.shutdown(socket.SHUT_WR)
    except OSError:  # its peer has gone, which the loop has not read yet
        return True
    finally:
        borrowed.detach()
    return True

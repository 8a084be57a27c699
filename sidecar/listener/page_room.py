"""How many connections a server of pages has, and which of them makes room for a new one."""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec


class PageLimits(msgspec.Struct, frozen=True):
    """What the peers of a `PageServer` may hold."""

    connections: int = 64
    """Where more would come, the one that has waited longest for a request is closed."""
    silent_s: float = 0.02
    """A connection that has waited for less stays, and the new one waits: a request that came with
    a connection has been read by then.
    """
    unread_s: float = 0.25
    """A peer that has read nothing of its response for so long makes room likewise."""
    response_s: float = 10.0
    """For all of a response: Prometheus, by its defaults, waits no longer for a page."""
    head_s: float = 5.0
    """For the head of a request; of the first one from the connection's beginning on."""
    head_bytes: int = 8192
    keepalive_s: float = 75.0
    """nginx's default, longer than usual intervals of scrapes."""


class Peer(Protocol):
    """A connection to a peer that may be hostile."""

    def abort(self) -> None:
        """Close it at once."""
        ...


class PageRoom:
    """The connections of one server, on a `sidecar.listener.acceptor.Room`'s terms: who waits for a
    request, whose request is served, and who does not read its response.
    """

    def __init__(self, limits: PageLimits) -> None:
        self._limits = limits
        self._waiting: dict[Peer, float] = {}
        """Those without a request, each with the time since when; the longest first."""
        self._unread: dict[Peer, float] = {}
        """Those whose peer does not read its response, in the same way."""
        self._busy: set[Peer] = set()

    def is_full(self, coming: int = 0) -> bool:
        """Return whether there are as many connections as there may be, with those that are coming
        and not here yet.
        """
        return len(self._waiting) + len(self._busy) + coming >= self._limits.connections

    def make_room(self) -> bool:
        """Close the connection that has been useless for longest, if for long enough. Return
        whether one was.
        """
        now_s, limits = asyncio.get_running_loop().time(), self._limits
        for held, time_s in ((self._waiting, limits.silent_s), (self._unread, limits.unread_s)):
            longest, since_s = next(iter(held.items()), (None, now_s))
            if longest is not None and now_s - since_s >= time_s:
                longest.abort()
                self.forget(longest)
                return True
        return False

    def admit(self, connection: Peer) -> bool:
        """Return whether a new connection may stay."""
        if self.is_full() and not self.make_room():
            return False
        self._waiting[connection] = asyncio.get_running_loop().time()
        return True

    def forget(self, connection: Peer) -> None:
        """A connection has ended."""
        self._waiting.pop(connection, None)
        self._unread.pop(connection, None)
        self._busy.discard(connection)

    def note_reading(self, connection: Peer, *, is_reading: bool) -> None:
        """A peer has begun to leave its response unread, or to read it again."""
        self._unread.pop(connection, None)
        if not is_reading and connection in self._busy:
            self._unread[connection] = asyncio.get_running_loop().time()

    def begin_request(self, connection: Peer) -> None:
        """A connection's request is served from now on."""
        self._waiting.pop(connection, None)
        self._busy.add(connection)

    def end_request(self, connection: Peer) -> None:
        """Its response has been made. It may have ended meanwhile."""
        if connection in self._busy:
            self.forget(connection)
            self._waiting[connection] = asyncio.get_running_loop().time()

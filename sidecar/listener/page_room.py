"""How many connections a server of pages has, and which of them makes room for a new one."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import msgspec

_LOOKS: Final = 16
"""So many connections are looked at, at most, to make room for a new one."""


class PageLimits(msgspec.Struct, frozen=True):
    """What the peers of a `PageServer` may hold."""

    connections: int = 64
    """Where more would come, the one that has waited longest for a request is closed."""
    silent_s: float = 0.02
    """A connection that has waited for less stays, and the new one waits: a request that came with
    a connection has been read by then, or is seen to be there.
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

    @property
    def is_silent(self) -> bool:
        """Whether nothing has arrived that is not read yet."""
        ...

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
        now_s = asyncio.get_running_loop().time()
        for _ in range(min(_LOOKS, len(self._waiting))):
            longest, since_s = next(iter(self._waiting.items()))
            if now_s - since_s < self._limits.silent_s:
                break
            if longest.is_silent:
                return self._end(longest)
            del self._waiting[longest]  # its request is here: this process is late
            self._waiting[longest] = now_s
        unread = next(iter(self._unread), None)
        if unread is None or now_s - self._unread[unread] < self._limits.unread_s:
            return False
        return self._end(unread)

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

    def _end(self, connection: Peer) -> bool:
        connection.abort()
        self.forget(connection)
        return True

    def begin_request(self, connection: Peer) -> None:
        """A connection's request is served from now on."""
        self._waiting.pop(connection, None)
        self._busy.add(connection)

    def end_request(self, connection: Peer) -> None:
        """Its response has been made. It may have ended meanwhile."""
        if connection in self._busy:
            self.forget(connection)
            self._waiting[connection] = asyncio.get_running_loop().time()

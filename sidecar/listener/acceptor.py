"""A listening socket, the same on every loop: how connections are accepted, and what becomes of
them where the process has no file descriptor left.

The loops differ there. asyncio writes as many lines into the log as the backlog is long, each
second; uvloop closes what it cannot accept; aiofastnet 1.2 fails, is called again at once, and
takes a whole core.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Final, Protocol

from sidecar.domain.log_fields import event_fields
from sidecar.runtime.lifecycle import Tasks

AT_ONCE: Final = 64
"""Connections accepted in one turn of the loop: between two turns calls go on."""
ROOM_S: Final = 0.005
"""Between two looks whether its server has room for another connection."""
RETRY_S: Final = 0.1
"""Between two looks whether a descriptor has been given back."""
LINE_S: Final = 60.0
"""At most one line of the log in so long tells that a listener's connections wait."""

_log: Final = logging.getLogger("sidecar.listener")

Factory = Callable[[], asyncio.BaseProtocol]


class Room(Protocol):
    """What a server says of the connections that it may have."""

    def is_full(self, coming: int) -> bool:
        """Return whether it takes none, beside those that are accepted and not there yet."""
        ...

    def make_room(self) -> bool:
        """Close a connection for the sake of a new one that waits. Return whether it could."""
        ...


class Acceptor:
    """Accepts the connections of one listening socket.

    A connection that cannot be accepted waits in the kernel's backlog: it is accepted once another
    one has given its descriptor back. No error of the kernel's ends the listening.

    Args: ``listening`` is bound, and belongs to its acceptor from now on; ``backlog`` is as for
        `socket.listen`; ``name`` is the listener's, for the log; where there is no ``room``, new
        connections wait in the backlog too. Without one all are accepted.
    """

    def __init__(
        self,
        listening: socket.socket,
        factory: Factory,
        backlog: int,
        name: str,
        room: Room | None = None,
    ) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._factory = factory
        self._backlog = backlog
        self._room = room
        self._tasks = Tasks()
        self._retry: asyncio.TimerHandle | None = None
        self._shortage = _Shortage(name)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening socket; empty once it is closed."""
        return (self._listening,) if self._listening.fileno() >= 0 else ()

    async def start_serving(self) -> None:
        """Accept connections from now on. Raises: OSError where another socket listens there."""
        self._listening.listen(self._backlog)
        self._resume()

    def close(self) -> None:
        """Accept none any more; those that were accepted stay. Idempotent."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._listening.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()

    def _resume(self) -> None:
        self._retry = None
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _pause(self, delay_s: float) -> None:
        """Leave the socket alone for a while: it stays readable, and the loop would spin."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening)
        self._retry = loop.call_later(delay_s, self._resume)

    def _accept(self) -> None:
        for number in range(AT_ONCE):
            if self._room is not None and self._room.is_full(len(self._tasks)):
                if number:
                    return  # whether another one waits is not known: the loop tells
                if not self._room.make_room():
                    self._pause(ROOM_S)
                    return
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # its peer has left the backlog
            except OSError as error:
                self._shortage.begin(error)
                self._pause(RETRY_S)
                return
            self._shortage.end()
            self._tasks.spawn(self._connect(accepted), name="accept a connection")

    async def _connect(self, accepted: socket.socket) -> None:
        """Make a transport and a protocol for a connection, unless its peer has left already."""
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.connect_accepted_socket(self._factory, accepted)
        except OSError:
            accepted.close()
            return
        if not self.sockets:
            transport.abort()


class _Shortage:
    """The time in which no connection can be accepted, as the log tells it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began_s: float | None = None
        self._line_s = -LINE_S
        self._is_told = False

    def begin(self, error: OSError) -> None:
        """A connection could not be accepted."""
        now_s = asyncio.get_running_loop().time()
        if self._began_s is None:
            self._began_s = now_s
        if self._is_told or now_s - self._line_s < LINE_S:
            return
        self._line_s, self._is_told = now_s, True
        cause = os.strerror(error.errno or 0)
        _log.warning(
            "%s: connections wait: %s",
            self._name,
            cause,
            extra=event_fields("connections_wait", listener=self._name, cause=cause),
        )

    def end(self) -> None:
        """A connection was accepted."""
        if self._began_s is None:
            return
        seconds = round(asyncio.get_running_loop().time() - self._began_s, 1)
        self._began_s = None
        if self._is_told:
            self._is_told = False
            _log.info(
                "%s: connections are accepted again",
                self._name,
                extra=event_fields("connections_served", listener=self._name, seconds=seconds),
            )

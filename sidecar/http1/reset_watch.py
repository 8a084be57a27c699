"""Finds connections whose reset the loop has missed.

Where aiofastnet 1.2 runs on uvloop 0.23, uvloop polls for it. A reset that arrives together with
data is an error of the poll, upon which uvloop calls aiofastnet once, which reads the data, and
polls no more: the reset is never read, and the response would wait for its timeout. Another loop
would cost each call a tenth to a fifth of its CPU time over TLS; a look a second costs nothing
that can be measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

LOOK_EVERY_S: Final = 1.0


class Watched(Protocol):
    """A connection, as far as the watch needs it."""

    def look_again(self) -> None:
        """Read once more if the kernel tells of a reset."""
        ...


class ResetWatch:
    """Looks at the live connections of a pool once a second, while there are any."""

    def __init__(self, live: Collection[Watched]) -> None:
        """Args: ``live`` is the pool's own collection."""
        self._live = live
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look from now on, since a connection was opened."""
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY_S, self._look, loop)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for connection in tuple(self._live):
            connection.look_again()
        if self._live:
            self.begin(loop)


def may_miss_resets(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport | None) -> bool:
    """Return whether a transport on this loop needs the watch."""
    is_uvloop = type(loop).__module__.startswith("uvloop")
    return is_uvloop and type(transport).__module__.startswith("aiofastnet")

"""Connections that wait for work: which one serves next, and how long each is kept."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final

from sidecar.http1.connection import UpstreamConnection

PEEK_AFTER_S: Final = 1.0
"""A connection that was idle for so long is looked at before it is used: under load, when most are
used again at once, that costs nothing.
"""
_HINT_MARGIN_S: Final = 1.0


class IdleConnections:
    """Connections that wait for work, the longest idle first; each is closed when its time is
    over.
    """

    def __init__(self, keepalive_s: float, max_idle: int) -> None:
        self._keepalive_s = keepalive_s
        self._max_idle = max_idle
        self._idle: list[tuple[UpstreamConnection, float, float]] = []
        """Each with the times, on the loop's clock, since which it is idle and until which it may
        be.
        """
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_s = inf
        """When the sweeper is due, on the loop's clock."""

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, now_s: float, *, looks: bool = False) -> UpstreamConnection | None:
        """Take the one that was idle last, so that the others' time can end.

        Args: ``looks`` has each looked at, however short it was idle.
        """
        idle = self._idle
        while idle:
            connection, since_s, until_s = idle.pop()
            if (
                connection.is_usable
                and now_s < until_s
                and ((now_s - since_s < PEEK_AFTER_S and not looks) or connection.is_quiet())
            ):
                return connection
            connection.abort()
        return None

    def keep(
        self,
        connection: UpstreamConnection,
        keep_alive_s: int | None,
        loop: asyncio.AbstractEventLoop,
        now_s: float,
    ) -> None:
        """Keep a connection, if there is room. ``keep_alive_s`` is how long the upstream says that
        it keeps this one.
        """
        idle = self._idle
        if len(idle) >= self._max_idle:
            connection.abort()
            return
        until_s = now_s + self._keepalive_s
        if keep_alive_s is not None:
            # We close first: a request sent into the upstream's closing would be lost.
            until_s = min(until_s, now_s + keep_alive_s - _HINT_MARGIN_S)
            if until_s <= now_s:
                connection.abort()
                return
        idle.append((connection, now_s, until_s))
        if until_s < self._sweep_s:
            self._sweep_at(until_s, loop)

    def discard(self, connection: UpstreamConnection) -> None:
        """Forget a connection, if it is here."""
        for at, each in enumerate(self._idle):
            if each[0] is connection:
                del self._idle[at]
                return

    def stop(self) -> None:
        """Close no connection any more: their owner does."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep_at(self, at_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self.stop()
        self._sweep_s = at_s
        self._sweeper = loop.call_at(at_s, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long; look again when the next one is due."""
        self._sweeper, self._sweep_s = None, inf
        now_s, idle = loop.time(), self._idle
        self._idle = [each for each in idle if now_s < each[2]]
        for connection, _, until_s in idle:
            if until_s <= now_s:
                connection.abort()
        if self._idle:
            self._sweep_at(min([each[2] for each in self._idle]), loop)

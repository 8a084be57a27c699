"""Writes of one turn of the loop, sent together at its end.

A send wakes the peer. Where many calls are served in one turn, each send followed by the next
call's work, the peer falls asleep again in between and every send pays for waking it: on a busy
core a quarter of a call's cost. Sent back to back, the first one pays for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Sized

Message = bytes | Sequence[bytes | memoryview]
"""All of a request or a response; a long one in pieces, none of which is copied."""
Write = Callable[[asyncio.Transport, Message], None]
"""Sends a whole message: `write_at_once`, or `WriteCoalescer.write`."""


def write_at_once(transport: asyncio.Transport, message: Message) -> None:
    """Hand a message to the transport now; nothing happens on one that is closing."""
    if isinstance(message, bytes):
        transport.write(message)
    elif not transport.is_closing():
        # There, asyncio's writelines of Python 3.12 and later registers the descriptor once more,
        # whose next owner is then never read.
        transport.writelines(message)


class WriteCoalescer:
    """Buffers whole messages until the turn of the loop ends.

    Only for a message that is the last one of its transport in that turn: what is written directly,
    or a close, would overtake the message that waits here.
    """

    __slots__ = ("_in_flight", "_loop", "_waiting")

    def __init__(self, in_flight: Sized) -> None:
        """Args: ``in_flight`` is the live collection of the calls in flight."""
        self._in_flight = in_flight
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[asyncio.Transport, Message]] = []

    def write(self, transport: asyncio.Transport, message: Message) -> None:
        """Send a message at the end of this turn, or at once where a single call is in flight and
        nothing can be saved.
        """
        if len(self._in_flight) < 2:
            write_at_once(transport, message)
            return
        if not self._waiting:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._flush)
        self._waiting.append((transport, message))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport, message in waiting:
            if not transport.is_closing():
                write_at_once(transport, message)

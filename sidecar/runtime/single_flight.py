"""One piece of work per key at a time, shared by all callers that ask for its result meanwhile.

Named for Go's `singleflight`. The work is a task of its own, and callers wait for it behind a
shield: a caller that is cancelled, the first one too, leaves it running for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from sidecar.runtime.timers import wait

Key = TypeVar("Key")
Result = TypeVar("Result")


class SingleFlight(Generic[Key, Result]):
    """Owns the flights under way. ``name`` is the name of their tasks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._flights: dict[Key, asyncio.Future[Result]] = {}

    def __len__(self) -> int:
        """How many flights are under way."""
        return len(self._flights)

    def get(self, key: Key) -> asyncio.Future[Result] | None:
        """Return the flight under way for a key. Wait for it behind `asyncio.shield`, or by
        `asyncio.wait`: awaiting it directly would pass a caller's cancellation on to it.
        """
        flight = self._flights.get(key)
        return None if flight is None or flight.done() else flight

    def start(
        self, key: Key, work: Coroutine[Any, Any, Result] | asyncio.Future[Result]
    ) -> asyncio.Future[Result]:
        """Begin a flight; none may be under way for its key. A coroutine becomes a task.

        An exception goes to every caller that waits. It is not logged, so that of a flight whose
        callers have all left is lost.
        """
        former = self._flights.get(key)
        assert former is None or former.done(), "a flight is under way already"
        flight: asyncio.Future[Result]
        if isinstance(work, asyncio.Future):
            flight = work
        else:
            flight = asyncio.get_running_loop().create_task(work, name=self._name)
        self._flights[key] = flight

        def land(landed: asyncio.Future[Result]) -> None:
            if self._flights.get(key) is landed:
                del self._flights[key]
            if not landed.cancelled():
                landed.exception()  # read here, since asyncio logs an exception that is never read

        flight.add_done_callback(land)
        return flight

    async def run(self, key: Key, begin: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of the flight under way for a key, or of the one that ``begin`` begins.

        Raises: what the flight raises. Cancelling this call leaves the flight alone.
        """
        return await asyncio.shield(self.get(key) or self.start(key, begin()))

    async def aclose(self) -> None:
        """Cancel every flight and wait until it has ended; its callers are cancelled with it."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)


class TimedFlight(SingleFlight[Key, Result]):
    """A single flight that callers wait for only for a while, counted from its beginning: work on a
    disk, say, which may be gone.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._began_s: dict[Key, float] = {}

    async def wait_for(
        self, key: Key, begin: Callable[[], Coroutine[Any, Any, Result]], wait_s: float
    ) -> bool:
        """Wait for the flight under way for a key, or for the one that ``begin`` begins, for what
        is left of ``wait_s`` since it began. Return whether it has begun with this call, or goes
        on. Raises: nothing that the flight raises.
        """
        now_s, flight = asyncio.get_running_loop().time(), self.get(key)
        is_own = flight is None
        if flight is None:
            self._began_s[key] = now_s
            flight = self.start(key, begin())
        left_s = self._began_s[key] + wait_s - now_s
        if left_s > 0:
            await wait(flight, left_s)
        return is_own or not flight.done()

"""The process's way down: one drain, whatever asks for it, and the wish that the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from sidecar.domain.clock import Clock
from sidecar.runtime.lifecycle import Drain, Tasks

_log = logging.getLogger("sidecar")


class DrainTimes(msgspec.Struct, frozen=True):
    """How long a drain takes."""

    quiet_s: float
    """It has ended once no call was in flight for so long."""
    grace_s: float
    """It has ended after so long at the latest; what is in flight then is cancelled."""


class DrainState(msgspec.Struct, frozen=True):
    """How far a process is on its way down."""

    draining: bool
    """Whether the drain has begun: readiness is off for good."""
    ended: bool
    """Whether the drain has ended: new calls are refused, and none is in flight."""
    in_flight: int
    """Calls whose response has not ended."""
    refusing: bool
    """Whether new calls are refused."""
    grace_left_s: float | None
    """Seconds until what is in flight is cancelled; None before the drain and after it."""


class Shutdown:
    """Drains once, and keeps the wish that the process ends."""

    def __init__(
        self,
        drain: Drain,
        tasks: Tasks,
        clock: Clock,
        times: DrainTimes,
        on_begin: Callable[[], None],
    ) -> None:
        """Args: ``tasks`` owns the drain's task; ``on_begin`` is called when it begins,
        and turns readiness off.
        """
        self.wanted = asyncio.Event()
        """Set where the process has been asked to drain and to end."""
        self._drain = drain
        self._tasks = tasks
        self._clock = clock
        self.times = times
        """A drain that has begun goes on by those that it began with."""
        self._on_begin = on_begin
        self._began: tuple[asyncio.Task[None], float] | None = None
        """The drain, and when its grace is spent on the monotonic clock."""

    def begin(self) -> asyncio.Task[None]:
        """Turn readiness off and serve on until quiet, or until the grace is spent. Idempotent.

        Returns: the task that does it.
        """
        if self._began is None:
            self._on_begin()
            began_s, times = self._clock.monotonic_s(), self.times
            drained = self._tasks.spawn(self._run(began_s, times), name="drain")
            self._began = drained, began_s + times.grace_s
        return self._began[0]

    async def drained(self) -> None:
        """Drain, and wait until the drain has ended."""
        await asyncio.shield(self.begin())

    async def _run(self, began_s: float, times: DrainTimes) -> None:
        await self._drain.run(quiet_s=times.quiet_s, grace_s=times.grace_s)
        lasted_s = self._clock.monotonic_s() - began_s
        _log.info("drained after %.1f s: new calls are refused", lasted_s)

    def state(self) -> DrainState:
        """Return how far it is."""
        began, drain = self._began, self._drain
        if began is None:
            return DrainState(
                draining=False,
                ended=False,
                in_flight=drain.in_flight,
                refusing=False,
                grace_left_s=None,
            )
        task, ends_s = began
        left_s = ends_s - self._clock.monotonic_s()
        return DrainState(
            draining=True,
            ended=task.done(),
            in_flight=drain.in_flight,
            refusing=drain.is_refusing,
            grace_left_s=None if task.done() else round(max(0.0, left_s), 1),
        )

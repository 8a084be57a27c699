"""The process's way down: one drain, whatever asks for it, and the wish that the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from sidecar.domain.clock import Clock
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.lifecycle import Drain, DrainTimes, Tasks

_log = logging.getLogger("sidecar")

ORPHANS_S = 0.5
"""How long calls in flight may outlast the app that made them: a kubelet leaves a native sidecar
2 s where the app has used up the pod's grace, and the last spans take one of them.
"""


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
        """How long the drain takes, also one that has begun."""
        self._on_begin = on_begin
        self._began: tuple[asyncio.Task[None], float] | None = None
        """The drain, and when it began on the monotonic clock."""

    def configure(self, quiet_s: float, grace_s: float) -> None:
        """Take other times for a drain that is to come; one that has begun goes on by its own.
        A grace that the pod gave stays.
        """
        if self._began is None:
            is_fixed = self.times.is_grace_fixed
            grace_s = self.times.grace_s if is_fixed else grace_s
            self.times = DrainTimes(quiet_s, grace_s, is_grace_fixed=is_fixed)

    def begin(self) -> asyncio.Task[None]:
        """Turn readiness off and serve on until quiet, or until the grace is spent. Idempotent.

        Returns: the task that does it.
        """
        if self._began is None:
            self._on_begin()
            began_s = self._clock.monotonic_s()
            self._began = self._tasks.spawn(self._run(began_s), name="drain"), began_s
        return self._began[0]

    def app_has_ended(self) -> None:
        """Drain, and wait for no quiet: the app that made calls is gone. Calls that are in flight
        all the same have `ORPHANS_S` from now.
        """
        self.begin()
        assert self._began is not None
        lasted_s = self._clock.monotonic_s() - self._began[1]
        self.times = DrainTimes(0.0, lasted_s + ORPHANS_S)

    async def drained(self) -> None:
        """Drain, and wait until the drain has ended."""
        await asyncio.shield(self.begin())

    async def _run(self, began_s: float) -> None:
        await self._drain.run(lambda: self.times)
        lasted_s = round(self._clock.monotonic_s() - began_s, 1)
        fields = event_fields("drained", seconds=lasted_s)
        text = "drained after %.1f s: new calls to the data port are refused"
        _log.info(text, lasted_s, extra=fields)

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
        task, began_s = began
        left_s = began_s + self.times.grace_s - self._clock.monotonic_s()
        return DrainState(
            draining=True,
            ended=task.done(),
            in_flight=drain.in_flight,
            refusing=drain.is_refusing,
            grace_left_s=None if task.done() else round(max(0.0, left_s), 1),
        )

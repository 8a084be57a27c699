"""Starting and ending: a readiness latch, permits for calls in flight, the drain, and tasks that
have an owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, final

from sidecar.domain.clock import Clock
from sidecar.domain.errors import Draining, Overloaded
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.timers import more_s

_log = logging.getLogger("sidecar.runtime.lifecycle")

REFUSE_BEFORE_END_S = 5.0
"""The last seconds of the grace, in which new calls are refused so that those in flight can end; of
a short grace its last quarter, since the app works on meanwhile.
"""
_LOOK_S = 0.05
"""Time between two looks at whether a drain may end."""


@final
@dataclass(init=False, unsafe_hash=True)
class DrainTimes:
    """How long a drain takes."""

    quiet_s: Final[float]
    """It has ended once no call was in flight for so long."""
    grace_s: Final[float]
    """It has ended after so long at the latest; what is in flight then is cancelled."""
    is_held: Final[Callable[[], bool] | None]
    """While this returns true it is not quiet, though no call is in flight."""
    is_grace_fixed: Final[bool]
    """Whether the grace is the pod's own, which no config changes."""

    def __init__(
        self,
        quiet_s: float,
        grace_s: float,
        is_held: Callable[[], bool] | None = None,
        *,
        is_grace_fixed: bool = False,
    ) -> None:
        self.quiet_s = quiet_s
        self.grace_s = grace_s
        self.is_held = is_held
        self.is_grace_fixed = is_grace_fixed


def fast_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the fastest loop that is installed: uvloop, with aiofastnet's transports and TLS on
    it. None stands for asyncio's own.

    Both come with the ``[fast]`` extra; either alone is used too.
    """
    base: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        import uvloop

        base = uvloop.new_event_loop
    with contextlib.suppress(ImportError):
        import aiofastnet

        make, connect = aiofastnet.loop_factory(base), aiofastnet.connect_accepted_socket
        return lambda: _accepting_by(connect, make())
    return base


def _accepting_by(
    connect: Callable[..., Coroutine[Any, Any, Any]], loop: asyncio.AbstractEventLoop
) -> asyncio.AbstractEventLoop:
    """Have a loop make the transports of accepted sockets by ``connect``: aiofastnet 1.2 replaces
    all other functions of a loop that make transports, and leaves this one out.
    """
    loop.connect_accepted_socket = functools.partial(connect, loop)  # type: ignore[method-assign]
    return loop


class Latch:
    """Readiness: true once released, false again for good once a drain began. It depends on
    nothing remote.
    """

    def __init__(self) -> None:
        self._released = False
        self._draining = False

    @property
    def is_ready(self) -> bool:
        """Whether `/readyz` says yes."""
        return self._released and not self._draining

    @property
    def is_draining(self) -> bool:
        """Whether a drain has begun."""
        return self._draining

    def release(self) -> None:
        """Be ready: config is loaded and the listeners accept."""
        self._released = True

    def drain(self) -> None:
        """Be ready no more: the process is going away."""
        self._draining = True


class Tasks:
    """Owns background tasks. Each has a name, is referenced until it ends, and is cancelled by
    `aclose`.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run ``work`` in the background; a failure is logged with the task's name."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task %s failed", task.get_name(), exc_info=error)

    async def aclose(self) -> None:
        """Cancel every task that still runs, and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Drain:
    """Admission and its end: a permit is held by a call's task from admission until its stream has
    ended.
    """

    def __init__(self, clock: Clock, *, in_flight_limit: int) -> None:
        self._clock = clock
        self.limit = in_flight_limit
        """How many permits there are. Where it is lowered, those held already stay."""
        self._holders: set[asyncio.Task[Any]] = set()
        self._watches: list[tuple[set[asyncio.Task[Any]], asyncio.Future[None]]] = []
        """Holders whose release is still waited for, and who waits."""
        self._refusing = False
        self.has_ended = False
        """Whether the calls that were still in flight have been cancelled."""
        self._last_admitted_s = clock.monotonic_s()

    @property
    def holders(self) -> AbstractSet[asyncio.Task[Any]]:
        """The tasks that hold a permit now: the live set, no copy."""
        return self._holders

    @property
    def in_flight(self) -> int:
        """Permits held now."""
        return len(self._holders)

    @property
    def is_refusing(self) -> bool:
        """Whether new calls are refused."""
        return self._refusing

    def admit(self, holder: asyncio.Task[Any]) -> None:
        """Give a permit to the task that serves a call. The task must `release` it when the stream
        has ended.

        Raises: Draining, Overloaded.
        """
        if self._refusing:
            raise Draining(
                "this sidecar is shutting down; call again, the pod is being replaced",
                retry_after_s=1,
            )
        if len(self._holders) >= self.limit:
            raise Overloaded(
                f"limits.in_flight ({self.limit}) calls are in flight already", retry_after_s=1
            )
        self._holders.add(holder)
        self._last_admitted_s = self._clock.monotonic_s()

    def release(self, holder: asyncio.Task[Any]) -> None:
        """Give the permit back. Idempotent."""
        self._holders.discard(holder)
        if self._watches:
            self._report_release(holder)

    def watch(self) -> asyncio.Future[None]:
        """Return a future that is done once each permit given since the last watch began was given
        back, whatever is admitted meanwhile, to the same tasks too. A permit that an earlier watch
        waits for is that one's alone.
        """
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        left = set(self._holders)
        for earlier, _ in self._watches:
            left -= earlier
        if left:
            self._watches.append((left, ended))
        else:
            ended.set_result(None)
        return ended

    def _report_release(self, holder: asyncio.Task[Any]) -> None:
        for left, ended in self._watches:
            left.discard(holder)
            if not left and not ended.done():
                ended.set_result(None)
        self._watches = [watch for watch in self._watches if watch[0]]

    async def run(self, times: Callable[[], DrainTimes]) -> None:
        """Keep serving until nothing has been in flight for a while, or until the grace is spent.

        In the last `REFUSE_BEFORE_END_S` of the grace new calls are refused. Calls that are in
        flight at its end are cancelled; the task of each can still tell its app that the stream is
        incomplete.

        Args: ``times`` is asked at each look: who asks for a drain may change while it runs.
        """
        loop = asyncio.get_running_loop()
        began_s = quiet_since_s = self._clock.monotonic_s()
        self._last_admitted_s = max(self._last_admitted_s, began_s)
        while True:
            now_s, until = self._clock.monotonic_s(), times()
            left_s = began_s + until.grace_s - now_s
            if left_s <= 0:
                break
            is_busy = bool(self._holders) or (until.is_held is not None and until.is_held())
            if is_busy:
                quiet_since_s = now_s
            quiet_since_s = max(quiet_since_s, self._last_admitted_s)
            self._refusing = left_s <= min(REFUSE_BEFORE_END_S, until.grace_s / 4)
            if not is_busy and now_s - quiet_since_s >= until.quiet_s:
                break
            due_s = loop.time() + min(_LOOK_S, until.quiet_s or _LOOK_S)
            await asyncio.sleep(due_s - loop.time())
            # Calls may wait in sockets that were not looked at: no quiet. The grace goes by the
            # clock of those who wait for the end, and is not stretched.
            quiet_since_s += more_s(loop.time() - due_s)
        await self.end()

    async def end(self) -> None:
        """Refuse new calls and cancel those in flight; wait for them to notice. Idempotent."""
        self._refusing = self.has_ended = True
        holders = list(self._holders)
        if holders:
            fields = event_fields("calls_ended", calls=len(holders))
            _log.warning("%d call(s) in flight are ended", len(holders), extra=fields)
        for holder in holders:
            holder.cancel()
        if holders:
            await asyncio.wait(holders, timeout=1.0)

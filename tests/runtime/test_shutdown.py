"""One drain, whatever asks for it."""

from __future__ import annotations

import asyncio

from sidecar.domain.clock import SystemClock
from sidecar.runtime.lifecycle import Drain, DrainTimes, Latch, Tasks
from sidecar.runtime.shutdown import ORPHANS_S, Shutdown


class _Process:
    """What a shutdown needs, and calls in flight that end when they are told to."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.latch, self.tasks = Latch(), Tasks()
        self.drain = Drain(clock, in_flight_limit=9)
        times = DrainTimes(0.0, 30.0)
        self.began: list[None] = []
        self.shutdown = Shutdown(self.drain, self.tasks, clock, times, self._begin)
        self.latch.release()
        self._until = asyncio.Event()

    def _begin(self) -> None:
        self.began.append(None)
        self.latch.drain()

    async def begin_call(self) -> asyncio.Task[None]:
        started = asyncio.Event()
        call = self.tasks.spawn(self._call(started), name="call")
        await started.wait()
        return call

    def end_calls(self) -> None:
        self._until.set()

    async def _call(self, started: asyncio.Event) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.drain.admit(task)
        started.set()
        try:
            await self._until.wait()
        finally:
            self.drain.release(task)


async def test_a_drain_turns_readiness_off_and_lets_calls_end():
    """It says what is in flight, and for how long that may last."""
    process = _Process()
    before = process.shutdown.state()
    call = await process.begin_call()
    process.shutdown.begin()
    during, is_ready = process.shutdown.state(), process.latch.is_ready
    process.end_calls()
    await process.shutdown.drained()
    await call
    after = process.shutdown.state()

    assert [(False, False, 0, False), (True, False, 1, False), (True, True, 0, True)] == [
        (each.draining, each.ended, each.in_flight, each.refusing)
        for each in (before, during, after)
    ]
    assert (None, None, False) == (before.grace_left_s, after.grace_left_s, is_ready)
    assert 0 < (during.grace_left_s or 0) <= 30


async def test_the_end_of_a_drain_is_logged(caplog):
    """With how long it took: a pod that was slow to go is asked about afterwards."""
    process = _Process()
    with caplog.at_level("INFO", "sidecar"):
        await process.shutdown.drained()

    (record,) = [each for each in caplog.records if each.getMessage().startswith("drained")]
    assert "drained after 0.0 s: new calls to the data port are refused" == record.getMessage()
    assert ("drained", {"seconds": 0.0}) == (record.event, record.fields)


async def test_whatever_asks_again_waits_for_the_drain_that_runs():
    """A signal behind a preStop hook begins no second one."""
    process = _Process()
    tasks = [process.shutdown.begin() for _ in range(3)]
    await process.shutdown.drained()

    assert (1, 1) == (len(set(tasks)), len(process.began))


async def test_who_waits_no_longer_leaves_the_drain_alone():
    """Another one who waits still hears its end."""
    process = _Process()
    await process.begin_call()
    impatient = process.tasks.spawn(process.shutdown.drained(), name="impatient")
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    ended = process.shutdown.state().ended
    process.end_calls()
    await process.shutdown.drained()

    assert (False, True) == (ended, process.shutdown.state().ended)


async def test_the_wish_that_the_process_ends_is_kept():
    """Until the process looks."""
    process = _Process()
    process.shutdown.wanted.set()
    async with asyncio.timeout(5):
        await process.shutdown.wanted.wait()


async def test_an_app_that_has_ended_is_waited_for_no_longer():
    """A native sidecar is signalled then: no quiet, and the drain that runs is a short one."""
    process = _Process()
    process.shutdown.times = DrainTimes(1000.0, 2000.0)
    process.shutdown.begin()
    process.shutdown.app_has_ended()
    async with asyncio.timeout(30):
        await process.shutdown.drained()

    assert (0.0, True) == (process.shutdown.times.quiet_s, process.shutdown.state().ended)


async def test_calls_of_an_app_that_has_ended_have_half_a_second():
    """What made them is another container, and SIGKILL comes 2 s after the signal."""
    process = _Process()
    call = await process.begin_call()
    process.shutdown.app_has_ended()
    left_s = process.shutdown.state().grace_left_s
    await process.shutdown.drained()

    assert call.cancelled()
    assert 0 < (left_s or 0) <= ORPHANS_S


async def test_a_config_changes_the_times_of_a_drain_to_come():
    """Not of one that goes on, and not the grace that the pod gave."""
    process = _Process()
    shutdown = process.shutdown
    shutdown.configure(1.0, 3.0)
    assert (1.0, 3.0) == (shutdown.times.quiet_s, shutdown.times.grace_s)

    shutdown.times = DrainTimes(1.0, 25.0, is_grace_fixed=True)
    shutdown.configure(2.0, 3.0)
    assert (2.0, 25.0) == (shutdown.times.quiet_s, shutdown.times.grace_s)

    shutdown.begin()
    shutdown.configure(7.0, 9.0)
    assert (2.0, 25.0) == (shutdown.times.quiet_s, shutdown.times.grace_s)
    await process.tasks.aclose()

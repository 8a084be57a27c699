"""Permits, readiness and the drain."""

import asyncio
import logging
import time

import pytest

from sidecar.domain.clock import SystemClock
from sidecar.domain.errors import Draining, Overloaded
from sidecar.runtime import lifecycle
from sidecar.runtime.lifecycle import Drain, DrainTimes, Latch, Tasks
from tests.support.values import FakeClock


def test_readiness_is_a_latch():
    """Not ready before release, ready after it, never again once draining."""
    latch = Latch()
    seen = [latch.is_ready]
    latch.release()
    seen.append(latch.is_ready)
    latch.drain()
    latch.release()

    assert [False, True, False] == [*seen, latch.is_ready]


def _this_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _served_call(drain: Drain, started: asyncio.Event, until: asyncio.Event) -> str:
    task = asyncio.current_task()
    assert task is not None
    drain.admit(task)
    started.set()
    try:
        await until.wait()
    except asyncio.CancelledError:
        return "cancelled"
    finally:
        drain.release(task)
    return "served"


async def test_a_permit_beyond_the_limit_is_refused():
    """The limit counts held permits, and a released one makes room."""
    drain = Drain(SystemClock(), in_flight_limit=1)
    started, until = asyncio.Event(), asyncio.Event()
    tasks = Tasks()
    holder = tasks.spawn(_served_call(drain, started, until), name="holder")
    await started.wait()

    assert 1 == drain.in_flight
    with pytest.raises(Overloaded):
        drain.admit(_this_task())

    until.set()
    assert "served" == await holder
    assert 0 == drain.in_flight


async def test_a_quiet_process_drains_without_using_its_grace():
    """With nothing in flight the drain ends after the quiet time, long before the grace."""
    drain = Drain(SystemClock(), in_flight_limit=1)

    await asyncio.wait_for(drain.run(lambda: DrainTimes(0.01, 1000)), timeout=30)


async def test_new_calls_are_served_while_the_drain_waits_for_old_ones():
    """An app that still ends its own work gets answers until the last seconds of the grace."""
    drain = Drain(SystemClock(), in_flight_limit=10)
    tasks, until = Tasks(), asyncio.Event()
    first, second = asyncio.Event(), asyncio.Event()
    old = tasks.spawn(_served_call(drain, first, until), name="old")
    await first.wait()
    draining = tasks.spawn(drain.run(lambda: DrainTimes(0.01, 1000)), name="drain")
    await asyncio.sleep(0)
    new = tasks.spawn(_served_call(drain, second, until), name="new")
    await second.wait()
    until.set()
    await draining

    assert ["served", "served"] == [await old, await new]


async def test_calls_in_flight_at_the_end_of_the_grace_are_cancelled(caplog):
    """The grace is a promise to kubelet: calls that outlive it are ended, and the log counts
    them.
    """
    drain = Drain(SystemClock(), in_flight_limit=10)
    tasks, started = Tasks(), asyncio.Event()
    holder = tasks.spawn(_served_call(drain, started, asyncio.Event()), name="holder")
    await started.wait()
    with caplog.at_level(logging.WARNING):
        await drain.run(lambda: DrainTimes(0.01, 0.05))

    assert "cancelled" == await holder
    (record,) = [each for each in caplog.records if "are ended" in each.getMessage()]
    assert "1 call(s) in flight are ended" == record.getMessage()
    assert ("calls_ended", {"calls": 1}) == (record.event, record.fields)
    with pytest.raises(Draining):
        drain.admit(_this_task())


async def test_a_failed_task_is_logged_by_its_name(caplog):
    """Background work that fails leaves a line, not a silence."""

    async def fail() -> None:
        raise ValueError("broken")

    tasks = Tasks()
    task = tasks.spawn(fail(), name="refresh prices")
    await asyncio.wait([task])
    await asyncio.sleep(0)

    assert "task refresh prices failed" in caplog.text


async def test_closing_cancels_and_awaits_every_task():
    """Nothing runs on behind a closed owner."""
    tasks = Tasks()
    task = tasks.spawn(asyncio.Event().wait(), name="forever")
    await tasks.aclose()

    assert task.cancelled()


async def test_a_watch_ends_with_the_last_permit_that_was_held_at_its_start():
    """Permits given later do not count, not even one to the same task."""
    drain, holder = Drain(SystemClock(), in_flight_limit=2), _this_task()
    drain.admit(holder)
    watch = drain.watch()
    seen = [watch.done()]
    drain.release(holder)
    drain.admit(holder)
    seen.append(watch.done())
    drain.release(holder)

    assert [False, True, True] == [*seen, drain.watch().done()]


async def test_a_permit_belongs_to_the_first_watch_that_found_it():
    """A later one waits for what was admitted since, and so not for a call of hours."""
    drain, holder, other = Drain(SystemClock(), in_flight_limit=2), _this_task(), _idle_task()
    drain.admit(holder)
    first, second = drain.watch(), drain.watch()
    drain.admit(other)
    third = drain.watch()
    seen = [(first.done(), second.done(), third.done())]
    drain.release(other)
    seen.append((first.done(), second.done(), third.done()))
    drain.release(holder)
    other.cancel()

    assert [(False, True, False), (False, True, True)] == seen
    assert first.done()


async def _wait_for_ever() -> None:
    await asyncio.Event().wait()


def _idle_task() -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(_wait_for_ever())


async def test_a_limit_may_change_under_way():
    """What is held already stays; the next permit is given by the new limit."""
    drain, holder, other = Drain(SystemClock(), in_flight_limit=1), _this_task(), _idle_task()
    drain.admit(holder)
    drain.limit = 2
    drain.admit(other)
    drain.limit = 1
    with pytest.raises(Overloaded):
        drain.admit(_this_task())
    other.cancel()

    assert 2 == drain.in_flight


async def test_a_release_that_ends_a_watch_nobody_waits_for_is_one_like_any():
    """Who waited has been cancelled."""
    drain, holder = Drain(SystemClock(), in_flight_limit=1), _this_task()
    drain.admit(holder)
    drain.watch().cancel()
    drain.release(holder)

    assert 0 == drain.in_flight


async def test_a_loop_that_stood_still_was_not_quiet(monkeypatch):
    """Calls wait in the sockets: the quiet begins anew, as much of it as was missing."""
    drain = Drain(SystemClock(), in_flight_limit=1)
    monkeypatch.setattr(lifecycle, "_LOOK_S", 0.02)
    looks: list[None] = []

    def times() -> DrainTimes:
        looks.append(None)
        if len(looks) == 2:
            asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        return DrainTimes(0.1, 10.0)

    await drain.run(times)

    assert len(looks) > 3


async def test_a_stall_does_not_stretch_the_grace():
    """A kubelet's clock went on: what is in flight is ended at once."""
    drain = Drain(SystemClock(), in_flight_limit=1)
    looks: list[None] = []

    def times() -> DrainTimes:
        looks.append(None)
        asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        return DrainTimes(0.0, 0.15, lambda: True)

    await drain.run(times)

    assert (2, True) == (len(looks), drain.has_ended)


async def test_what_holds_a_drain_is_waited_for():
    """No call is in flight, and still the app is there."""
    drain, tasks, held = Drain(SystemClock(), in_flight_limit=1), Tasks(), [True, True, True]

    def is_held() -> bool:
        return bool(held) and held.pop()

    times = DrainTimes(0.0, 1000, is_held)
    await tasks.spawn(drain.run(lambda: times), name="drain")

    assert ([], True) == (held, drain.has_ended)


async def test_what_holds_a_drain_does_not_outlast_the_grace():
    """A connection that is left open, by an app that hangs."""
    drain = Drain(SystemClock(), in_flight_limit=1)
    await drain.run(lambda: DrainTimes(0.0, 0.01, lambda: True))

    assert drain.has_ended


@pytest.mark.parametrize(
    ("grace_s", "passed_s", "is_refusing"),
    [(25, 19.9, False), (25, 20.1, True), (8, 5.9, False), (8, 6.1, True)],
)
async def test_new_calls_are_refused_in_the_last_seconds_of_the_grace(
    grace_s, passed_s, is_refusing
):
    """Five of them, and a quarter of a short grace: with less the app would be refused at once."""
    clock, tasks = FakeClock(), Tasks()
    drain = Drain(clock, in_flight_limit=2)
    drain.admit(_this_task())
    looks = asyncio.Event()

    def times() -> DrainTimes:
        if looked:
            looks.set()
        looked.append(None)
        return DrainTimes(0.0, grace_s, lambda: False)

    looked: list[None] = []
    draining = tasks.spawn(drain.run(times), name="drain")
    await asyncio.sleep(0)
    clock.advance(passed_s)
    await looks.wait()
    await asyncio.sleep(0)

    assert is_refusing == drain.is_refusing
    draining.cancel()

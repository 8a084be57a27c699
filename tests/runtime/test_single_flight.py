"""One piece of work per key, shared by all who ask meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.single_flight import SingleFlight, TimedFlight


class Work:
    """Ends when a test lets it; counts how often it was begun and cancelled."""

    def __init__(self, result: str | Exception = "done") -> None:
        self.result = result
        self.may_end = asyncio.Event()
        self.begun = self.cancelled = 0

    async def run(self) -> str:
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def flights() -> SingleFlight[str, str]:
    return SingleFlight("test flight")


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_callers_of_one_key_share_one_flight(flights):
    """And each gets its result."""
    work, tasks = Work(), Tasks()
    callers = [tasks.spawn(flights.run("a", work.run), name="caller") for _ in range(3)]
    await _turns()

    assert (1, 1) == (work.begun, len(flights))
    work.may_end.set()
    assert ["done"] * 3 == await asyncio.gather(*callers)
    assert (0, None) == (len(flights), flights.get("a"))


async def test_another_key_is_another_flight(flights):
    """So is the same key once its flight has landed."""
    work = Work()
    work.may_end.set()
    for key in ("a", "b", "a"):
        assert "done" == await flights.run(key, work.run)

    assert 3 == work.begun


async def test_an_exception_goes_to_every_caller(flights, caplog):
    """The log is left alone: who waits knows better what it means."""
    work, tasks = Work(OSError("no such name")), Tasks()
    work.may_end.set()
    callers = [tasks.spawn(flights.run("a", work.run), name="caller") for _ in range(2)]
    raised = await asyncio.gather(*callers, return_exceptions=True)

    assert ["OSError('no such name')"] * 2 == [repr(error) for error in raised]
    assert ["task caller failed"] * 2 == [record.getMessage() for record in caplog.records]


async def test_a_caller_that_goes_away_ends_the_flight_for_nobody(flights):
    """Neither the one that began it, nor all of them."""
    work, tasks = Work(), Tasks()
    callers = [tasks.spawn(flights.run("a", work.run), name="caller") for _ in range(2)]
    await _turns()
    callers[0].cancel()
    await _turns()
    flight = flights.get("a")
    assert flight is not None
    callers[1].cancel()
    await _turns()
    work.may_end.set()

    assert "done" == await flight
    assert [True, True, 0] == [*(caller.cancelled() for caller in callers), work.cancelled]


async def test_a_flight_that_fails_with_nobody_waiting_is_no_incident(flights, caplog):
    """Asyncio would log its exception as one that was never retrieved."""
    work = Work(OSError("late"))
    flight = flights.start("a", work.run())
    work.may_end.set()
    await asyncio.wait([flight])
    await _turns()
    del flight

    assert (0, []) == (len(flights), caplog.records)


async def test_a_future_of_somebody_else_is_shared_like_a_task(flights):
    """It has landed as soon as it is done, even before its callbacks have run."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    assert future is flights.start("a", future)
    assert future is flights.get("a")
    future.set_result("done")
    assert None is flights.get("a")
    work = Work()
    following = flights.start("a", work.run())
    await _turns()
    assert following is flights.get("a")
    work.may_end.set()
    assert "done" == await following


async def test_closing_ends_every_flight_and_its_callers(flights):
    """Nothing runs on behind a closed owner."""
    work, tasks = Work(), Tasks()
    caller = tasks.spawn(flights.run("a", work.run), name="caller")
    await _turns()
    await flights.aclose()

    assert 1 == work.cancelled
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert 0 == len(flights)


async def test_flights_carry_the_name_of_their_owner(flights):
    """As whoever looks at the loop's tasks sees them."""
    work = Work()
    flight = flights.start("a", work.run())

    assert isinstance(flight, asyncio.Task)
    assert "test flight" == flight.get_name()
    await flights.aclose()


async def test_a_timed_flight_is_waited_for_from_its_beginning_on():
    """A caller that comes when its time is over goes on at once; the flight goes on, too."""
    flights: TimedFlight[str, str] = TimedFlight("test flight")
    work = Work()

    assert await flights.wait_for("a", work.run, 0.0)
    assert await flights.wait_for("a", work.run, 0.0)
    work.may_end.set()
    assert not await flights.wait_for("a", work.run, 60.0)
    assert (1, 0) == (work.begun, len(flights))

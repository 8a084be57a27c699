"""The way down, asked for over HTTP."""

from __future__ import annotations

from sidecar.domain.clock import SystemClock
from sidecar.listener.drain_page import DrainPage
from sidecar.listener.operators import OperatorAccess, Operators
from sidecar.runtime.lifecycle import Drain, DrainTimes, Latch, Tasks
from sidecar.runtime.shutdown import Shutdown
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request

ENDED = {"draining": True, "ended": True, "in_flight": 0, "refusing": True, "grace_left_s": None}


async def test_a_drain_is_begun_once_and_says_how_far_it_is():
    """Without leave of the config; the wish to end is another page's."""
    clock = SystemClock()
    latch, tasks = Latch(), Tasks()
    drain = Drain(clock, in_flight_limit=1)
    shutdown = Shutdown(drain, tasks, clock, DrainTimes(0.0, 30.0), latch.drain)
    latch.release()
    handler = Operators(DrainPage(shutdown).pages(), OperatorAccess()).handle
    async with running_pages(handler) as running:

        async def ask(path: str, method: str = "POST") -> tuple[int, dict[str, object]]:
            reply = await exchange(running.port, raw_request(method, path))
            return reply.status, reply.json()

        looked = (await ask("/drain", "GET"))[1]["draining"]
        first = await ask("/drain")
        is_ready = latch.is_ready
        await shutdown.drained()
        second = await ask("/drain")
        is_wanted = shutdown.wanted.is_set()
        quits = await ask("/quitquitquit")

    assert looked is False
    names = ("draining", "exits", "in_flight")
    assert (200, [True, False, 0], False) == (
        first[0],
        [first[1][name] for name in names],
        is_ready,
    )
    assert (200, {**ENDED, "exits": False}) == second
    assert (200, {**ENDED, "exits": True}) == quits
    assert (False, True) == (is_wanted, shutdown.wanted.is_set())

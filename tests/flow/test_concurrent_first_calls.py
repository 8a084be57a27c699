"""Four sidecars, one Redis: the first concurrent burst of each session agrees, and stays agreed."""

from __future__ import annotations

from tests.support.fleet import PROCESSES, measure_agreement, running_fleet

SESSIONS = 300


async def test_four_sidecars_agree_on_every_session():
    """No session gets two models, although the router model says something else each time; each
    process asks it once at most for a session.
    """
    async with running_fleet() as fleet:
        came = await measure_agreement(fleet, SESSIONS)
        keys = await fleet.redis.client.dbsize()

    assert (0, SESSIONS) == (came.disagreements, keys)
    assert came.router_calls <= PROCESSES * SESSIONS
    assert len(came.models) > 1

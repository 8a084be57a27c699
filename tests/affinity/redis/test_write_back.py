"""What was made while Redis was gone, on its way back into it."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.queries import Script, Stored, StorePolicy
from sidecar.affinity.redis.write_back import WriteBack
from sidecar.affinity.session import make_session
from sidecar.affinity.value import encode
from sidecar.domain.decision import Binding
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from tests.support.values import FakeClock

MAIN, SIDE = make_session("s1", None, "m"), make_session("s1", None, "side")
PIN, OTHER = Binding("m", requested_model="m"), Binding("x", requested_model="m")


class FakeQueries:
    """Notes scripts; each leaves ``stored`` behind."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.reports: list[tuple[PinOperation, PinOutcome]] = []
        self.stored: Stored | None = None

    async def run(self, script: Script, _budget: CallBudget) -> Stored | None:
        self.begin(script)
        return self.stored

    def begin(self, script: Script) -> None:
        self.scripts.append(script)

    def report(self, operation: PinOperation, outcome: PinOutcome, *_: float) -> None:
        self.reports.append((operation, outcome))


class Shadow:
    """A near cache with what must go back."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.near = NearCache(9, clock.monotonic_s)
        queries: Any = FakeQueries()
        self.queries = queries
        health = StoreHealth(self.near, clock.monotonic_s)
        policy = StorePolicy(ttl_s=60.0, budget_s=0.02, max_entries=9)
        self.write_back = WriteBack(self.near, health, queries, policy, clock)
        self.budget = CallBudget(1.0, clock.monotonic_s)


@pytest.fixture
def shadow() -> Shadow:
    return Shadow()


@pytest.mark.parametrize(
    ("stored", "standing", "outcome"),
    [
        (Stored(PIN, b""), PIN, [PinOutcome.REPLACED]),
        (Stored(OTHER, b""), OTHER, [PinOutcome.LOST]),
        (Stored(None, b"?"), PIN, []),
        (None, PIN, []),
    ],
)
async def test_a_move_is_written_unless_another_pod_has_moved_the_pin(
    shadow, stored, standing, outcome
):
    """What stands then is returned; where Redis does not say, the move holds here."""
    shadow.near.put(MAIN.key, OTHER, 60.0, b"base")
    shadow.near.replace(MAIN, OTHER, PIN, 60.0)
    shadow.queries.stored = stored
    entry = shadow.near.place(MAIN)[1]

    assert standing == await shadow.write_back.move(MAIN.key, entry, shadow.budget)
    assert [Script(PinOperation.REPLACE, (MAIN.key,), (b"base", encode(PIN), 60000, 1))] == (
        shadow.queries.scripts
    )
    assert outcome == [each for _, each in shadow.queries.reports]


def test_another_lanes_pin_that_is_unverified_is_claimed_for_it_first(shadow):
    """A Redis that came back empty would give its key away; its own lane needs no such help."""
    shadow.near.put(MAIN.key, PIN, 60.0, encode(PIN))
    shadow.near.is_alone, shadow.near.epoch = False, 1
    for session in (MAIN, SIDE):
        shadow.write_back.confirm_other_lane(session)

    assert [
        Script(PinOperation.CLAIM, (MAIN.key, MAIN.lane_key), ("m", encode(PIN), 60000, b""))
    ] == shadow.queries.scripts

"""What becomes of a pin: a table of what may have happened, and the tasks that write it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.session import make_session
from sidecar.domain.decision import Binding, Candidate, Decision, Source
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.lifecycle import Tasks
from sidecar.selection.pin_updater import PinUpdater, is_same_pin, next_pin
from sidecar.upstream.attempts import FailedAttempt
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.selection.room import CLAUDE, COUNT_PATH, GPT, MINI, asked
from tests.support.values import FakeClock

SESSION = make_session("s1", None, GPT)
PIN = Binding(GPT, "code", GPT, generation=1)
AWAY = Binding(MINI, "code", GPT, generation=2, home=GPT, away_since_unix_s=1000.0)
NOW_S = 1010.0


def candidate(model: str) -> Candidate:
    return Candidate("p", model, model, model, frozenset())


def failed(model: str, effect: PinEffect) -> FailedAttempt:
    failure = Failure(FailureClass.BUSY, True, Penalty.NONE, effect)
    return FailedAttempt(candidate(model), failure)


def pinned(pin: Binding, **more: Any) -> Decision:
    return Decision(
        Source.PINNED, (candidate(pin.model_name),), session=SESSION, binding=pin, **more
    )


@pytest.mark.parametrize(
    ("decision", "standing", "served_by", "attempts", "expected"),
    [
        (pinned(PIN), PIN, MINI, [failed(GPT, PinEffect.AWAY)], (MINI, GPT)),
        (pinned(PIN), PIN, MINI, [failed(GPT, PinEffect.MOVES)], (MINI, None)),
        (pinned(PIN), PIN, MINI, [failed(GPT, PinEffect.FOLLOWS)], (MINI, None)),
        (pinned(PIN), PIN, MINI, [failed(GPT, PinEffect.UNTOUCHED)], None),
        (pinned(PIN), PIN, GPT, [failed(GPT, PinEffect.AWAY)], None),
        (pinned(PIN), AWAY, MINI, [failed(GPT, PinEffect.AWAY)], None),
        (pinned(AWAY, returns_home=True), AWAY, GPT, [], (GPT, None)),
        (pinned(AWAY, returns_home=True), AWAY, MINI, [failed(GPT, PinEffect.AWAY)], (MINI, GPT)),
        (
            pinned(AWAY, returns_home=True),
            AWAY,
            MINI,
            [failed(GPT, PinEffect.FOLLOWS)],
            (MINI, GPT),
        ),
        (pinned(AWAY, returns_home=True), AWAY, MINI, [failed(GPT, PinEffect.MOVES)], (MINI, None)),
        (Decision(Source.ROUTED, ()), PIN, MINI, [], None),
    ],
    ids=[
        "served elsewhere: away",
        "its model is gone: moved for good",
        "it cannot read the conversation: moved for good",
        "a firewall refused the call: stays",
        "another entry of its model: stays",
        "another call was quicker: stays",
        "home again",
        "a return that failed",
        "a return whose history home refused: failed",
        "home is gone: settled",
        "no pin",
    ],
)
def test_a_pin_follows_to_where_its_call_was_served(
    decision, standing, served_by, attempts, expected
):
    """The model under which it stands then, and its home."""
    pin = next_pin(decision, standing, served_by, attempts, NOW_S)

    assert expected == (None if pin is None else (pin.model_name, pin.home))


def test_a_pin_is_the_same_by_model_and_generation():
    """One that was moved there and back is another."""
    assert is_same_pin(PIN, PIN)
    assert not is_same_pin(dataclasses.replace(PIN, generation=3), PIN)
    assert not is_same_pin(dataclasses.replace(PIN, model_name=MINI), PIN)


class House:
    """A pin updater over a store that holds ``PIN``."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.store = MemoryStore(clock, ttl_s=60, max_entries=9)
        self.tasks = Tasks()
        self.updater = PinUpdater(self.store, clock, self.tasks)

    async def settled(self) -> Binding | None:
        """The pin once every task has ended."""
        for task in list(self.tasks._tasks):
            await task
        return self.store.get_nowait(SESSION)


@pytest.fixture
async def house() -> House:
    house = House()
    await house.store.claim(SESSION, PIN)
    return house


async def test_a_session_follows(house):
    """In a task of its own."""
    house.updater.served(asked(), pinned(PIN), candidate(MINI), [failed(GPT, PinEffect.AWAY)])
    pin = await house.settled()

    assert pin is not None
    assert (MINI, GPT, 2) == (pin.model_name, pin.home, pin.generation)


@pytest.mark.parametrize(
    ("path", "decision"),
    [
        (COUNT_PATH, pinned(PIN)),
        (None, Decision(Source.REQUESTED, (candidate(GPT),))),
        (None, pinned(AWAY)),
    ],
    ids=["a count of tokens", "a call without a pin", "a pin that was moved meanwhile"],
)
async def test_a_session_stays(house, path, decision):
    """Nothing is written."""
    call = asked(model=CLAUDE, path=path) if path else asked()
    house.updater.served(call, decision, candidate(CLAUDE), [failed(GPT, PinEffect.AWAY)])

    assert PIN == await house.settled()


async def test_a_session_follows_though_its_pin_is_not_at_hand():
    """The store compares what it holds with the pin that the call was decided by."""
    house = House()
    house.updater.served(asked(), pinned(PIN), candidate(MINI), [failed(GPT, PinEffect.AWAY)])

    assert await house.settled() is None


@pytest.mark.parametrize(
    ("decision", "effect", "expected"),
    [
        (pinned(PIN, is_claimed=True), PinEffect.AWAY, None),
        (pinned(PIN, is_claimed=True), PinEffect.UNTOUCHED, PIN),
        (pinned(PIN), PinEffect.AWAY, PIN),
        (pinned(dataclasses.replace(PIN, generation=9), is_claimed=True), PinEffect.AWAY, PIN),
    ],
    ids=["made by the call", "the caller's own fault", "made by another call", "moved meanwhile"],
)
async def test_a_pin_under_which_nothing_was_served_is_dropped(house, decision, effect, expected):
    """If this call made it, and a failure speaks against the model."""
    house.updater.unserved(decision, [failed(GPT, effect)])

    assert expected == await house.settled()


async def test_a_pin_whose_call_nobody_responded_to_is_dropped(house):
    """The next call is routed anew."""
    house.updater.unreached(pinned(PIN, is_claimed=True))

    assert await house.settled() is None

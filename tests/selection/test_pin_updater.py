"""What becomes of a pin: a table of what may have happened, and the tasks that write it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.session import make_session
from sidecar.domain.call import BodyFacts
from sidecar.domain.decision import Binding, Candidate, Decision, Source
from sidecar.domain.errors import AppTimeout, UpstreamReset
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.lifecycle import Tasks
from sidecar.selection.pin_updater import PinUpdater, is_same_pin, next_pin, pin_elsewhere
from sidecar.upstream.attempts import Dispatched, FailedAttempt
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.selection.room import CLAUDE, COUNT_PATH, GPT, MINI, asked
from tests.support.values import FakeClock, a_call

SESSION = make_session("s1", None, GPT)
NOW_S = 1010.0
BOOM = b'{"error":{"message":"boom","type":"server_error"}}'


def candidate(model: str, provider: str = "eu") -> Candidate:
    return Candidate(provider, model, model, model, frozenset())


EU, US, OTHER = candidate(GPT), candidate(GPT, "us"), candidate(MINI)
PIN = Binding(GPT, "code", GPT, generation=1, provider="eu")
AWAY = Binding(
    GPT,
    "code",
    GPT,
    generation=2,
    provider="us",
    home=GPT,
    home_provider="eu",
    away_since_unix_s=1000.0,
)


def failed(
    who: Candidate,
    effect: PinEffect,
    failure_class: FailureClass = FailureClass.BUSY,
    *,
    may_try_next: bool = True,
) -> FailedAttempt:
    return FailedAttempt(who, Failure(failure_class, may_try_next, Penalty.NONE, effect))


def stream_of(candidate: Candidate) -> Dispatched:
    reply: Any = None
    return Dispatched(reply, candidate, 1, 1000.0, 1000.5)


def pinned(pin: Binding, *candidates: Candidate, **more: Any) -> Decision:
    """A decision by a pin: its own candidate, then others."""
    own = candidates or (EU, US, OTHER)
    return Decision(Source.PINNED, own, session=SESSION, binding=pin, **more)


RETURN = pinned(AWAY, EU, US, OTHER, returns_home=True)
AT_EU, AT_US, AT_OTHER = (GPT, "eu"), (GPT, "us"), (MINI, "eu")
GOES, MOVES, FOLLOWS = PinEffect.AWAY, PinEffect.MOVES, PinEffect.FOLLOWS
STAYS = PinEffect.UNTOUCHED
NO_HOME = (None, None)
CASES: dict[str, tuple[Decision, Binding, Candidate, list[FailedAttempt], Any]] = {
    "another entry serves: away": (pinned(PIN), PIN, US, [failed(EU, GOES)], (AT_US, AT_EU, 0)),
    "another model serves: away": (
        pinned(PIN),
        PIN,
        OTHER,
        [failed(EU, GOES), failed(US, MOVES)],
        (AT_OTHER, AT_EU, 0),
    ),
    "it cools and was not tried: away": (pinned(PIN), PIN, US, [], (AT_US, AT_EU, 0)),
    "its model is gone: moved for good": (
        pinned(PIN),
        PIN,
        US,
        [failed(EU, MOVES)],
        (AT_US, NO_HOME, 0),
    ),
    "it cannot read the conversation: moved for good": (
        pinned(PIN),
        PIN,
        US,
        [failed(EU, FOLLOWS)],
        (AT_US, NO_HOME, 0),
    ),
    "a firewall refused the call: stays": (pinned(PIN), PIN, US, [failed(EU, STAYS)], None),
    "the first one served: stays": (pinned(PIN), PIN, EU, [], None),
    "another call was quicker: stays": (pinned(PIN), AWAY, US, [failed(EU, GOES)], None),
    "no entry named: the one that was left is home": (
        pinned(Binding(GPT)),
        Binding(GPT),
        US,
        [failed(EU, GOES)],
        (AT_US, AT_EU, 0),
    ),
    "an unknown entry: stays": (
        pinned(Binding(GPT, provider="gone", bound_at_unix_s=NOW_S)),
        Binding(GPT, provider="gone", bound_at_unix_s=NOW_S),
        OTHER,
        [failed(EU, GOES), failed(US, GOES)],
        None,
    ),
    "an entry that has long been unknown: the one that was left is home": (
        pinned(Binding(GPT, provider="gone", bound_at_unix_s=1.0)),
        Binding(GPT, provider="gone", bound_at_unix_s=1.0),
        US,
        [failed(EU, GOES)],
        (AT_US, AT_EU, 0),
    ),
    "a model that is not served, long unknown: stays": (
        pinned(Binding(GPT, provider="gone", bound_at_unix_s=1.0), OTHER),
        Binding(GPT, provider="gone", bound_at_unix_s=1.0),
        OTHER,
        [],
        None,
    ),
    "home again": (RETURN, AWAY, EU, [], (AT_EU, NO_HOME, 0)),
    "home serves though no return was tried": (
        pinned(AWAY, US, EU),
        AWAY,
        EU,
        [failed(US, GOES)],
        (AT_EU, NO_HOME, 0),
    ),
    "a return that failed": (RETURN, AWAY, US, [failed(EU, GOES)], (AT_US, AT_EU, 1)),
    "a return whose history home refused: failed": (
        RETURN,
        AWAY,
        US,
        [failed(EU, FOLLOWS)],
        (AT_US, AT_EU, 1),
    ),
    "a return that a firewall refused: failed": (
        RETURN,
        AWAY,
        US,
        [failed(EU, STAYS)],
        (AT_US, AT_EU, 1),
    ),
    "a return that another call has counted": (
        RETURN,
        dataclasses.replace(AWAY, failed_returns=1, generation=3),
        US,
        [failed(EU, GOES)],
        None,
    ),
    "a return that was not tried": (RETURN, AWAY, US, [], None),
    "home is gone: settled": (RETURN, AWAY, US, [failed(EU, MOVES)], (AT_US, NO_HOME, 0)),
    "neither home nor away serves: further away": (
        RETURN,
        AWAY,
        OTHER,
        [failed(EU, GOES), failed(US, MOVES)],
        (AT_OTHER, AT_EU, 1),
    ),
    "no pin": (Decision(Source.ROUTED, ()), PIN, OTHER, [], None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pin_follows_to_where_its_call_was_served(case):
    """Where it stands then, its home, and how many returns have failed."""
    decision, standing, served_by, attempts, expected = CASES[case]
    pin = next_pin(decision, standing, served_by, attempts, NOW_S)

    assert expected == (
        None
        if pin is None
        else (
            (pin.model_name, pin.provider),
            (pin.home, pin.home_provider),
            pin.failed_returns,
        )
    )


def test_a_session_whose_route_cannot_serve_it_is_served_as_requested_from_then_on():
    """No model of the route took the call, so the route decides no further call."""
    decision = pinned(PIN, EU, requested=(OTHER,))
    refused = failed(EU, MOVES, FailureClass.SWAPPED)
    swapped = next_pin(decision, PIN, OTHER, [refused], NOW_S)
    busy = next_pin(decision, PIN, OTHER, [failed(EU, GOES)], NOW_S)

    assert swapped is not None
    assert busy is not None
    assert [(MINI, None, None), (MINI, GPT, "code")] == [
        (pin.model_name, pin.home, pin.route_name) for pin in (swapped, busy)
    ]


HOME_AGAIN = dataclasses.replace(PIN, generation=3)
BROKEN: dict[str, tuple[Decision, Binding, list[FailedAttempt], Any]] = {
    "away, to the next entry": (pinned(PIN), PIN, [failed(EU, GOES)], (AT_US, AT_EU, 0)),
    "for good": (pinned(PIN), PIN, [failed(EU, MOVES)], (AT_US, NO_HOME, 0)),
    "what it wrote itself it cannot read": (
        pinned(PIN),
        PIN,
        [failed(EU, FOLLOWS)],
        (AT_US, NO_HOME, 0),
    ),
    "nothing against the provider": (pinned(PIN), PIN, [failed(EU, STAYS)], None),
    "past what failed before": (
        pinned(PIN),
        dataclasses.replace(PIN, provider="us", home=GPT, home_provider="eu"),
        [failed(EU, GOES), failed(US, GOES)],
        (AT_OTHER, AT_US, 0),
    ),
    "nothing is left": (pinned(PIN, EU), PIN, [failed(EU, GOES)], None),
    "another call has moved it": (pinned(PIN), AWAY, [failed(EU, GOES)], None),
    "no pin": (Decision(Source.REQUESTED, (EU, US)), PIN, [failed(EU, GOES)], None),
    "a return home": (RETURN, HOME_AGAIN, [failed(EU, GOES)], (AT_US, AT_EU, 1)),
    "a return home that is gone": (RETURN, HOME_AGAIN, [failed(EU, MOVES)], (AT_US, NO_HOME, 0)),
    "where it is away, home": (
        pinned(AWAY, US, EU, OTHER),
        AWAY,
        [failed(US, GOES)],
        (AT_EU, NO_HOME, 0),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_stream_that_broke_off_sends_its_session_elsewhere(case):
    """Where its pin stands then, its home, and how many returns have failed."""
    decision, standing, attempts, expected = BROKEN[case]
    pin = pin_elsewhere(decision, standing, attempts, lambda _: False, NOW_S)

    assert expected == (
        None
        if pin is None
        else ((pin.model_name, pin.provider), (pin.home, pin.home_provider), pin.failed_returns)
    )
    assert pin is None or pin.generation == standing.generation + 1


def test_a_session_is_not_sent_where_it_could_not_stay():
    """Past what cools, and what would be sent the caller's own key."""
    keyless = Candidate("own", GPT, GPT, GPT, frozenset(), passthrough_auth=True)
    decision = pinned(PIN, EU, US, keyless, OTHER)
    pin = pin_elsewhere(decision, PIN, [failed(EU, GOES)], lambda each: each == US, NOW_S)

    assert pin is not None
    assert AT_OTHER == (pin.model_name, pin.provider)


def test_a_pin_is_the_same_by_place_and_generation():
    """One that was moved there and back is another."""
    assert is_same_pin(PIN, PIN)
    for change in ({"generation": 3}, {"model_name": MINI}, {"provider": "us"}):
        assert not is_same_pin(dataclasses.replace(PIN, **change), PIN)


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
    house.updater.served(asked(), pinned(PIN), US, [failed(EU, GOES)])
    pin = await house.settled()

    assert pin is not None
    assert (AT_US, AT_EU, 2) == (
        (pin.model_name, pin.provider),
        (pin.home, pin.home_provider),
        pin.generation,
    )


@pytest.mark.parametrize(
    ("path", "decision"),
    [
        (COUNT_PATH, pinned(PIN)),
        (None, Decision(Source.REQUESTED, (EU,))),
        (None, pinned(AWAY)),
    ],
    ids=["a count of tokens", "a call without a pin", "a pin that was moved meanwhile"],
)
async def test_a_session_stays(house, path, decision):
    """Nothing is written."""
    call = asked(model=CLAUDE, path=path) if path else asked()
    house.updater.served(call, decision, candidate(CLAUDE), [failed(EU, GOES)])

    assert PIN == await house.settled()


async def test_a_session_whose_stream_broke_off_is_served_elsewhere(house):
    """In a task of its own."""
    house.updater.broke_off(asked(), pinned(PIN), stream_of(EU), BOOM, lambda _: False)
    pin = await house.settled()

    assert pin is not None
    assert (AT_US, AT_EU) == ((pin.model_name, pin.provider), (pin.home, pin.home_provider))


@pytest.mark.parametrize(
    ("call", "decision", "event"),
    [
        (asked(model=CLAUDE, path=COUNT_PATH), pinned(PIN), BOOM),
        (asked(), Decision(Source.REQUESTED, (EU, US)), BOOM),
        (asked(), pinned(PIN), b'{"error":{"code":"content_policy_violation"}}'),
        (a_call(facts=BodyFacts(holds_provider_state=True)), pinned(PIN), BOOM),
    ],
    ids=["a count of tokens", "no pin", "its own prompt's fault", "state that is kept there"],
)
async def test_a_session_whose_stream_broke_off_may_have_to_stay(house, call, decision, event):
    """Nothing is written."""
    house.updater.broke_off(call, decision, stream_of(EU), event, lambda _: False)

    assert PIN == await house.settled()


async def test_a_session_follows_though_its_pin_is_not_at_hand():
    """The store compares what it holds with the pin that the call was decided by."""
    house = House()
    house.updater.served(asked(), pinned(PIN), US, [failed(EU, GOES)])

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
    house.updater.unserved(decision, [failed(EU, effect)])

    assert expected == await house.settled()


async def test_a_pin_whose_call_nobody_responded_to_is_dropped(house):
    """The next call is routed anew."""
    house.updater.unreached(pinned(PIN, is_claimed=True), UpstreamReset("gone"))

    assert await house.settled() is None


async def test_an_app_that_would_not_wait_leaves_its_pin(house):
    """Nothing was learned of the candidate."""
    house.updater.unreached(pinned(PIN, is_claimed=True), AppTimeout("short"))

    assert PIN == await house.settled()


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([failed(EU, STAYS), failed(US, STAYS)], 1),
        ([failed(EU, GOES), failed(US, GOES)], 1),
        ([failed(US, GOES)], 0),
        ([failed(EU, STAYS, may_try_next=False)], 0),
    ],
    ids=[
        "home refused the call",
        "home is busy",
        "home was not tried",
        "home says the call is bad",
    ],
)
async def test_a_return_of_a_call_that_nobody_served_counts_where_home_is_no_help(
    house, failures, expected
):
    """The next call does not meet the same at once; a home that finds fault with the call is well."""
    await house.store.replace(SESSION, PIN, AWAY)
    house.updater.unserved(RETURN, failures)
    pin = await house.settled()

    assert pin is not None
    assert (AT_US, expected) == ((pin.model_name, pin.provider), pin.failed_returns)


async def test_a_return_to_which_nobody_responded_counts_as_failed(house):
    """The next one is due later: a home that lets every call wait is not tried by each."""
    await house.store.replace(SESSION, PIN, AWAY)
    house.updater.unreached(RETURN, AppTimeout("short"))
    pin = await house.settled()

    assert pin is not None
    assert (AT_US, 1) == ((pin.model_name, pin.provider), pin.failed_returns)


async def test_a_return_that_came_to_nothing_leaves_a_pin_that_was_moved_meanwhile(house):
    """Another call has found where the session belongs."""
    house.updater.unreached(RETURN, UpstreamReset("gone"))

    assert PIN == await house.settled()

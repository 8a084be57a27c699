"""Where the pin of a session sends its calls: to which entries, in which order, and when home."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.call import Call
from sidecar.domain.decision import Binding, Decision, Price, Route, Source
from sidecar.routing.preferences import RankSources
from sidecar.selection.pin_plans import PinPlans
from tests.selection.room import (
    COUNT_PATH,
    EU,
    GONE,
    GPT,
    LLAMA,
    MESSAGES_PATH,
    MINI,
    TABLE,
    US,
    Room,
    a_pin,
    asked,
    inline,
)

STATEFUL = {"holds_provider_state": True}
FAST = Route("fast", "quick replies", (*TABLE.entries_of(MINI), EU, US))
SIGNED: list[dict[str, Any]] = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
    {"role": "user", "content": "b"},
]


@pytest.fixture
def room() -> Room:
    return Room(routes=(FAST,))


def providers_of(room: Room, pin: Binding, **changes: Any) -> list[str]:
    """The entries that the pin's call is sent to, in order."""
    decision = decided(room, pin, **changes)
    return [each.provider for each in decision.candidates]


def test_a_pin_says_nothing_where_its_model_cannot_serve_the_call(room):
    """It does not speak the dialect, or nobody here knows it."""
    plans: PinPlans = room.decisions._pins
    situation = room.decisions.situation_of(asked())

    for model in (GONE, "anthropic/claude"):
        assert plans.plan_of(a_pin(model), situation) is None
        assert plans.pinned(a_pin(model), situation) is None


def decided(room: Room, pin: Binding, **changes: Any) -> Decision:
    decision = room.decisions.pinned(pin, room.decisions.situation_of(asked(**changes)))
    assert decision is not None
    return decision


@pytest.mark.parametrize(
    ("pin", "changes", "expected"),
    [
        (a_pin(LLAMA, route_name="fast", provider="us"), {}, ["us", "eu", MINI]),
        (a_pin(LLAMA, route_name="fast"), {}, ["eu", "us", MINI]),
        (a_pin(LLAMA, route_name="fast", provider="gone"), {}, ["eu", "us", MINI]),
        (a_pin(GPT, route_name="fast", provider=GPT), {}, [GPT, MINI, "eu", "us"]),
        (a_pin(LLAMA, route_name="gone", provider="us"), {}, ["us", "eu"]),
        (a_pin(LLAMA, route_name=None, provider="us"), {"model": LLAMA}, ["us", "eu", MINI]),
        (a_pin(LLAMA, route_name=None, provider="us"), {"model": "us"}, ["us"]),
        (a_pin(LLAMA, route_name=None, provider="us"), {"model": GPT}, ["us", "eu", MINI]),
        (a_pin(MINI, route_name=None, provider=MINI), {"model": LLAMA}, [MINI, "eu", "us"]),
        (a_pin(GPT, route_name=None), {}, [GPT, MINI]),
    ],
    ids=[
        "its entry, the model's others, the route's rest",
        "a pin without an entry: as the route has it",
        "an entry unknown here: the model's others serve",
        "a model that the route no longer lists",
        "a route unknown here",
        "without a route: what was asked for, and its fallbacks",
        "one entry was asked for: no other account of its model",
        "another model was asked for: the pinned one's fallbacks",
        "a fallback serves: the model that was asked for comes next",
        "one entry",
    ],
)
def test_a_pin_names_the_entry_that_is_tried_first(room, pin, changes, expected):
    """Then what it was chosen among."""
    assert expected == providers_of(room, pin, **changes)


def test_a_pin_of_a_calls_own_list_stays_on_that_list(room):
    """The rest of its route, as the body has it; a route of another name adds nothing."""
    own = inline("us", MINI)
    listed = a_pin(LLAMA, route_name="own", provider="us")
    other = a_pin(LLAMA, route_name="fast", provider="us")

    assert ["us", MINI] == providers_of(room, listed, routing_preferences=own)
    assert ["us", "eu"] == providers_of(room, other, routing_preferences=own)


@pytest.mark.parametrize(
    ("pin", "changes", "expected"),
    [
        (a_pin(LLAMA, route_name="fast"), {}, "fast"),
        (a_pin(LLAMA, route_name="gone"), {}, "other"),
        (a_pin(LLAMA, route_name="own"), {"routing_preferences": inline(LLAMA)}, "other"),
        (
            a_pin(LLAMA, route_name="any"),
            {"model": LLAMA, "routing_preferences": b"[]"},
            "other",
        ),
        (a_pin(LLAMA, route_name=None), {}, "none"),
    ],
    ids=["configured", "of another config", "of the call's own list", "not routed", "none"],
)
def test_only_a_configured_route_is_a_label(room, pin, changes, expected):
    """Other names come from bodies, through the store: clients cannot grow the series."""
    decision = decided(room, pin, **changes)

    assert (pin.route_name, expected) == (decision.route_name, decision.metric_route)


def away(room: Room, since_s: float = 6.0, **more: Any) -> Binding:
    """A session of the EU account that is served in the US."""
    left_s = room.clock.unix_s() - since_s
    fields = {"home": LLAMA, "home_provider": "eu", "away_since_unix_s": left_s, **more}
    return a_pin(
        LLAMA, LLAMA, route_name="fast", provider="us", **{"bound_at_unix_s": left_s, **fields}
    )


def test_a_session_that_is_away_is_tried_at_home_when_that_is_due(room):
    """At its entry first, then where it is now."""
    decision = decided(room, away(room), model=LLAMA)

    assert (["eu", "us", MINI], True) == (
        [each.provider for each in decision.candidates],
        decision.returns_home,
    )


def test_a_home_of_another_model_is_tried_at_all_entries_where_it_names_none(room):
    """A pin of before names its home by the model alone."""
    left_s = room.clock.unix_s() - 6.0
    pin = a_pin(
        MINI,
        route_name="fast",
        home=LLAMA,
        away_since_unix_s=left_s,
        bound_at_unix_s=left_s,
    )

    assert ["eu", "us", MINI] == providers_of(room, pin)


@pytest.mark.parametrize(
    ("pin_changes", "call_changes", "cools"),
    [
        ({"since_s": 1.0}, {}, False),
        ({}, {}, True),
        ({}, STATEFUL, False),
        ({"home_provider": "gone"}, {}, False),
        ({"home": GONE}, {}, False),
        ({}, {"messages": SIGNED}, False),
        ({}, {"routing_preferences": inline("us")}, False),
    ],
    ids=[
        "not due",
        "home cools",
        "a response is stored where it is",
        "home's entry is unknown here",
        "home's model is unknown here",
        "the newest turn is signed where it is",
        "home is not on the call's own list",
    ],
)
def test_a_session_stays_away_where_home_would_not_serve_it(room, pin_changes, call_changes, cools):
    """A return that is bound to fail costs an attempt, and one at the wrong place a conversation."""
    if cools:
        room.cooling.add(EU)
    decision = decided(room, away(room, **pin_changes), **{"model": LLAMA, **call_changes})

    assert ("us", False) == (decision.candidates[0].provider, decision.returns_home)


def test_a_home_on_the_calls_own_list_is_tried(room):
    """It restricts the call to what it lists, and no further."""
    decision = decided(room, away(room), routing_preferences=inline(LLAMA))

    assert decision.returns_home


def test_a_body_is_read_for_signed_state_only_where_a_return_is_due(room, monkeypatch):
    """A session that is at home, or was just tried there, costs nothing more."""
    read: list[str] = []

    def note(_dialects: object, call: Call) -> bool:
        read.append(call.request_id)
        return False

    monkeypatch.setattr(DialectRegistry, "is_newest_turn_signed", note)
    decided(room, a_pin(LLAMA, provider="us"), model=LLAMA)
    decided(room, away(room, since_s=1.0), model=LLAMA)
    assert [] == read
    decided(room, away(room), model=LLAMA)
    assert 1 == len(read)


def test_a_count_of_tokens_reads_a_pin_and_tries_no_return(room):
    """It has limits of its own."""
    room = Room()
    left_s = room.clock.unix_s() - 6.0
    claude = "anthropic/claude"
    pin = a_pin(claude, claude, home=claude, away_since_unix_s=left_s, bound_at_unix_s=left_s)
    count, message = (
        decided(room, pin, model=claude, path=path) for path in (COUNT_PATH, MESSAGES_PATH)
    )

    assert (Source.PINNED, False, True) == (
        count.source,
        count.returns_home,
        message.returns_home,
    )


def test_what_a_pin_decides_is_worked_out_every_five_seconds():
    """Prices and speeds may have changed by then; what a call restricts itself to is its own."""
    room = Room()
    asked_prices: list[int] = []
    expected = room.routes._sources.expected

    class CountedNumbers:
        def __init__(self) -> None:
            self.latencies_s: dict[str, float] = {}

        @property
        def prices(self) -> dict[str, Price]:
            asked_prices.append(1)
            return {}

    room.routes._sources = RankSources(CountedNumbers(), expected)
    for later_s in (0.0, 4.0, 6.0):
        call = dataclasses.replace(asked(), admitted_s=1000.0 + later_s)
        room.decisions.pinned(a_pin(), room.decisions.situation_of(call))

    assert 2 == len(asked_prices)

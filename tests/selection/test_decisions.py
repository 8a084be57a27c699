"""Decisions from what is at hand: no loop, no socket."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.decision import Binding, Decision, Source
from sidecar.domain.errors import DialectNotServed, InvalidRoutingPreferences, ModelNotFound
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.table import ModelTable
from sidecar.selection.decisions import Decisions
from sidecar.selection.situation import Situation
from sidecar.selection.steps import FIRST_STEPS, CallKind, PinState, Step
from tests.selection.room import (
    CLAUDE,
    CODE,
    COUNT_PATH,
    EMBED_PATH,
    GOES_ON,
    GONE,
    GPT,
    LLAMA,
    MESSAGES_PATH,
    MINI,
    TABLE,
    TALK,
    US,
    Room,
    a_pin,
    asked,
    inline,
)
from tests.support.providers import a_provider

LONG_AGO = dataclasses.replace(a_pin(GONE), bound_at_unix_s=1.0)
STATEFUL = {"holds_provider_state": True}


@pytest.fixture
def room() -> Room:
    return Room()


SITUATIONS: dict[str, tuple[dict[str, Any], Binding, PinState, Step]] = {
    "at hand": ({}, a_pin(), PinState.USABLE, Step.SERVE_PINNED),
    "of another lane's model": ({"model": MINI}, a_pin(), PinState.USABLE, Step.SERVE_PINNED),
    "a count of tokens": (
        {"path": COUNT_PATH},
        a_pin(CLAUDE),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "a stored response": (STATEFUL, a_pin(), PinState.USABLE, Step.SERVE_PINNED),
    "on the own list": (
        {"routing_preferences": inline(GPT)},
        a_pin(),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "off the own list": (
        {"routing_preferences": inline(MINI)},
        a_pin(),
        PinState.OFF_LIST,
        Step.ASK,
    ),
    "on the own list, at another entry": (
        {"routing_preferences": inline("us")},
        a_pin(LLAMA, provider="eu"),
        PinState.OFF_LIST,
        Step.ASK,
    ),
    "on the own list, at an entry unknown here": (
        {"routing_preferences": inline("us")},
        a_pin(LLAMA, provider="gone"),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "without a list, to what was asked for": (
        {"model": LLAMA, "routing_preferences": b"[]"},
        a_pin(LLAMA, provider="us"),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "without a list, to a fallback of what was asked for": (
        {"model": LLAMA, "routing_preferences": b"[]"},
        a_pin(MINI, provider=MINI),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "without a list, to another model": (
        {"model": LLAMA, "routing_preferences": b"[]"},
        a_pin(GPT),
        PinState.OFF_LIST,
        Step.SERVE_REQUESTED,
    ),
    "without a list, provisional": (
        {"model": LLAMA, "routing_preferences": b"[]"},
        a_pin(LLAMA, provisional=True),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "to an entry unknown here": ({}, a_pin(provider="x"), PinState.USABLE, Step.SERVE_PINNED),
    "of another dialect": ({}, a_pin(CLAUDE), PinState.OTHER_DIALECT, Step.ASK),
    "of another dialect, for a stored response": (
        STATEFUL,
        a_pin(CLAUDE),
        PinState.OTHER_DIALECT,
        Step.SERVE_REQUESTED,
    ),
    "to an unknown model": ({}, a_pin(GONE), PinState.UNKNOWN_MODEL, Step.ASK),
    "to a model long unknown": ({}, LONG_AGO, PinState.OUTDATED, Step.ASK_AND_REPLACE),
    "provisional, at a start": (
        {},
        a_pin(provisional=True),
        PinState.PROVISIONAL,
        Step.ASK_AND_REPLACE,
    ),
    "provisional, later on": (
        {"messages": GOES_ON},
        a_pin(provisional=True),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "provisional, for a count of tokens": (
        {"path": COUNT_PATH, "model": CLAUDE},
        a_pin(CLAUDE, provisional=True),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
    "provisional, at a start, for a stored response": (
        STATEFUL,
        a_pin(provisional=True),
        PinState.USABLE,
        Step.SERVE_PINNED,
    ),
}


@pytest.mark.parametrize("case", SITUATIONS)
def test_a_pin_means_to_a_call(room, case):
    """Every state of a pin, and what the call does then."""
    changes, pin, state, step = SITUATIONS[case]
    situation = room.decisions.situation_of(asked(**changes))

    assert state is room.decisions.state_of(pin, situation)
    assert step is FIRST_STEPS[state][situation.kind]


@pytest.mark.parametrize("case", SITUATIONS)
def test_the_short_way_of_a_firm_pin_says_what_the_table_says(room, case):
    """It is there for the cost of it alone: no call may be decided otherwise than by the table."""
    changes, pin, state, step = SITUATIONS[case]
    situation = room.decisions.situation_of(asked(**changes))
    firm = room.decisions.firm(pin, situation)

    if firm is not None:
        assert (PinState.USABLE, Step.SERVE_PINNED) == (state, step)
        assert room.decisions.pinned(pin, situation) == firm
    elif state is PinState.USABLE:
        assert pin.provisional or situation.routes is not room.decisions._routes.configured


def test_a_provisional_pin_holds_while_the_router_model_is_left_alone(room):
    """It would be provisional once more."""
    room.may_ask = False
    situation = room.decisions.situation_of(asked())

    assert PinState.USABLE is room.decisions.state_of(a_pin(provisional=True), situation)


@pytest.mark.parametrize(
    ("changes", "routes", "has_session", "kind"),
    [
        ({}, (CODE, TALK), True, CallKind.ROUTED),
        ({"session_id": None}, (CODE, TALK), False, CallKind.ROUTED),
        ({"path": COUNT_PATH}, (CODE, TALK), True, CallKind.OTHER),
        ({"path": COUNT_PATH, "routing_preferences": b"?"}, (CODE, TALK), True, CallKind.OTHER),
        ({"path": EMBED_PATH}, (CODE, TALK), False, CallKind.OTHER),
        (STATEFUL, (CODE, TALK), True, CallKind.OTHER),
        ({"routing_preferences": b"null"}, (CODE, TALK), True, CallKind.ROUTED),
        ({"routing_preferences": b"[]"}, (), False, CallKind.GROUPED),
    ],
)
def test_a_situation_is_found_out_once(room, changes, routes, has_session, kind):
    """Model, routes and session; a call with nothing to choose needs no session."""
    situation: Situation = room.decisions.situation_of(asked(model="smart", **changes))

    assert (GPT, routes, has_session, kind) == (
        situation.resolved.model_name,
        situation.routes,
        situation.session is not None,
        situation.kind,
    )


@pytest.mark.parametrize(
    ("changes", "has_session", "kind"),
    [
        ({}, True, CallKind.GROUPED),
        ({"model": "us"}, False, CallKind.GROUPED),
        ({"session_id": None}, False, CallKind.GROUPED),
        ({"path": EMBED_PATH}, False, CallKind.OTHER),
        (STATEFUL, True, CallKind.OTHER),
    ],
    ids=["a group", "one entry of it", "no session", "embeddings", "a stored response"],
)
def test_without_routes_a_group_of_entries_has_a_session(changes, has_session, kind):
    """So that it can stay at an account; where nothing is to be chosen, affinity is untouched."""
    room = Room(routes=())
    situation = room.decisions.situation_of(asked(**{"model": LLAMA, **changes}))

    assert (has_session, kind) == (situation.session is not None, situation.kind)


@pytest.mark.parametrize(
    ("pin", "state"),
    [
        (a_pin(LLAMA, provider="us"), PinState.USABLE),
        (a_pin(MINI), PinState.USABLE),
        (a_pin(GPT), PinState.OFF_LIST),
        (a_pin(GONE), PinState.UNKNOWN_MODEL),
        (LONG_AGO, PinState.OUTDATED),
    ],
    ids=["its entry", "its fallback", "another model", "an unknown one", "one long unknown"],
)
def test_without_routes_a_pin_holds_for_what_was_asked_for(pin, state):
    """A pin of a config that had routes does not steer the calls of one that has none."""
    room = Room(routes=())
    situation = room.decisions.situation_of(asked(model=LLAMA))

    assert state is room.decisions.state_of(pin, situation)
    assert room.decisions.firm(pin, situation) is None


def test_a_situation_that_cannot_be_is_refused(room):
    """An unknown model, and a list that cannot be read."""
    with pytest.raises(ModelNotFound):
        room.decisions.situation_of(asked(model="x"))
    with pytest.raises(InvalidRoutingPreferences):
        room.decisions.situation_of(asked(routing_preferences=b"?"))


def test_a_pinned_decision_says_whose_pin_it_is(room):
    """With the session and the binding that were seen; the rest of the route follows."""
    situation = room.decisions.situation_of(asked())
    pin = a_pin(MINI)

    assert Decision(
        Source.PINNED,
        (*TABLE.entries_of(MINI), *TABLE.entries_of(GPT)),
        "code",
        metric_route="code",
        session=situation.session,
        binding=pin,
        requested=TABLE.entries_of(GPT),
    ) == room.decisions.pinned(pin, situation)


def test_a_pin_that_another_call_made_is_adopted_where_it_serves(room):
    """Not off the own list, and not in a dialect that its model does not speak."""
    own_list = room.decisions.situation_of(asked(routing_preferences=inline(MINI)))
    usual = room.decisions.situation_of(asked())
    adopted = room.decisions.adopted(a_pin(MINI), own_list)

    assert adopted is not None
    assert (MINI, False) == (adopted.candidates[0].model_name, adopted.is_claimed)
    assert room.decisions.adopted(a_pin(GPT), own_list) is None
    assert room.decisions.adopted(a_pin(CLAUDE), usual) is None


def test_a_claimed_decision_carries_its_pin(room):
    """So that it can be dropped again if no candidate serves."""
    situation = room.decisions.situation_of(asked())
    assert situation.session is not None
    decision = room.decisions.requested(situation)
    claimed = room.decisions.claimed(decision, a_pin(), situation.session)

    assert (a_pin(), situation.session, True) == (
        claimed.binding,
        claimed.session,
        claimed.is_claimed,
    )


@pytest.mark.parametrize(
    ("own", "standing", "expected"),
    [
        (a_pin(), a_pin(MINI, provisional=True), True),
        (a_pin(provisional=True), a_pin(MINI, provisional=True), False),
        (a_pin(), a_pin(MINI), False),
    ],
)
def test_a_firm_pin_may_take_a_provisional_ones_place(room, own, standing, expected):
    """At the start of a conversation."""
    situation = room.decisions.situation_of(asked())

    assert expected == room.decisions.may_replace(own, standing, situation)


def decide(room, verdict, **changes):
    situation = room.decisions.situation_of(asked(**changes))
    ranked = room.decisions.ranking_of(verdict, situation, 1000.0)
    return room.decisions.routed(verdict, ranked, situation)


def test_a_named_route_decides(room):
    """Its candidates in rank order; a configured route is a metric label."""
    verdict = RouterVerdict(RouterOutcome.MATCHED, "code", waited_s=0.25)

    requested = TABLE.entries_of(GPT)
    facts = RoutingFacts(RouterOutcome.MATCHED, "none", CODE.candidates, (None, None))
    expected = Decision(
        Source.ROUTED,
        CODE.candidates,
        "code",
        0.25,
        "code",
        requested=requested,
        routing=facts,
    )

    assert expected == decide(room, verdict)


@pytest.mark.parametrize("outcome", [RouterOutcome.OTHER, RouterOutcome.TIMEOUT])
def test_a_decision_without_a_route_says_what_the_router_model_came_to(room, outcome):
    """A replay compares it."""
    assert RoutingFacts(outcome) == decide(room, RouterVerdict(outcome)).routing


def test_every_decision_names_the_candidates_of_the_model_that_the_app_asked_for(room):
    """Whoever serves; none where the model does not speak the dialect. Fallbacks are not among
    them.
    """
    situation = room.decisions.situation_of(asked(model="smart"))
    decisions = [
        room.decisions.requested(situation),
        room.decisions.pinned(a_pin(MINI), situation),
        decide(room, RouterVerdict(RouterOutcome.MATCHED, "code"), model="smart"),
        decide(room, RouterVerdict(RouterOutcome.OTHER), model="smart"),
        decide(room, RouterVerdict(RouterOutcome.TIMEOUT), model="smart"),
    ]
    elsewhere = decide(room, RouterVerdict(RouterOutcome.TIMEOUT), model=GPT, path=MESSAGES_PATH)

    assert [TABLE.entries_of(GPT)] * 5 == [each.requested for each in decisions]
    assert () == elsewhere.requested


def test_a_bodys_own_route_is_no_label(room):
    """Clients cannot grow the series."""
    verdict = RouterVerdict(RouterOutcome.MATCHED, "own")
    decision = decide(room, verdict, routing_preferences=inline(MINI))

    assert ("own", "other") == (decision.route_name, decision.metric_route)


def test_a_route_that_cannot_serve_the_dialect_is_refused(room):
    """The router model named it, so that no other may be used instead."""
    with pytest.raises(DialectNotServed):
        decide(room, RouterVerdict(RouterOutcome.MATCHED, "talk"))


def test_no_route_means_the_requested_model(room):
    """The router model said so."""
    decision = decide(room, RouterVerdict(RouterOutcome.OTHER, waited_s=0.5))

    assert (Source.REQUESTED, GPT, 0.5) == (
        decision.source,
        decision.candidates[0].model_name,
        decision.router_s,
    )


def test_a_router_model_that_fails_falls_back_to_the_requested_model(room):
    """Or, where that does not speak the dialect, to those of the routes that do."""
    failed = RouterVerdict(RouterOutcome.TIMEOUT, waited_s=1.0)
    usual, messages = decide(room, failed), decide(room, failed, model=GPT, path=MESSAGES_PATH)
    chat = decide(room, failed, model=CLAUDE)

    assert [(Source.FALLBACK, 1.0)] * 3 == [
        (each.source, each.router_s) for each in (usual, messages, chat)
    ]
    assert [[GPT, MINI], [CLAUDE], [GPT, MINI]] == [
        [each.model_name for each in decision.candidates] for decision in (usual, messages, chat)
    ]


def test_where_no_model_speaks_the_dialect_the_call_is_refused():
    """A fallback cannot invent one."""
    room = Room()
    table = ModelTable((a_provider(CLAUDE, by_dialect={"messages": "/v1/messages"}),), {})
    room.routes.configured = room.routes.in_effect = (TALK,)
    decisions = Decisions(table, room.routes, room.clock, lambda _: False, lambda _: True, DIALECTS)
    situation = decisions.situation_of(asked(model=CLAUDE))

    with pytest.raises(DialectNotServed):
        decisions.routed(RouterVerdict(RouterOutcome.BUSY), None, situation)


@pytest.mark.parametrize("source", [Source.ROUTED, Source.FALLBACK])
def test_a_routed_call_makes_a_pin(room, source):
    """To the entry that is tried first; a fallback's is provisional."""
    situation = room.decisions.situation_of(asked())
    decision = Decision(source, (US, *TABLE.entries_of(MINI)), "code")
    pin = Binding(
        LLAMA,
        "code",
        GPT,
        3,
        room.clock.unix_s(),
        provisional=source == "fallback",
        provider="us",
    )

    assert pin == room.decisions.pin_of(decision, situation, 3)


@pytest.mark.parametrize(
    ("room", "changes", "is_provisional"),
    [
        (Room(), {"routing_preferences": b"[]"}, True),
        (Room(routes=()), {}, False),
        (Room(is_routed=False), {}, False),
    ],
    ids=["a call without its routes", "no routes", "no router model"],
)
def test_a_call_that_is_not_routed_makes_a_pin_without_a_route(room, changes, is_provisional):
    """It holds for good where there is nothing to route by, else until a conversation begins."""
    situation = room.decisions.situation_of(asked(model=LLAMA, **changes))
    pin = room.decisions.pin_of(room.decisions.requested(situation), situation, 1)

    assert (LLAMA, "eu", None, is_provisional) == (
        pin.model_name,
        pin.provider,
        pin.route_name,
        pin.provisional,
    )


def test_a_pin_whose_names_cannot_be_written_is_not_made(room):
    """A config's own name may be too long."""
    situation = room.decisions.situation_of(asked(path="/v1/responses", model="mistral/m"))
    resolved = dataclasses.replace(situation.resolved, model_name="mistral/" + "x" * 999)
    situation = dataclasses.replace(situation, resolved=resolved)

    assert room.decisions.pin_of(room.decisions.requested(situation), situation, 1) is None


@pytest.mark.parametrize(
    ("model", "route_only", "is_routed"),
    [
        (GPT, (), True),
        (GPT, (GPT,), True),
        (GPT.partition("/")[2], (GPT,), True),
        (GPT, (MINI,), False),
        (None, (MINI,), False),
    ],
)
def test_only_calls_that_ask_for_named_models_are_routed(model, route_only, is_routed):
    """By the name that they ask with, or the model that it means; without names all are."""
    room = Room()
    room.routes.route_only = frozenset(route_only)
    call = asked(model=GPT) if model is None else asked(model=model)

    situation = room.decisions.situation_of(call)
    assert ((CODE, TALK) if is_routed else ()) == situation.routes

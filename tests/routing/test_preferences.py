"""Configured and inline preferences become routes, and what is wrong with inline ones is told with
its place.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.schema_routing import RoutingPreference, SelectionPolicy
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, BodyFacts, DialectName
from sidecar.domain.decision import Candidate, Route
from sidecar.domain.errors import DialectNotServed, InvalidRoutingPreferences
from sidecar.routing.preferences import (
    RankSources,
    Routes,
    RouteScope,
    configured_routes,
    inline_routes,
    usable_candidates,
)
from tests.support.values import a_call


def entry(provider: str, model: str, *dialects: DialectName) -> Candidate:
    return Candidate(provider, f"openai/{model}", model, f"openai/{model}", frozenset(dialects))


BIG_EAST = entry("east", "big", CHAT)
BIG_WEST = entry("west", "big", CHAT, RESPONSES)
SMALL = entry("openai/small", "small", MESSAGES)
ENTRIES = {
    "openai/big": (BIG_EAST, BIG_WEST),
    "east": (BIG_EAST,),
    "small": (SMALL,),
    "openai/small": (SMALL,),
}


def find(name: str) -> tuple[Candidate, ...]:
    return ENTRIES.get(name, ())


def inline(preferences: object) -> tuple[Route, ...] | None:
    return inline_routes(json.dumps(preferences).encode(), find)


def preference(**changes: object) -> dict[str, object]:
    return {"name": "code", "description": "writing code", "models": ["openai/big"], **changes}


def test_configured_preferences_become_routes_in_order():
    """A model that is a group brings all its entries; a model named twice counts once."""
    preferences = [
        RoutingPreference(
            "b", "about b", ("openai/big", "small", "east"), SelectionPolicy("cheapest")
        ),
        RoutingPreference("a", "about a", ("openai/small",)),
    ]

    expected = (
        Route("b", "about b", (BIG_EAST, BIG_WEST, SMALL), "cheapest"),
        Route("a", "about a", (SMALL,), "none"),
    )
    assert expected == configured_routes(preferences, find)


def test_a_configured_route_without_any_candidate_is_left_out():
    """Its models were left out with an optional provider; the others stay."""
    preferences = [
        RoutingPreference("a", "about a", ("gone/model",)),
        RoutingPreference("b", "about b", ("gone/model", "small")),
    ]

    assert (Route("b", "about b", (SMALL,)),) == configured_routes(preferences, find)


def test_inline_preferences_become_routes_in_order():
    """As configured ones; two routes may share a first model, and keys that we do not know are the
    app's own.
    """
    found = inline(
        [
            preference(selection_policy={"prefer": "fastest", "x": 1}, weight=3),
            preference(name="talk", models=["openai/big", "small"]),
        ]
    )

    expected = (
        Route("code", "writing code", (BIG_EAST, BIG_WEST), "fastest"),
        Route("talk", "writing code", (BIG_EAST, BIG_WEST, SMALL), "none"),
    )
    assert expected == found


@pytest.mark.parametrize("policy", [None, {}, {"prefer": None}, {"prefer": ""}, {"prefer": "none"}])
def test_an_inline_preference_without_a_policy_keeps_its_order(policy):
    """Null, empty, missing and none are one."""
    assert (Route("code", "writing code", (BIG_EAST, BIG_WEST), "none"),) == inline(
        [preference(selection_policy=policy)]
    )


def test_an_empty_list_turns_routing_off_and_null_changes_nothing():
    """The two are told apart."""
    assert ((), None) == (inline([]), inline(None))


NAME_PROBLEM = "must be printable, of 1 to 256 bytes, without blanks around it"


@pytest.mark.parametrize(
    ("preferences", "place", "problem"),
    [
        ({}, "", "is misshapen: expected `array | null`, got `object`"),
        ([3], "[0]", "is misshapen: expected `object`, got `int`"),
        ([preference(), {"name": "x"}], "[1]", "is misshapen: object missing required field `description`"),
        ([preference(), preference(name=1)], "[1].name", "is misshapen: expected `str`, got `int`"),
        ([preference(models="a")], "[0].models", "is misshapen: expected `array`, got `str`"),
        ([preference(models=["a", 2])], "[0].models[1]", "is misshapen: expected `str`, got `int`"),
        ([preference(selection_policy=3)], "[0].selection_policy", "is misshapen: expected `object | null`, got `int`"),
        ([preference(selection_policy={"prefer": "best"})], "[0].selection_policy.prefer", "must be one of cheapest, fastest, none"),
        ([preference(models=[])], "[0].models", "must name a model"),
        ([preference(), preference(name="b", models=["gone/model"])], "[1].models[0]", "'gone/model' is not a configured model"),
        ([preference(models=["small", "x" * 200])], "[0].models[1]", f"'{'x' * 125}...' is not a configured model"),
        ([preference(), preference()], "[1].name", "is the name of routing_preferences[0] too"),
        ([preference(name="other")], "[0].name", "'other' is what the router model answers where nothing fits"),
        ([preference(name="")], "[0].name", NAME_PROBLEM),
        ([preference(name=" code")], "[0].name", NAME_PROBLEM),
        ([preference(name="code\r\nx-evil: 1")], "[0].name", NAME_PROBLEM),
        ([preference(name="x" * 257)], "[0].name", NAME_PROBLEM),
        ([preference(name="\u00e9" * 129)], "[0].name", NAME_PROBLEM),
        ([preference(models=["small", "x" * 257])], "[0].models[1]", "is longer than 256 bytes"),
        ([preference(description=" ")], "[0].description", "must say which kind of work this is"),
    ],
)  # fmt: skip
def test_an_inline_problem_is_told_with_its_place(preferences, place, problem):
    """As ``param`` and in the message; a route's name is fit for a response header."""
    with pytest.raises(InvalidRoutingPreferences) as raised:
        inline(preferences)

    param = f"routing_preferences{place}"
    assert (param, f"{param} {problem}") == (raised.value.param, raised.value.message)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'[{"name":"\\ud83d"}]', "'routing_preferences' is not valid text"),
        (b'[{"x":' + b"[" * 50_000, "'routing_preferences' is not valid text"),
        (b"[" + b" " * 65_536 + b"]", "'routing_preferences' is over 65536 bytes"),
    ],
)
def test_an_unreadable_inline_list_is_refused(raw, message):
    """Half characters, endless nesting, endless lists."""
    with pytest.raises(InvalidRoutingPreferences) as raised:
        inline_routes(raw, find)

    assert ("routing_preferences", message) == (raised.value.param, raised.value.message)


def test_only_candidates_of_the_callers_dialect_are_usable():
    """In the route's order."""
    route = Route("code", "writing code", (BIG_EAST, SMALL, BIG_WEST))

    assert (BIG_EAST, BIG_WEST) == usable_candidates(route, CHAT)
    assert (BIG_WEST,) == usable_candidates(route, RESPONSES)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (
            (BIG_EAST, BIG_WEST),
            "no model of route 'code' (openai/big) speaks 'messages'; spoken: chat, responses",
        ),
        (
            (entry("dumb", "dumb"),),
            "no model of route 'code' (openai/dumb) speaks 'messages'; spoken: nothing",
        ),
    ],
)
def test_a_route_without_a_usable_candidate_says_so(candidates, message):
    """Naming the route's models and the dialect."""
    with pytest.raises(DialectNotServed) as raised:
        usable_candidates(Route("code", "writing code", candidates), MESSAGES)

    assert message == raised.value.message


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["openai/big", "small"]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["name", "description", "models", "selection_policy", "prefer"]),
            inner,
            max_size=5,
        )
    ),
)
PREFERENCE = st.fixed_dictionaries(
    {
        "name": st.text(),
        "description": st.text(),
        "models": st.lists(st.sampled_from([*ENTRIES, "gone"])),
    }
)


@given(JSON | st.lists(PREFERENCE | JSON))
def test_no_inline_list_chooses_a_model_outside_the_config(value):
    """Any JSON is either refused with a place or names configured models only."""
    try:
        routes = inline(value)
    except InvalidRoutingPreferences as error:
        routes, place = (), error.param or ""
    else:
        place = "routing_preferences"

    known = {BIG_EAST, BIG_WEST, SMALL}
    assert place.startswith("routing_preferences")
    assert [] == [
        route
        for route in routes or ()
        if not route.candidates or not known.issuperset(route.candidates)
    ]


@pytest.mark.parametrize("is_routed", [True, False])
def test_a_call_without_a_list_of_its_own_has_the_configured_routes(is_routed):
    """None of them without a router model: nobody could choose among them."""
    configured = (Route("code", "about code", (BIG_EAST,)),)
    sources = RankSources(SimpleNamespace(prices={}, latencies_s={}), lambda *_: (0.0, 0))
    routes = Routes(configured, find, sources, RouteScope(is_routed))

    assert (configured if is_routed else ()) == routes.of_call(a_call())


@pytest.mark.parametrize("is_routed", [True, False])
def test_a_list_that_the_router_model_cannot_be_shown_is_refused(is_routed):
    """The app is told; without a router model nobody has to be shown anything."""
    sources = RankSources(SimpleNamespace(prices={}, latencies_s={}), lambda *_: (0.0, 0))
    scope = RouteScope(is_routed, fits=lambda routes: len(routes[0].description) < 9)
    routes = Routes((), find, sources, scope)

    def of(description: str) -> tuple[Route, ...]:
        raw = json.dumps([preference(description=description)]).encode()
        return routes.of_call(a_call(facts=BodyFacts(routing_preferences=raw)))

    assert is_routed == bool(of("short"))
    if not is_routed:
        assert () == of("too long a text")
        return
    with pytest.raises(InvalidRoutingPreferences) as raised:
        of("too long a text")
    assert (
        "routing_preferences",
        "'routing_preferences' does not fit into the router model's prompt",
    ) == (
        raised.value.param,
        raised.value.message,
    )


def test_the_fastest_goes_first_by_this_sidecars_own_averages():
    """They are looked at for the time of the decision."""
    seen_s = []

    def expected(candidate: Candidate, now_s: float) -> tuple[float, int]:
        seen_s.append(now_s)
        return (0.1 if candidate is fast else 0.9), 9

    slow, fast = BIG_EAST, entry("north", "quick", CHAT)
    route = Route("code", "about code", (slow, fast), "fastest")
    sources = RankSources(SimpleNamespace(prices={}, latencies_s={}), expected)
    ranked = Routes((route,), find, sources, RouteScope(), roll=lambda: 0.99)

    assert (fast, slow) == ranked.ranked(route, CHAT, 7.0).candidates
    assert {7.0} == set(seen_s)

"""What `plano-sidecar route` shows of a decision."""

from __future__ import annotations

import pytest

from sidecar.affinity.session import make_session
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT
from sidecar.domain.decision import Binding, Decision, Route, Source
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.rank import Ranked
from sidecar.selection.explain import Explanation, NamedSession, describe, explain
from sidecar.selection.selector import Look
from tests.selection.room import CODE, GPT, MINI, Room, a_pin, asked

REQUESTED = Decision(Source.REQUESTED, CODE.candidates)
ROUTED = Decision(Source.ROUTED, CODE.candidates, "code")


def shown(look: Look, *session: str | None) -> list[str]:
    return describe(Explanation(look, NamedSession(*session), 0.003)).splitlines()


def test_without_a_route_the_reason_is_told():
    """And the plan of the requested model."""
    assert [
        "No route is in effect: routing_preferences or overrides.llm_routing_model is missing.",
        "",
        "source:   requested",
        f"plan:     {GPT} ({GPT}), then {MINI} ({MINI})",
        "took:     prompt 0.00 ms, router model 0.00 ms, ranking 0.00 ms",
        "          all of it, with the pin, 3.00 ms",
    ] == shown(Look(REQUESTED))


@pytest.mark.parametrize(
    ("prefer", "numbers", "lines"),
    [
        ("none", (None, None), ["as written", "as written"]),
        ("cheapest", (1.5, None), ["1.5 USD per million tokens", "unknown"]),
        ("fastest", (0.25, None), ["0.250 s to first byte", "unknown"]),
    ],
)
def test_a_named_route_is_shown_with_its_ranking(prefer, numbers, lines):
    """Prompt, what the router model said, and the number behind each candidate."""
    route = Route("code", "writing code", CODE.candidates, prefer)
    verdict = RouterVerdict(RouterOutcome.MATCHED, "code", '{"route": "code"}', 0.002)
    look = Look(
        ROUTED, (route,), "one\ntwo", verdict, Ranked(CODE.candidates, numbers), 0.0005, 0.00025
    )

    assert [
        "prompt:",
        "  one",
        "  two",
        "",
        'answer:   \'{"route": "code"}\'',
        "outcome:  matched",
        "route:    code",
        f"ranked by {prefer}:",
        f"  {GPT}  ({GPT})  {lines[0]}",
        f"  {MINI}  ({MINI})  {lines[1]}",
        "",
        "source:   routed",
        f"plan:     {GPT} ({GPT}), then {MINI} ({MINI})",
        "took:     prompt 0.50 ms, router model 2.00 ms, ranking 0.25 ms",
        "          all of it, with the pin, 3.00 ms",
    ] == shown(look)


def test_a_router_model_that_says_nothing_is_shown_with_the_reason():
    """No text, no route."""
    lines = shown(Look(REQUESTED, (CODE,), "p", RouterVerdict(RouterOutcome.TIMEOUT)))

    assert ["answer:   none", "outcome:  timeout", "route:    -"] == lines[3:6]


def pinned(binding: Binding) -> Decision:
    return Decision(Source.PINNED, CODE.candidates, binding=binding)


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        (pinned(Binding(GPT)), f"s1: pinned to {GPT} (any entry)"),
        (pinned(Binding(GPT, provider="us")), f"s1: pinned to {GPT} (us)"),
        (
            pinned(Binding(GPT, provider="us", home=MINI, home_provider="eu")),
            f"s1: pinned to {GPT} (us), away from {MINI} (eu)",
        ),
        (REQUESTED, "s1: no pin"),
    ],
)
def test_a_session_is_shown_with_its_pin(decision, line):
    """Or with the word that it has none."""
    assert f"session:  {line}" in shown(Look(decision), "s1")


def test_a_sub_agent_is_named_beside_its_session():
    """Its pin is its own."""
    assert "session:  s1, agent a7: no pin" in shown(Look(REQUESTED), "s1", None, "a7")


async def test_the_pin_of_a_sub_agent_is_looked_at_and_not_its_main_loops():
    """Nor the other way round."""
    room = Room()
    session = make_session("s1", "acme", GPT, "a7")
    await room.store.claim(session, a_pin(MINI))
    looks = [
        await explain(
            "sort",
            selector=room.selector,
            clock=room.clock,
            dialect=DIALECTS.by_name[CHAT],
            session=NamedSession("s1", "acme", agent),
        )
        for agent in ("a7", None)
    ]

    assert [MINI, None] == [
        None if each.look.decision.binding is None else each.look.decision.binding.model_name
        for each in looks
    ]


async def test_a_text_is_explained_and_sent_nowhere():
    """As a chat call with one user message; what no UTF-8 can say becomes a question mark."""
    room = Room()
    await room.store.claim(room.session(asked(model=MINI), MINI), a_pin(MINI, MINI))
    explained = await explain(
        "sort \udcff",
        selector=room.selector,
        clock=room.clock,
        dialect=DIALECTS.by_name[CHAT],
        session=NamedSession(),
    )

    assert (None, Source.ROUTED, 1) == (
        explained.session.session_id,
        explained.look.decision.source,
        len(room.store),
    )
    assert "sort ?" in explained.look.prompt


def test_what_kept_the_router_model_from_answering_is_told():
    """Cause, the server's own words, and how probable a choice is."""
    verdict = RouterVerdict(
        RouterOutcome.HTTP_ERROR, cause="status 404", refusal="no such model", confidence=0.876
    )
    lines = shown(Look(ROUTED, (CODE,), "p", verdict))

    assert {"cause:    status 404: no such model", "probable: 0.88"} <= set(lines)

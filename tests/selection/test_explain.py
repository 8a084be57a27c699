"""What `plano-sidecar route` shows of a decision."""

from __future__ import annotations

import pytest

from sidecar.affinity.session import make_session
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES
from sidecar.domain.decision import Binding, Candidate, Decision, Route, Source
from sidecar.domain.translation import Fit, LostField
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.rank import Ranked
from sidecar.selection.explain import (
    Explanation,
    NamedSession,
    TriedCall,
    body_of_text,
    describe,
    explain,
)
from sidecar.selection.look import Look
from sidecar.upstream.patches import Patches
from tests.selection.room import CODE, GPT, MINI, TABLE, Room, a_pin, asked
from tests.support.providers import a_provider

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
        await explained(room, a_text("sort", session=NamedSession("s1", "acme", agent)))
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
    found = await explained(room, a_text("sort \udcff"))

    assert (None, Source.ROUTED, 1) == (
        found.session.session_id,
        found.look.decision.source,
        len(room.store),
    )
    assert "sort ?" in found.look.prompt


NEWER = Candidate("us", "openai/gpt-5", "gpt-5", "openai/gpt-5", frozenset({CHAT}))
TURBO = Candidate(
    "eu", "openai/gpt-4-turbo", "gpt-4-turbo", "openai/gpt-4-turbo", frozenset({CHAT})
)


@pytest.mark.parametrize(
    ("asked_for", "candidates", "expected"),
    [
        (GPT, (NEWER, TURBO), [
            (
                "  openai/gpt-5: max_tokens, temperature, top_p, presence_penalty, frequency_penalty, logit_bias, "
                "reasoning_effort, max_completion_tokens"
            ),
            "  openai/gpt-4-turbo: max_tokens, max_completion_tokens",
        ]),
        ("openai/gpt-4-turbo", (TURBO,), []),
        (None, (TURBO,), ["  openai/gpt-4-turbo: reasoning_effort, max_tokens, max_completion_tokens"]),
    ],
)  # fmt: skip
def test_what_a_model_would_not_be_sent_as_it_is_is_shown(asked_for, candidates, expected):
    """Of each in the plan, by what the model that is asked for takes."""
    patches = Patches(a_provider("openai/*", name=name) for name in ("us", "eu"))
    changes = tuple(patches.changes(each, asked_for or "", CHAT) for each in candidates)
    look = Look(Decision(Source.ROUTED, candidates))
    lines = describe(Explanation(look, NamedSession(), 0.003, changes)).splitlines()

    head = ["not sent as it is, where the app sends it:"] if expected else []
    assert [*head, *expected] == lines[4:-2]


async def test_the_model_that_a_call_asks_for_is_the_one_that_it_was_written_for():
    """Without one, the one that such a call goes to."""
    room = Room()
    patches = Patches([a_provider("openai/*", name=GPT)])
    for model in (MINI, None):
        found = await explained(room, a_text("sort", model), patches)
        decision = found.look.decision
        name = decision.requested[0].model_name if decision.requested else ""

        assert model in (name, None)
        assert (
            tuple(patches.changes(each, name, CHAT) for each in decision.candidates)
            == found.changes
        )


def a_text(text, model=None, session=NamedSession()):  # noqa: B008
    return TriedCall(body_of_text(text), model, session)


async def explained(room: Room, tried: TriedCall, patches: Patches | None = None) -> Explanation:
    return await explain(
        tried,
        selector=room.selector,
        patches=Patches(()) if patches is None else patches,
        clock=room.clock,
        dialect=DIALECTS.by_name[CHAT],
    )


def test_what_kept_the_router_model_from_answering_is_told():
    """Cause, the server's own words, and how probable a choice is."""
    verdict = RouterVerdict(
        RouterOutcome.HTTP_ERROR, cause="status 404", refusal="no such model", confidence=0.876
    )
    lines = shown(Look(ROUTED, (CODE,), "p", verdict))

    assert {"cause:    status 404: no such model", "probable: 0.88"} <= set(lines)


TWO = (TABLE.entries_of(GPT)[0], TABLE.entries_of(MINI)[0])
LOST = LostField("seed", is_known=True)


@pytest.mark.parametrize(
    ("fits", "lines", "plan"),
    [
        (
            (Fit(MESSAGES), None),
            ["chat>messages, would lose nothing", "no, it speaks chat"],
            f"{GPT} ({GPT}), then {MINI} ({MINI})",
        ),
        (
            (Fit(MESSAGES, (LOST,)), None),
            ["chat>messages, would lose seed", "no, it speaks chat"],
            f"{GPT} ({GPT}), then {MINI} ({MINI})",
        ),
        (
            (Fit(MESSAGES, (LOST,), goes_behind=True), None),
            [
                "chat>messages, would lose seed; goes behind those that would not",
                "no, it speaks chat",
            ],
            f"{MINI} ({MINI}), then {GPT} ({GPT})",
        ),
        (
            (Fit(MESSAGES, (LOST,), (LOST,)), None),
            ["chat>messages, would lose seed; left out for seed", "no, it speaks chat"],
            f"{MINI} ({MINI})",
        ),
        (
            (Fit(MESSAGES, (LOST,), (LOST,)),) * 2,
            ["chat>messages, would lose seed; left out for seed"] * 2,
            "none can serve this request",
        ),
    ],
)
def test_what_each_candidate_would_lose_is_shown(fits, lines, plan):
    """And the plan that is left then."""
    look = Look(Decision(Source.REQUESTED, TWO))
    said = describe(Explanation(look, NamedSession(), 0.003, fits=fits)).splitlines()
    at = said.index("translated:")

    assert [f"  {GPT}  ({GPT})  {lines[0]}", f"  {MINI}  ({MINI})  {lines[1]}"] == said[
        at + 1 : at + 3
    ]
    assert f"plan:     {plan}" in said

"""A call as it is sent to a candidate that does not speak the app's API."""

from __future__ import annotations

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, BodyFacts, Call
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.translation import TranslationRule
from sidecar.upstream.translated_call import call_for, fitted_plan
from sidecar.upstream.walk import Walk, fit_all
from tests.support.translations import PlainTranslation
from tests.support.values import a_call

HEADERS = {
    "common": [b"accept: application/json\r\n"],
    "openai": [b"OpenAI-Beta: o\r\n"],
    "openai_account": [b"openai-organization: org\r\n"],
    "anthropic": [b"anthropic-beta: a\r\n"],
    "anthropic_account": [b"anthropic-workspace-id: w\r\n"],
    "credentials": [b"Authorization: Bearer mine\r\n"],
    "accept_encoding": [b"Accept-Encoding: br\r\n"],
}
IDENTITY = (b"Accept-Encoding: identity\r\n",)


def _candidate(*targets: str) -> Candidate:
    spoken = tuple(DIALECTS.by_name[each].name for each in targets)  # type: ignore[index]
    return Candidate(
        *("claude", "anthropic/claude", "claude-x", "anthropic/claude", frozenset(spoken)),
        translation=TranslationRule(((CHAT, spoken),)),
    )


def _call(path: str = "/v1/chat/completions") -> Call:
    call = a_call(
        endpoint=DIALECTS.endpoints[path],
        query="?key=secret",
        headers=HEADERS,
        facts=BodyFacts("gpt-4o", wants_stream=True, model_span=(9, 17)),
        give_back=lambda size: None,
    )
    call.keep_translation(PlainTranslation(call, {}), 0)
    return call


async def test_a_call_is_sent_in_the_candidates_own_api():
    """Its path and body, no query, and nothing that only the app's API has."""
    sent = await call_for(_call(), _candidate(MESSAGES), DIALECTS.by_name)

    assert (MESSAGES, "", b'{"model": "claude-x"}') == (
        sent.endpoint.dialect,
        sent.query,
        sent.body,
    )
    assert (True, True, None) == (sent.facts.wants_stream, sent.facts.is_written, sent.give_back)
    assert {
        "common": HEADERS["common"],
        "credentials": HEADERS["credentials"],
        "accept_encoding": IDENTITY,
    } == sent.headers


async def test_header_lines_of_one_family_go_on():
    """What an OpenAI SDK sends beside chat, it sends beside responses."""
    sent = await call_for(_call(), _candidate(RESPONSES), DIALECTS.by_name)

    assert {**HEADERS, "accept_encoding": IDENTITY} == sent.headers


A, B = (
    Candidate(name, name, name, name, frozenset({CHAT if name == "a" else MESSAGES}))
    for name in "ab"
)


async def _only_a(_call: Call, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    return tuple(each for each in candidates if each is A)


async def test_a_plan_is_left_without_those_that_cannot_serve():
    """Also among the candidates of the requested model, for which the last attempt is kept."""
    plan = await fitted_plan(a_call(), Plan((B, A), 3, (B,), 1), _only_a)

    assert ((A,), 3, (), 1) == (
        plan.candidates,
        plan.max_attempts,
        plan.requested,
        plan.spare_attempts,
    )
    assert (A, B) == await fit_all(a_call(), (A, B))


@pytest.mark.parametrize(("dialect", "expected"), [(CHAT, True), (MESSAGES, True), (None, False)])
def test_a_walk_knows_whether_one_of_those_that_are_left_would_be_translated_for(dialect, expected):
    """The first one has been tried."""
    others = (A, B) if dialect is CHAT else (B, A)

    assert expected is Walk(Plan((*others, A), 3), A, lambda _: False, dialect).may_translate


async def test_a_walk_goes_on_without_those_that_cannot_serve():
    """The first one stays what it was: it has been tried."""
    walk = Walk(Plan((B, B, A), 3, (B,)), B, lambda _: False, CHAT)
    await walk.fit(a_call(), _only_a)

    assert [A] == walk._left
    assert () == walk._plan.requested

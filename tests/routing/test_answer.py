"""How the router model's answer is read, in every shape that models give it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import (
    RouterVerdict,
    read_answer,
    read_completion,
    read_decision,
)

KNOWN = ("code", "small talk", "author's note")
OTHER, UNKNOWN, UNREADABLE = (
    RouterOutcome.OTHER,
    RouterOutcome.UNKNOWN_ROUTE,
    RouterOutcome.UNREADABLE,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"route": "code"}',
        ' \n{"route":"code"}\n ',
        '{"route": " code "}',
        '{"reason": "it is", "route": "code"}',
        '{"route": ["code"]}',
        '{"route": ["unheard of", "code", "small talk"]}',
        '{"route": ["other", "code"]}',
        '```json\n{"route": "code"}\n```',
        '```\n{"route": "code"}\n```\nThat is it.',
        '```{"route": "code"}```',
        '```python\nprint()\n```\n```json\n{"route": "code"}\n```',
        'The route is {"route": "code"}',
        'The route is {"route": "code"}, since they want code.',
        '<think>{"route": "small talk"}? no</think>{"route": "code"}',
        'Of {these} and {"those": 1}: {"route": "code"} {"sure": true}',
        "{'route': 'code'}",
        "{'route': \"code\"}",
        "Answer: {'route': ['unheard of', 'code']}",
        "{\u201croute\u201d: \u201ccode\u201d}",
        '{\\"route\\": \\"code\\"}',
        "{route: code}",
        '{"route": "code",}',
        "{`route`: `code`}",
        "{'route': 'small talk'} no, {'route': 'code'}",
        "x" * 100_000 + '{"route": "code"}',
        "{" * 100 + '{"route": "code"}',
        '{"route": "code", "why": "line\nbreak"}',
    ],
)
def test_a_named_route_is_found(text):
    """As it is, fenced, after text, with wrong quotes, as a string or in a list."""
    assert RouterVerdict(RouterOutcome.MATCHED, "code", text) == read_answer(text, KNOWN)


@pytest.mark.parametrize(
    "text",
    ['{"route": "author\'s note"}', "{'route': \"author's note\"}", "{'route': 'author's note'}"],
)
def test_an_apostrophe_in_a_name_survives(text):
    """Quotes are repaired around a name, never inside it, and not at all where nothing is
    broken.
    """
    assert RouterVerdict(RouterOutcome.MATCHED, "author's note", text) == read_answer(text, KNOWN)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"route": "other"}', OTHER),
        ('{"route": ""}', OTHER),
        ('{"route": null}', OTHER),
        ('{"route": []}', OTHER),
        ('{"route": ["other", ""]}', OTHER),
        ('{"route": [null]}', OTHER),
        ("{}", OTHER),
        ('{"name": "code"}', OTHER),
        ('well: {"name": "code"}', OTHER),
        ("{'route': 'other'}", OTHER),
        ("{'route': None}", OTHER),
        ("{'route': []}", OTHER),
        ('{"route": "unheard of"}', UNKNOWN),
        ('{"route": "CODE"}', UNKNOWN),
        ('{"route": ["other", "unheard of"]}', UNKNOWN),
        ("{'route': 'unheard of'}", UNKNOWN),
        ('{"route": 3}', UNREADABLE),
        ('{"route": true}', UNREADABLE),
        ('{"route": {"name": "code"}}', UNREADABLE),
        ('{"route": ["code", 3]}', UNREADABLE),
        ("", UNREADABLE),
        ("code", UNREADABLE),
        ("other", UNREADABLE),
        ('"code"', UNREADABLE),
        ('["code"]', UNREADABLE),
        ('{"route": "co', UNREADABLE),
        ("```json\n```", UNREADABLE),
        ("I cannot {help} with that", UNREADABLE),
        ("{" * 50_000, UNREADABLE),
        ('{"a":' * 10_000, UNREADABLE),
        ('{"route": ' + "9" * 5_000 + "}", UNKNOWN),
    ],
)
def test_without_a_known_route_the_reason_is_told(text, kind):
    """No route and nonsense are counted apart; neither is an error."""
    assert RouterVerdict(kind, None, text) == read_answer(text, KNOWN)


def completion(content: object) -> bytes:
    return json.dumps(
        {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}
    ).encode()


def test_a_completion_is_read_to_its_route():
    """The first choice's text counts."""
    text = '{"route": "code"}'

    assert RouterVerdict(RouterOutcome.MATCHED, "code", text) == read_completion(
        completion(text), KNOWN
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"choices":null}',
        b'{"choices":[]}',
        b'{"choices":[3]}',
        b'{"choices":[{}]}',
        b'{"choices":[{"message":null}]}',
        b'{"choices":[{"message":{}}]}',
        b'{"error":{"message":"overloaded"}}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"choices":[{"message":{"content":"\\ud83d"}}]}',
        b'{"x":' * 100_000,
        completion(None),
        completion(["a"]),
        completion(3),
    ],
)
def test_what_is_no_completion_is_unreadable(body):
    """An error body, a gateway's page, hostile nesting: the call is served all the same."""
    assert RouterVerdict(UNREADABLE) == read_completion(body, KNOWN)


@given(st.text(alphabet="{}[]\"'`:,\\ routecdnl\n") | st.text())
def test_any_text_is_an_answer(text):
    """Never an error, and never a route that is not known."""
    answer = read_answer(text, KNOWN)

    assert (answer.outcome is RouterOutcome.MATCHED) == (answer.route_name in KNOWN)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: name != "other"
    )
)
def test_any_name_is_found_as_it_is_written(name):
    """Whatever characters an operator puts into a route's name."""
    text = json.dumps({"route": name})

    assert RouterVerdict(RouterOutcome.MATCHED, name, text) == read_answer(text, {name})


@given(st.binary())
def test_any_bytes_are_a_completion_or_none(body):
    """Never an error."""
    assert isinstance(read_completion(body, KNOWN), RouterVerdict)


@pytest.mark.parametrize("outcome", RouterOutcome)
def test_without_an_opinion_of_the_model_the_call_falls_back(outcome):
    """A route, no route, and a route that does not exist are opinions; all else is none."""
    opinions = (RouterOutcome.MATCHED, RouterOutcome.OTHER, RouterOutcome.UNKNOWN_ROUTE)

    assert (outcome not in opinions) == RouterVerdict(outcome).is_fallback


def _decided(answers: object, least: float = 0.5) -> RouterVerdict:
    body = answers if isinstance(answers, bytes) else json.dumps({"answers": answers}).encode()
    return read_decision(body, "route", KNOWN, least)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"route": {"type": "choice", "choice": "code", "probabilities": {"code": 0.7, "other": 0.3}}},
         (RouterOutcome.MATCHED, "code", 0.7)),
        ({"route": {"choice": "code", "confidence": 0.9}}, (RouterOutcome.MATCHED, "code", 0.9)),
        ({"route": {"choice": "code", "probabilities": {"x": 1}, "confidence": 0.6}},
         (RouterOutcome.MATCHED, "code", 0.6)),
        ({"route": {"choice": "code"}}, (RouterOutcome.MATCHED, "code", None)),
        ({"route": {"choice": "code", "confidence": 7}}, (UNREADABLE, None, None)),
        ({"route": {"choice": "code", "confidence": True}}, (UNREADABLE, None, None)),
        ({"route": {"choice": "code", "probabilities": {"code": -1}}}, (UNREADABLE, None, None)),
        ({"route": {"choice": "code", "probabilities": {"code": "0.9"}}}, (UNREADABLE, None, None)),
        ({"route": {"choice": "code", "probabilities": {"code": 0.4}}}, (OTHER, None, 0.4)),
        ({"route": {"choice": "other", "probabilities": {"other": 0.9}}}, (OTHER, None, 0.9)),
        ({"route": {"choice": "unheard of", "confidence": 0.9}}, (UNKNOWN, None, 0.9)),
        ([{"type": "choice", "name": "route", "choice": "code", "probabilities": [], "confidence": 0.8}],
         (RouterOutcome.MATCHED, "code", 0.8)),
        ([{"name": None, "choice": "code"}], (RouterOutcome.MATCHED, "code", None)),
        ({"another": {"choice": "code"}}, (UNREADABLE, None, None)),
        ({"route": {"noul": 0.3}}, (UNREADABLE, None, None)),
        (b"[", (UNREADABLE, None, None)),
        (b"[" * 100_000, (UNREADABLE, None, None)),
    ],
)  # fmt: skip
def test_a_decision_is_a_route_where_it_is_probable_enough(answers, expected):
    """Below the wanted confidence it is none; without a figure it counts."""
    verdict = _decided(answers)
    assert expected == (verdict.outcome, verdict.route_name, verdict.confidence)

"""What the router model is sent, in the form that its server takes."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.decision import Route
from sidecar.routing.question import (
    FORMS,
    chat_question,
    decision_question,
    next_form,
    refusal_text,
)

MAX_TOKENS = json.dumps(
    {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
               "Use 'max_completion_tokens' instead.", "param": "max_tokens"}}
).encode()  # fmt: skip


def _sent(form: int) -> dict[str, object]:
    body = json.loads(chat_question("m", "p", form))
    assert {"model": "m", "messages": [{"role": "user", "content": "p"}], "stream": False} == {
        name: body.pop(name) for name in ("model", "messages", "stream")
    }
    return dict(body)


def test_every_form_asks_the_same_with_other_parameters():
    """The last one has none that could be refused."""
    assert [
        {"temperature": 0.01, "max_tokens": 64},
        {"max_completion_tokens": 256, "reasoning_effort": "minimal"},
        {"max_completion_tokens": 256},
        {"max_tokens": 64},
        {},
    ] == [_sent(form) for form in range(FORMS)]


@pytest.mark.parametrize(
    ("form", "body", "expected"),
    [
        (0, MAX_TOKENS, 1),
        (0, b"temperature: Extra inputs are not permitted", 1),
        (1, b"'reasoning_effort' does not support 'minimal' with this model", 2),
        (1, b"unknown field max_completion_tokens", 3),
        (0, b"max_tokens and max_completion_tokens are both unknown", 1),
        (3, b"max_tokens must not be set", 4),
        (4, b"max_tokens is wanted", None),
        (2, b"temperature is refused, which was not sent", None),
        (0, b"the prompt is too long", None),
        (0, b" " * 20_000 + MAX_TOKENS, None),
    ],
)
def test_a_refused_parameter_leads_to_the_next_form_without_it(form, body, expected):
    """Only one that was sent."""
    assert expected == next_form(form, body)


def test_a_decision_is_one_choice_among_the_routes():
    """With what says that none fits, and a route's examples behind its description."""
    routes = (
        Route("code", "writing code", (), "none", ("sort", "test")),
        Route("talk", "chat", ()),
    )
    body = json.loads(decision_question("jev", "[]", routes))

    question = body["questions"].pop("route")
    assert {"model": "jev", "state": "[]", "questions": {}} == body
    assert "choice" == question["type"]
    assert {
        "code": "writing code; for example: sort; for example: test",
        "talk": "chat",
        "other": "none of the other kinds describes it",
    } == question["criteria"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (MAX_TOKENS, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        (b'{"detail":"no\\n such \\"model\\""}', 'no such "model"'),
        (b'[{"msg": "\\ud800"}]', ""),
        (b"<html>", ""),
        (b'{"message": 3}', ""),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_one_line(body, expected):
    """Whatever server it comes from."""
    assert expected == refusal_text(body)

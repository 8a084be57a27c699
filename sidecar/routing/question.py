"""What the router model is sent, in the form that its server takes. Pure.

Families of models differ in the parameters that they refuse. The first form is the one that most
take; a refusal that names a parameter leads to the next one without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from sidecar.domain.decision import Route
from sidecar.routing.answer import NO_ROUTE

DECISION: Final = "route"
"""The name of the one question that a decision model is asked."""
_INSTRUCTIONS: Final = (
    "Which kind of work does the newest user message want, given what was said before it? A "
    "message that only carries on belongs to the work that it carries on."
)
_NO_ROUTE_CRITERION: Final = "none of the other kinds describes it"

_FORMS: Final[tuple[dict[str, object], ...]] = (
    {"temperature": 0.01, "max_tokens": 64},
    # Models that reason: what they think counts, too.
    {"max_completion_tokens": 256, "reasoning_effort": "minimal"},
    {"max_completion_tokens": 256},
    {"max_tokens": 64},
    {},
)
FORMS: Final = len(_FORMS)
REFUSES_PARAMETERS: Final = frozenset({400, 422})
"""Statuses with which servers refuse parameters."""
_READ_BYTES: Final = 16 * 1024
_PARAMETERS: Final = re.compile(
    rb"\b(?:max_completion_tokens|max_tokens|temperature|reasoning_effort)\b"
)
_MESSAGE: Final = re.compile(rb'"(?:message|detail|msg)"\s*:\s*"((?:[^"\\]|\\.){1,400})')


def chat_question(router_model: str, prompt: str, form: int = 0) -> bytes:
    """Return the chat completion request: one user message, not streamed.

    Args: ``router_model`` is the bare id that its provider knows; ``form`` is below `FORMS`.
    """
    return msgspec.json.encode(
        {
            "model": router_model,
            "messages": [{"role": "user", "content": prompt}],
            **_FORMS[form],
            "stream": False,
        }
    )


def decision_question(router_model: str, conversation: str, routes: Iterable[Route]) -> bytes:
    """Return the request to a decision model: one choice, whose labels are the routes' names.

    Source: https://docs.typesafe.ai, https://openrouter.ai/docs (Decisions API, alpha).
    """
    criteria = {
        route.name: "; for example: ".join((route.description, *route.examples)) for route in routes
    }
    criteria[NO_ROUTE] = _NO_ROUTE_CRITERION
    question = {"type": "choice", "instructions": _INSTRUCTIONS, "criteria": criteria}
    return msgspec.json.encode(
        {"model": router_model, "state": conversation, "questions": {DECISION: question}}
    )


def next_form(form: int, body: bytes) -> int | None:
    """Return the next form to try after a refusal that names a parameter of this one; None where it
    names none, or no form is left.
    """
    named = {found.decode() for found in _PARAMETERS.findall(body[:_READ_BYTES])}
    refused = named.intersection(_FORMS[form])
    if not refused:
        return None
    for later in range(form + 1, FORMS):
        if refused.isdisjoint(_FORMS[later]):
            return later
    return None


def refusal_text(body: bytes) -> str:
    """Return what a refusal says, in one line of at most 400 characters; empty where it says
    nothing that can be read.
    """
    match = _MESSAGE.search(body[:_READ_BYTES])
    if match is None:
        return ""
    try:
        text: str = msgspec.json.decode(b'"%b"' % match[1], type=str)
    except msgspec.DecodeError:
        return ""
    return " ".join(text.split())

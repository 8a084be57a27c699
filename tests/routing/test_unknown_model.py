"""The 404 of an unknown model leads on: it says what can be asked for, and how."""

from __future__ import annotations

import pytest

from sidecar.domain.call import CHAT, MESSAGES
from sidecar.domain.errors import ModelNotFound
from sidecar.routing.table import ModelTable
from sidecar.routing.unknown_model import unknown_model
from tests.support.providers import a_provider

NOT_CONFIGURED = "model 'x' is not configured; "
NO_MODEL = "the request names no model, and no entry is the default; "


@pytest.mark.parametrize(
    ("requested_model", "names", "prefixes", "expected"),
    [
        ("x", ["openai/a", "fast"], [], f"{NOT_CONFIGURED}known: openai/a, fast"),
        (None, ["openai/a"], [], f"{NO_MODEL}known: openai/a"),
        ("x", [], [], f"{NOT_CONFIGURED}no model is configured"),
        ("x", [], ["groq", "mistral"], f"{NOT_CONFIGURED}any model of groq/*, mistral/* by its full name, as in groq/x"),
        (None, [], ["groq"], f"{NO_MODEL}any model of groq/* by its full name, as in groq/MODEL"),
        ("x", ["fast"], ["groq"], f"{NOT_CONFIGURED}known: fast; any model of groq/* by its full name, as in groq/x"),
        ("o/x", [], ["groq"], "model 'o/x' is not configured; any model of groq/* by its full name, as in groq/MODEL"),
        ("a\nb", [], ["groq"], "model 'a\\nb' is not configured; any model of groq/* by its full name, as in groq/MODEL"),
        ("*", [], ["groq"], "'*' is a wildcard, which is no model; any model of groq/* by its full name, as in groq/MODEL"),
        ("groq/*", [], ["x", "groq"], "'groq/*' is a wildcard, which is no model; any model of x/*, groq/* by its full name, as in groq/MODEL"),
    ],
)  # fmt: skip
def test_it_says_what_can_be_asked_for(requested_model, names, prefixes, expected):
    """Known names; of wildcards, whose models nobody can list, how one is written."""
    error = unknown_model(requested_model, names, prefixes)

    assert (expected, "model") == (error.message, error.param)


def test_it_is_short_whatever_was_asked_for_and_is_configured():
    """It is a log line, too."""
    names = [f"openai/{number}" for number in range(99)]
    message = unknown_model("x" * 9_999, names, names).message

    assert "openai/19, ...; any model of" in message
    assert "openai/20" not in message
    assert len(message) < 1200


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [(CHAT, "any model of groq/*, mistral/*"), (MESSAGES, "no model is configured")],
)
def test_only_wildcards_that_speak_the_callers_api_are_named(dialect, expected):
    """What another one serves would be refused all the same."""
    table = ModelTable([a_provider("groq/*"), a_provider("mistral/*")], {})

    with pytest.raises(ModelNotFound) as caught:
        table.resolve("x", dialect)
    assert expected in caught.value.message


def test_what_cannot_be_described_names_all_wildcards():
    """`GET /v1/models/{id}` is of no API."""
    with pytest.raises(ModelNotFound, match=r"any model of groq/\* by its full name"):
        ModelTable([a_provider("groq/*")], {}).describe("x")

"""In which API a model is asked that does not speak the caller's."""

from __future__ import annotations

import pytest

from sidecar.config.translation import is_same_header_family, translation_rule
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ({CHAT}, {RESPONSES: (CHAT,), MESSAGES: (CHAT,)}),
        ({CHAT, RESPONSES}, {MESSAGES: (RESPONSES, CHAT)}),
        ({MESSAGES}, {CHAT: (MESSAGES,), RESPONSES: (MESSAGES,)}),
        ({RESPONSES, MESSAGES, EMBEDDINGS}, {CHAT: (RESPONSES, MESSAGES)}),
    ],
)
def test_what_loses_least_comes_first(spoken, expected):
    """Embeddings are never translated, nor into."""
    rule = translation_rule(frozenset(spoken), True)

    assert rule is not None
    assert (expected, False) == (dict(rule.targets), rule.is_strict)


@pytest.mark.parametrize(
    ("spoken", "translate"),
    [({CHAT}, False), ({EMBEDDINGS}, True), ({CHAT, RESPONSES, MESSAGES}, True)],
)
def test_there_is_no_rule_where_nothing_is_translated(spoken, translate):
    """Since it is switched off, or nothing is spoken, or everything."""
    assert translation_rule(frozenset(spoken), translate) is None


def test_a_rule_may_be_strict():
    """Then nothing is lost but what is harmless."""
    rule = translation_rule(frozenset({CHAT}), "strict")

    assert rule is not None
    assert rule.is_strict


def test_the_two_apis_of_openai_have_one_family_of_headers():
    """Anthropic's has its own."""
    assert is_same_header_family(CHAT, RESPONSES)
    assert not is_same_header_family(CHAT, MESSAGES)

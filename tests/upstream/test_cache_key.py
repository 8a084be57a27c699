"""A session's name for a prompt cache: always the same, and nobody can tell whose it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sidecar.upstream.cache_key import CacheKey
from tests.support.values import a_call

SESSION: dict[str, Any] = {"session_id": "s-1", "tenant": "acme", "agent": "a-7"}


def name(access_key: str = "sk-1", **call: Any) -> str:
    return CacheKey(access_key).of(a_call(**call))


def test_a_name_is_the_same_in_every_process_and_release():
    """Another one would cost each session its cache."""
    assert "5da37c2a1ff3a447a0ba571ceee130c2" == name(**SESSION)
    assert "7f8224f42e165f2ab48aff9b3c5bae49" == name(session_id="s-1")
    key = CacheKey("sk-1")
    assert key.of(a_call(**SESSION)) == key.of(a_call(**SESSION))


@pytest.mark.parametrize(
    "other",
    [
        {**SESSION, "session_id": "s-2"},
        {**SESSION, "tenant": "acm"},
        {**SESSION, "agent": None},
        {"session_id": "s-1acme", "tenant": "", "agent": "a-7"},
        {"session_id": "s-1a-7", "tenant": "acme", "agent": None},
        {"session_id": "s", "tenant": "acme3:s-1", "agent": None},
    ],
)
def test_other_sessions_have_other_names(other):
    """However their parts run together."""
    assert name(**SESSION) != name(**other)


def test_another_key_makes_other_names():
    """Providers cannot compare theirs."""
    assert name(**SESSION) != name("sk-2", **SESSION)
    assert name("k" * 200, **SESSION) != name("k" * 201, **SESSION)


@pytest.mark.parametrize("session_id", ["s", "x" * 5000, "\u20ac \r\n", "\ud83d", ""])
def test_any_session_has_a_name_that_may_stand_in_a_header_and_in_json(session_id):
    """Of at most 64 letters and digits."""
    assert re.fullmatch("[0-9a-f]{32}", name(session_id=session_id))

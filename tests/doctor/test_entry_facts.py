"""When `doctor` makes a call to see whether asking for usage works."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.doctor.entry_facts import has_to_show_usage


def facts(**changes: Any) -> Any:
    provider = {
        "asks_usage": True,
        "is_wildcard": False,
        "passthrough_auth": False,
        "is_router": False,
    }
    entry = {
        "may_ask_usage": True,
        "error": None,
        "is_late": False,
        "is_model_known": True,
        "generated": None,
    }
    own = {name: changes.pop(name) for name in tuple(changes) if name in provider}
    return SimpleNamespace(provider=SimpleNamespace(**provider | own), **entry | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"asks_usage": False}, False),
        ({"may_ask_usage": False}, False),
        ({"is_wildcard": True}, False),
        ({"is_late": True}, False),
        ({"is_model_known": False}, False),
        ({"generated": SimpleNamespace(failure=None)}, True),
        ({"generated": SimpleNamespace(failure="busy")}, False),
    ],
)
def test_usage_is_shown_where_calls_will_ask_for_it_and_the_entry_serves(changes, expected):
    """A wildcard has no model to ask, and what does not serve shows nothing."""
    assert expected is has_to_show_usage(facts(**changes))

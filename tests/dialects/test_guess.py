"""Which API a body belongs to that comes without a path."""

from __future__ import annotations

import json

import msgspec
import pytest

from sidecar.dialects.guess import dialect_of_body
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES

SAID = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": "hi"}, RESPONSES),
        ({"messages": [SAID]}, None),
        ({"messages": [SAID], "max_tokens": 9}, None),
        ({}, None),
        ({"messages": [SAID], "system": "be kind"}, MESSAGES),
        ({"messages": [SAID], "tools": [{"name": "f", "input_schema": {}}]}, MESSAGES),
        ({"messages": [SAID], "tools": [{"type": "function", "function": {}}]}, CHAT),
        ({"messages": [SAID], "response_format": {}}, CHAT),
        ({"messages": [{"role": "system", "content": "x"}]}, CHAT),
        ({"messages": [{"role": "tool", "content": "x"}], "system": "y"}, None),
        ({"messages": "x", "tools": "y"}, None),
        ({"messages": [1], "tools": [2]}, None),
    ],
)
def test_the_dialect_of_a_body(body, expected):
    """By members that one API alone has; where none or both stand, a person has to say it."""
    assert expected == dialect_of_body(json.dumps(body).encode())


def test_what_is_no_object_is_no_request():
    """The reason is msgspec's."""
    with pytest.raises(msgspec.DecodeError):
        dialect_of_body(b"[]")

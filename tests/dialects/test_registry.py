"""The registry of dialects: by name, by path, by the headers of an unknown path."""

from __future__ import annotations

import pytest

from sidecar.config.conventions import DialectKey
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from tests.support.steps import ROOM_BYTES, finished
from tests.support.values import a_call


def test_a_config_may_name_exactly_the_dialects_that_are_served():
    """The config's list is a copy, since a room does not import its neighbour."""
    assert {key.value for key in DialectKey} == set(DIALECTS.by_name)


def test_every_path_belongs_to_the_dialect_that_lists_it():
    """No two dialects list the same path."""
    listed = [
        (endpoint.path, name)
        for name, dialect in DIALECTS.by_name.items()
        for endpoint in dialect.endpoints
    ]

    assert listed == [(path, endpoint.dialect) for path, endpoint in DIALECTS.endpoints.items()]


@pytest.mark.parametrize(
    ("sent", "expected"), [({"anthropic-version": ["2023-06-01"]}, MESSAGES), ({}, CHAT)]
)
def test_a_caller_is_known_by_the_header_that_its_sdk_sends(sent, expected):
    """A caller that shows none reads chat's errors."""
    assert expected == DIALECTS.of_headers(lambda name: sent.get(name, [])).name


def test_a_conversation_is_read_in_the_calls_own_dialect():
    """``input`` is a conversation of responses and nothing to chat."""
    body = b'{"input":"hello"}'
    paths = {endpoint.dialect: endpoint for endpoint in DIALECTS.endpoints.values()}

    assert {CHAT: [], RESPONSES: ["hello"]} == {
        name: [
            turn.text
            for turn in finished(
                DIALECTS.turns_of(
                    a_call(
                        endpoint=paths[name], body=body, facts=DIALECTS.by_name[name].peek(body)
                    ),
                    ROOM_BYTES,
                )
            )
        ]
        for name in (CHAT, RESPONSES)
    }

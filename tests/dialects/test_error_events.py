"""What an event is, told by its dialect from its name and its data."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.base import EventKind
from sidecar.dialects.errors import (
    ERROR_SIGNS,
    is_error_event,
    is_error_response,
    read_maybe_error,
)
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES

PREAMBLE, CONTENT, ERROR, FAILED = EventKind


def _kind(dialect, name, data):
    return DIALECTS.by_name[dialect].stream.kind_of_event(name, data)


@pytest.mark.parametrize(
    ("dialect", "name", "data", "expected"),
    [
        (
            CHAT,
            b"",
            b'{"choices":[{"delta":{"role":"assistant","content":"","refusal":null}}]}',
            PREAMBLE,
        ),
        (CHAT, b"", b'{"choices":[]}', PREAMBLE),
        (CHAT, b"", b'{"choices":[{"delta":{"content":"a"}}]}', CONTENT),
        (CHAT, b"", b'{"choices":[{"delta":{},"finish_reason":"stop"}]}', CONTENT),
        (CHAT, b"", b'{"choices":[{"delta":{}},{"delta":{"tool_calls":[{}]}}]}', CONTENT),
        (CHAT, b"", b'{"choices":[{"text":"a"}]}', CONTENT),
        (CHAT, b"", b'{"choices":[null]}', CONTENT),
        (CHAT, b"", b"[DONE]", CONTENT),
        (CHAT, b"", b"[1]", CONTENT),
        (CHAT, b"", b'{"choices":null,"usage":{}}', CONTENT),
        (CHAT, b"error", b"", ERROR),
        (CHAT, b"", b'{"error":"text"}', ERROR),
        (CHAT, b"", b'{"code":"x","message":"y"}', ERROR),
        (CHAT, b"", b'{"code":"x","message":"y","choices":[]}', PREAMBLE),
        (CHAT, b"", b'{"object":["error"],"type":{},"choices":[]}', PREAMBLE),
        (MESSAGES, b"ping", b"{}", PREAMBLE),
        (MESSAGES, b"", b'{"type":"message_start"}', PREAMBLE),
        (MESSAGES, b"message_start", b"{", PREAMBLE),
        (MESSAGES, b"content_block_start", b'{"type":"content_block_start"}', CONTENT),
        (MESSAGES, b"", b'{"type":["message_start"]}', CONTENT),
        (MESSAGES, b"error", b"overloaded", ERROR),
        (MESSAGES, b"", b'{"type":"error"}', ERROR),
        (RESPONSES, b"response.created", b"{}", PREAMBLE),
        (RESPONSES, b"", b'{"type":"response.queued"}', PREAMBLE),
        (RESPONSES, b"", b'{"type":"response.in_progress"}', PREAMBLE),
        (RESPONSES, b"keepalive", b'{"type":"keepalive","sequence_number":3}', PREAMBLE),
        (RESPONSES, b"", b'{"type":"response.output_item.added"}', CONTENT),
        (RESPONSES, b"", b"{", CONTENT),
        (RESPONSES, b"", b'{"type":"error","code":"x","message":"y"}', ERROR),
        (RESPONSES, b"error", b"{", ERROR),
        (RESPONSES, b"response.failed", b"{", FAILED),
        (RESPONSES, b"", b'{"type":"response.failed","error":{"message":"x"}}', FAILED),
        (EMBEDDINGS, b"error", b'{"error":{}}', CONTENT),
    ],
)
def test_an_event_is_known_by_its_name_or_its_data(dialect, name, data, expected):
    """What cannot be read belongs to the response: it is the app's to complain about."""
    assert expected is _kind(dialect, name, data)


@pytest.mark.parametrize(
    ("dialect", "data", "expected"),
    [
        (
            CHAT,
            b'{"choices":[{"index":1,"finish_reason":null},{"finish_reason":"stop"}]}',
            [(1, False), (0, True)],
        ),
        (CHAT, b'{"choices":[{"index":"a"}]}', []),
        (CHAT, b'{"choices":null}', []),
        (CHAT, b"[DONE]", []),
        (MESSAGES, b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}}', [(0, True)]),
        (MESSAGES, b'{"type":"message_delta","delta":{"stop_reason":null}}', []),
        (MESSAGES, b'{"type":"message_start","message":{"stop_reason":null}}', []),
        (MESSAGES, b"{", []),
        (RESPONSES, b'{"type":"response.completed"}', []),
        (EMBEDDINGS, b"{}", []),
    ],
)
def test_an_event_says_which_choices_it_ends(dialect, data, expected):
    """Of chat by their index; a message is one; of responses only the last event tells."""
    assert expected == list(DIALECTS.by_name[dialect].stream.choices_of_event(data))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"x"}}', True),
        (b'{"error":{}}', True),
        (b'{"type":"error"}', True),
        (b'{"object":"error","message":"x"}', True),
        (b'{"status":"failed"}', True),
        (b'{"status":"failed","choices":[]}', False),
        (b'{"status":"completed","error":null}', False),
        (b'{"error":"x"}', False),
        (b'{"error":[]}', False),
        (b"", False),
        (b"[]", False),
        (b'[{"error":{"code":400,"message":"x"}}]', True),
        (b' \n[ {"error":{}} , 1]', True),
        (b'[{"status":"failed"}]', True),
        (b'[{"error":"x"}]', False),
        (b'[1,{"error":{}}]', False),
        (b'[[{"error":{}}]]', False),
        (b'[{"error":{}}', False),
        (b'{"error":{"a":"\\ud800"}}', True),
    ],
)
def test_a_whole_body_is_an_error_by_its_top_level_members(body, expected):
    """And every one that is contains one of the signs, by which others are told unread."""
    assert expected is is_error_response(body)
    assert not expected or any(sign in body for sign in ERROR_SIGNS)


def test_every_event_that_failed_contains_one_of_its_dialects_signs():
    """The tap looks for them in the bytes, and decodes nothing else."""
    errors = {
        CHAT: [
            b'data: {"error":"x"}',
            b'data: {"object":"error"}',
            b"event: error",
            b"event:error",
        ],
        MESSAGES: [b'data: {"type":"error"}'],
        RESPONSES: [b'data: {"type":"error"}', b'data: {"type":"response.failed"}'],
    }
    for dialect, lines in errors.items():
        rules = DIALECTS.by_name[dialect].stream
        for line in lines:
            assert any(sign in line for sign in rules.failing)
            assert any(sign in line for sign in rules.telling)


@given(st.sampled_from([*DIALECTS.by_name]), st.binary(max_size=40), st.binary(max_size=80))
def test_no_event_raises_whatever_it_holds(dialect, name, data):
    """Any name, any data."""
    rules = DIALECTS.by_name[dialect].stream

    assert rules.kind_of_event(name, data) in EventKind
    assert all(isinstance(index, int) for index, _ in rules.choices_of_event(data))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda each: (
            st.lists(each, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "object", "type", "code", "message", "choices", "delta", "index"]
                ),
                each,
                max_size=4,
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from([*DIALECTS.by_name]),
)
def test_no_json_raises_whatever_its_types(value, dialect):
    """Members of wrong types are as good as none."""
    data = msgspec.json.encode(value)
    rules = DIALECTS.by_name[dialect].stream
    assert rules.kind_of_event(b"", data) in EventKind
    list(rules.choices_of_event(data))
    event = read_maybe_error(data)
    assert event is None or is_error_event(event) in (True, False)
    assert is_error_response(data) in (True, False)

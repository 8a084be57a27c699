"""Whatever an app sends: a clear error, or a request that is JSON."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.domain.errors import InvalidBody
from sidecar.translate.conversation import TextPart
from sidecar.translate.losses import Loss
from sidecar.translate.requests import losses_of
from sidecar.translate.targets import Target
from tests.translate.request_cases import APIS, PLAINEST, body_of, pairs, read, written

TARGETS = [
    Target(CHAT, "openai", "gpt-5.6"),
    Target(CHAT, "ollama", "qwen3"),
    Target(CHAT, "deepseek", "deepseek-chat"),
    Target(RESPONSES, "openai", "gpt-5.6"),
    Target(RESPONSES, "groq", "gpt-oss"),
    Target(MESSAGES, "anthropic", "claude-opus-5"),
    Target(MESSAGES, "anthropic", "claude-haiku-4-5"),
    Target(MESSAGES, "minimax", "minimax-m2"),
]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        "",
        " ",
        "x",
        [],
        {},
        [None],
        [[]],
        {"type": "x"},
        {"a": []},
    ]
)
SHAPES = [pair for pair in pairs() if pair.given]


def places(value, path=()):
    """Yield the path of every value inside another."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        yield (*path, key)
        if isinstance(each, dict | list):
            yield from places(each, (*path, key))


def changed(value, path, odd):
    """Return a value with another one at a path."""
    copy = deepcopy(value)
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = odd
    return copy


def check(body, source):
    try:
        conversation = read(body, source)
    except InvalidBody:
        return
    for target in TARGETS:
        if target.dialect != source:
            assert isinstance(json.loads(written(conversation, target)), dict)
            losses = losses_of(conversation, source, target)
            assert all(isinstance(loss, Loss) for loss in losses)


@given(st.data())
def test_a_value_of_another_type_gives_an_error_or_is_left_out(data):
    """Wherever it stands."""
    pair = data.draw(st.sampled_from(SHAPES))
    path = data.draw(st.sampled_from(list(places(pair.given))))
    value = changed(pair.given, path, data.draw(ODD))

    check(body_of(value, pair.source), pair.source)


@given(st.sampled_from(APIS), st.binary(max_size=200))
def test_bytes_that_are_no_request_give_an_error(api, body):
    """They are no JSON, or no object, or lack the conversation."""
    with pytest.raises(InvalidBody):
        read(body, api)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"model":"x"',
        b'{"messages":{},"input":{}}',
        b'{"messages":[1],"input":[1]}',
        b'{"messages":[{}],"input":[{}]}',
        b'{"messages":[{"role":"x"}],"input":[{"role":"x"}]}',
        b'{"messages":[{"role":"user","content":1}],"input":[{"role":"user","content":1}]}',
        b'{"messages":"\xff","input":"\xff"}',
        b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_a_body_without_a_readable_conversation_gives_an_error(api, body):
    """In words that name the place."""
    with pytest.raises(InvalidBody):
        read(body, api)


@pytest.mark.parametrize(
    ("api", "given_", "param"),
    [
        (CHAT, {"temperature": "hot"}, "temperature"),
        (CHAT, {"max_tokens": -1}, "max_tokens"),
        (CHAT, {"max_tokens": 1.5}, "max_tokens"),
        (CHAT, {"stop": [1]}, "stop"),
        (CHAT, {"stream": "yes"}, "stream"),
        (CHAT, {"messages": [{"role": "user", "content": [1]}]}, "messages[0]"),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].text"),
        (CHAT, {"messages": [{"role": "owner"}]}, "messages[0].role"),
        (CHAT, {"tools": [{"type": "function"}]}, "tools[0].function"),
        (CHAT, {"tools": [{"type": "function", "function": {}}]}, "tools[0].name"),
        (CHAT, {"functions": [{}]}, "functions[0].name"),
        (CHAT, {"tool_choice": "perhaps"}, "tool_choice"),
        (CHAT, {"tool_choice": {"type": "function"}}, "tool_choice.function"),
        (CHAT, {"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            CHAT,
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages[0].function",
        ),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].image_url",
        ),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].url",
        ),
        (
            CHAT,
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_data": 1}}]}
                ]
            },
            "messages[0].file_data",
        ),
        (RESPONSES, {"max_output_tokens": "1"}, "max_output_tokens"),
        (RESPONSES, {"reasoning": {"effort": 1}}, "reasoning.effort"),
        (RESPONSES, {"input": [{"type": "function_call"}]}, "input[0].name"),
        (RESPONSES, {"input": [{"role": "owner", "content": ""}]}, "input[0].role"),
        (RESPONSES, {"tools": [{"type": "function"}]}, "tools[0].name"),
        (RESPONSES, {"instructions": ["a"]}, "instructions"),
        (MESSAGES, {"max_tokens": "1"}, "max_tokens"),
        (MESSAGES, {"metadata": {"user_id": 1}}, "metadata.user_id"),
        (MESSAGES, {"messages": [{"role": "owner", "content": ""}]}, "messages[0].role"),
        (
            MESSAGES,
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages[0].source",
        ),
        (MESSAGES, {"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        (
            MESSAGES,
            {"thinking": {"type": "enabled", "budget_tokens": "1"}},
            "thinking.budget_tokens",
        ),
    ],
)
def test_an_error_names_the_place(api, given_, param):
    """As the API's own errors do."""
    with pytest.raises(InvalidBody) as raised:
        read(body_of(given_, api), api)

    assert param == raised.value.param


def test_numbers_beyond_all_bounds_are_refused():
    """No reader of JSON agrees with another on them."""
    body = body_of({}, CHAT).replace(b'"model"', b'"temperature":1e400,"model"')

    with pytest.raises(InvalidBody):
        read(body, CHAT)


@pytest.mark.parametrize("api", APIS)
def test_half_a_character_becomes_a_whole_one(api):
    """JavaScript cuts emoji in half."""
    body = body_of({}, api).replace(b'"Hi"', rb'"H\ud83di"')

    conversation = read(body, api)

    assert TextPart("H\ufffdi") == conversation.turns[0].parts[0]


def test_of_a_member_that_stands_twice_the_last_counts():
    """As for every reader of JSON."""
    body = body_of({}, CHAT)[:-1] + b',"temperature":0.1,"temperature":0.2}'

    assert 0.2 == read(body, CHAT).sampling.temperature


def test_a_name_that_does_not_fit_a_header_is_not_told():
    """Names that nobody knows come from the app."""
    names = ["a b", "x" * 65, "", "ä", "1", "a\r\nb: c"]

    losses = read(body_of(dict.fromkeys(names, 1), CHAT), CHAT).unread

    assert ["unknown"] == [loss.field for loss in losses]


def test_more_losses_than_fit_a_header_are_not_told():
    """The gravest of the rest counts all the same."""
    many = {f"x{number}": 1 for number in range(100)}
    last = {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}

    losses = read(body_of({**many, **last}, CHAT), CHAT).unread

    assert 65 == len(losses)
    assert ("unknown", 2) == (losses[-1].field, losses[-1].weight)


@pytest.mark.parametrize("api", APIS)
def test_a_schema_is_carried_byte_for_byte(api):
    """Numbers that no float holds, the order of members, blanks, and what stands twice."""
    schema = '{"type":"object", "b":1.00000000000000000001,"a":12345678901234567890,"a":2}'
    holders = {
        CHAT: '{"type":"function","function":{"name":"f","parameters":%s}}',
        RESPONSES: '{"type":"function","name":"f","parameters":%s}',
        MESSAGES: '{"name":"f","input_schema":%s}',
    }
    body = body_of({}, api)[:-1] + f',"tools":[{holders[api] % schema}]}}'.encode()

    conversation = read(body, api)

    for target in TARGETS[:1] + TARGETS[3:]:
        assert schema.encode() in written(conversation, target)


def test_arguments_are_carried_byte_for_byte():
    """Text stays text, an object stays an object."""
    arguments = '{"n": 1.00000000000000000001,"z":1,"a":"\\ud83d\\ude00"}'
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    turns = [
        *PLAINEST[CHAT]["messages"],
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]

    conversation = read(body_of({"messages": turns}, CHAT), CHAT)

    assert arguments.encode() in written(conversation, TARGETS[5])
    assert msgspec.json.encode(arguments) in written(conversation, TARGETS[3])

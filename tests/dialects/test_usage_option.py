"""A chat body is made to ask for usage by one edit; a chunk with nothing but usage is told apart."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.request import REQUEST_BODY
from sidecar.dialects.usage_option import USAGE_OPTION
from sidecar.domain.call import CHAT, BodyFacts
from sidecar.wire.patch import patch_body


def in_steps(body: bytes) -> BodyFacts:
    steps = REQUEST_BODY.peek_in_steps(body)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            facts: BodyFacts = end.value
            return facts


def asking(body: bytes, model: str = "m") -> bytes | None:
    facts = USAGE_OPTION.ask(body, REQUEST_BODY.peek(body))
    return None if facts is None else b"".join(patch_body(body, facts, model))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"model":"m","stream":true}',
            b'{"stream_options":{"include_usage":true},"model":"m","stream":true}',
        ),
        (
            b' {\n "stream" : true , "model" : "m" } ',
            b' {"stream_options":{"include_usage":true},\n "stream" : true , "model" : "m" } ',
        ),
        (
            b'{"stream":true,"stream_options":null,"model":"m"}',
            b'{"stream":true,"stream_options":{"include_usage":true},"model":"m"}',
        ),
        (
            b'{"stream":true,"stream_options": { } ,"model":"m"}',
            b'{"stream":true,"stream_options": {"include_usage":true } ,"model":"m"}',
        ),
        (
            b'{"stream":true,"stream_options":{ "include_obfuscation": false },"model":"m"}',
            b'{"stream":true,"stream_options":{"include_usage":true, "include_obfuscation": false },"model":"m"}',
        ),
        (
            b'{"stream":true,"stream_options":{"include_usage": null},"model":"m"}',
            b'{"stream":true,"stream_options":{"include_usage": true},"model":"m"}',
        ),
        (
            b'{"model":"m","stream_options":{"x":{"include_usage":false}},"stream":true}',
            b'{"model":"m","stream_options":{"include_usage":true,"x":{"include_usage":false}},"stream":true}',
        ),
        (
            b'{"model":"other","stream":true}',
            b'{"stream_options":{"include_usage":true},"model":"m","stream":true}',
        ),
        (
            b'{"routing_preferences":[],"stream":true}',
            b'{"model":"m","stream_options":{"include_usage":true},"stream":true}',
        ),
    ],
)
def test_a_body_asks_for_usage_and_is_otherwise_as_it_came(body, expected):
    """The member is put behind the opening brace, of the body or of what is there."""
    assert expected == asking(body)
    assert json.loads(expected)["stream_options"]["include_usage"] is True


@pytest.mark.parametrize(
    "options",
    [
        '{"include_usage":true}',
        '{"include_usage" : false}',
        '{"include_usage":"yes"}',
        '{"include_usage":null,"include_usage":null}',
        '{"include\\u005fusage":true}',
        "[]",
        '"include_usage"',
        "7",
        "true",
        '{"x":"' + "y" * 5000 + '"}',
    ],
)
def test_what_the_app_says_itself_stands(options):
    """Also where it makes no sense: the provider's word on it is the app's to read."""
    assert asking(f'{{"model":"m","stream":true,"stream_options":{options}}}'.encode()) is None


def test_of_repeated_options_the_last_ones_count():
    """As for nearly every JSON reader; the body is not refused for it."""
    body = (
        b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"stream_options":{}}'
    )

    assert body.replace(b":{}", b':{"include_usage":true}') == asking(body)


def test_options_that_are_left_out_are_not_gone_into():
    """An edit inside another one would be nonsense."""
    body = b'{"model":"m","stream":true,"stream_options":{}}'
    facts = dataclasses.replace(REQUEST_BODY.peek(body), edits=((26, 46, b""),))

    assert USAGE_OPTION.ask(body, facts) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    st.none() | json_values | st.fixed_dictionaries({"include_usage": json_values}),
    st.sampled_from([None, 1]),
)
def test_any_body_asks_for_usage_and_says_the_rest_as_before(members, options, indent):
    """Whatever else it holds; in steps it is read alike."""
    said = {**members, "model": "m", "stream": True, "stream_options": options}
    body = json.dumps(said, indent=indent).encode()
    asked = asking(body)

    assert REQUEST_BODY.peek(body).stream_options == in_steps(body).stream_options
    if "\\" in json.dumps(options):
        return  # an escape may stand for a part of the name
    if options is None or (isinstance(options, dict) and options.get("include_usage") is None):
        wanted = {**(options or {}), "include_usage": True}
        assert said | {"stream_options": wanted} == json.loads(asked or b"")
    else:
        assert asked is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"choices":[],"usage":{"prompt_tokens":1}}', True),
        ('{"model":"m","choices":null,"usage":{"prompt_tokens":11,"completion_tokens":7}}', True),
        ('{"choices":[],"usage":{}}', True),
        ('{"choices":[],"usage":null}', False),
        ('{"choices":[]}', False),
        ('{"usage":{}}', False),
        ('{"choices":[{}],"usage":{}}', False),
        ('{"choices":{},"usage":{}}', False),
        ('{"choices":[],"usage":7}', False),
        ("[DONE]", False),
        ("{", False),
        ("\xff", False),
    ],
)
def test_an_event_with_nothing_but_usage_is_told_apart(data, expected):
    """Some servers say null instead of no choices."""
    assert expected == USAGE_OPTION.is_beside(data.encode("latin-1"))


def test_usage_is_read_where_choices_is_null():
    """As some servers send it in their last chunk."""
    data = b'{"model":"m","choices":null,"usage":{"prompt_tokens":11,"completion_tokens":7}}'
    served = DIALECTS.by_name[CHAT].served_of_event(data)

    assert served.usage is not None
    assert (11, 7) == (served.usage.input_tokens, served.usage.output_tokens)


def test_only_chat_has_to_be_asked():
    """The others always tell."""
    assert [CHAT] == [
        name for name, dialect in DIALECTS.by_name.items() if dialect.stream.usage_option
    ]

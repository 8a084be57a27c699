"""What `JsonBody.peek` reads, and what it refuses."""

from __future__ import annotations

import json
import re
import time

import pytest

from sidecar.domain.call import BodyFacts
from sidecar.domain.errors import InvalidBody
from sidecar.wire.body import JsonBody

READER = JsonBody((b"previous_response_id", b"conversation"), (b"messages", b"input", b"tools"))
peek_body = READER.peek

PAD = b'{"messages": ["' + b"x" * 70_000 + b'"], '


def test_everything_that_steers_a_call_is_read_in_one_go():
    """Model, stream, our own list and provider state are facts; offsets are into the very body."""
    body = b' {"model" : "gpt-4o", "stream": true, "routing_preferences": [1], "previous_response_id": "r"}'
    assert peek_body(body) == BodyFacts(
        requested_model="gpt-4o",
        wants_stream=True,
        model_span=(12, 20),
        edits=((36, 64, b""),),
        insert_at=2,
        is_empty_object=False,
        routing_preferences=b"[1]",
        holds_provider_state=True,
    )
    assert body[12:20] == b'"gpt-4o"'
    assert body[36:64] == b', "routing_preferences": [1]'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"m","metadata":{"a":1}}', {b"metadata": b'{"a":1}'}),
        (b'{"stream":true,"metadata":null}', {b"metadata": b"null"}),
        (b'{"met\\u0061data" : 1 ,"a.b":2}', {b"metadata": b"1", b"a.b": b"2"}),
        (b'{"metadata":1,"model":"m","metadata":2}', {b"metadata": b"2"}),
        (b'{"conversation":"c"}', {b"conversation": b'"c"'}),
        (b'{"a":{"metadata":1},"aXb":3}', {}),
    ],
)
def test_members_that_may_name_the_session_are_found_where_they_are_asked_for(body, expected):
    """In the same decode, with their places; the last of repeated ones. Not asked for, they are
    members like any other.
    """
    asked = frozenset({b"metadata", b"a.b", b"conversation"})
    facts = peek_body(body, asked)

    assert expected == {name: body[start:end] for name, start, end in facts.session_spans}
    assert () == peek_body(body).session_spans


def test_a_member_that_steers_must_stand_there_once_also_where_it_may_name_the_session():
    """Being asked for allows nothing that is refused otherwise."""
    with pytest.raises(InvalidBody, match="more than once"):
        peek_body(b'{"conversation":1,"conversation":2}', frozenset({b"conversation"}))


@pytest.mark.parametrize(
    ("body", "requested_model", "model_span"),
    [
        (b"{}", None, None),
        (b'{"model":null}', None, (9, 13)),
        (b'{"model":""}', None, (9, 11)),
        (b'{"model":"none"}', None, (9, 15)),
        (b'{"model":"None"}', "None", (9, 15)),
        (b'{"mod\\u0065l":"a"}', "a", (14, 17)),
        (b'{"model_x":1,"model":"a"}', "a", (21, 24)),
        (b'{"xmodel":1,"model":"a"}', "a", (20, 23)),
        (b'{"model\\u0020":1,"model":"a"}', "a", (25, 28)),
        (b'{"model":"caf\\u00e9"}', "caf\u00e9", (9, 20)),
        ('{"model":"\U0001f600"}'.encode(), "\U0001f600", (9, 15)),
        (b'{"a":{"model":"inner"},"model":"outer"}', "outer", (31, 38)),
        (b'{"a":"\\",\\"model\\":\\"x\\"","model":"y"}', "y", (34, 37)),
    ],
)
def test_the_requested_model_is_the_top_level_one(body, requested_model, model_span):
    """Only the top-level member counts, however its name is spelled; missing, null, empty and none
    leave the choice to us.
    """
    facts = peek_body(body)
    assert (requested_model, model_span) == (facts.requested_model, facts.model_span)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", False),
        (b'{"stream":null}', False),
        (b'{"stream":false}', False),
        (b'{"stream" :\ttrue }', True),
    ],
)
def test_a_stream_is_wanted_only_where_the_body_says_true(body, expected):
    """Missing and null mean no."""
    assert expected is peek_body(body).wants_stream


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", False),
        (b'{"previous_response_id":null,"conversation":null}', False),
        (b'{"previous_response_id":"resp_1"}', True),
        (b'{"conversation":{"id":"conv_1"}}', True),
    ],
)
def test_state_that_a_provider_keeps_is_noticed(body, expected):
    """A response or conversation that only its provider knows; null is none."""
    assert expected is peek_body(body).holds_provider_state


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b"{",
        b'{"a":1',
        b'{"a":1,}',
        b'{"a" 1}',
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":01}',
        b'{"a":[1,]}',
        b'{"a":tru}',
        b'{"a":"\n"}',
        b'{"a":"\\x"}',
        b'{"a":1}{"b":1}',
        b'{"a":1} x',
        b"\xef\xbb\xbf{}",
        b"\x00{}",
        b'{"a":1}\x00',
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_what_is_not_one_json_object_is_refused(body):
    """Truncated, trailing, not an object, not JSON, in another encoding."""
    with pytest.raises(InvalidBody, match=r"not JSON|not a JSON object|not UTF-8|byte order mark"):
        peek_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":[{"b":"\xc3("}]}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\xaf"}',
        b'{"a":"\xf5\x80\x80\x80"}',
        b'{"a":"\xe2\x82',
        b'{"model":"\xff"}',
        b'{"a":"' + "\u20ac".encode() * 400_000 + b'\xff"}',
    ],
)
def test_bytes_that_are_no_utf8_are_refused_also_where_nobody_reads(body):
    """Two parsers that repair text in two ways would read two bodies."""
    with pytest.raises(InvalidBody, match="not UTF-8"):
        peek_body(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'\xef\xbb\xbf{"a":1}', "byte order mark (BOM, bytes EF BB BF): send UTF-8 without it"),
        ('{"a":1}'.encode("utf-16"), "is UTF-16, as its byte order mark (BOM) says"),
        (b"\xfe\xff\x00{", "is UTF-16, as its byte order mark (BOM) says"),
    ],
)
def test_a_byte_order_mark_is_named(body, expected):
    """Editors, PowerShell and spreadsheets put it before a text, and nobody sees it. Also in a body
    that is read in steps.
    """
    with pytest.raises(InvalidBody, match=re.escape(expected)):
        peek_body(body)
    with pytest.raises(InvalidBody, match=re.escape(expected)):
        list(READER.peek_in_steps(body))


def test_the_offset_of_a_bad_byte_is_told_also_in_a_long_body():
    """Text is checked in steps of 1 MiB, and a character on the seam is no error."""
    good = b'{"a":"' + "\u20ac".encode() * 800_000
    with pytest.raises(InvalidBody, match=rf"byte {len(good)}\)"):
        peek_body(good + b'\xff"}')
    assert peek_body(good + b'"}') == BodyFacts(insert_at=1)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":1}', "model"),
        (b'{"model":["a"]}', "model"),
        (b'{"model":true}', "model"),
        (b'{"model":"\\ud800"}', "model"),
        (b'{"stream":1}', "stream"),
        (b'{"stream":"true"}', "stream"),
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"model":"a","model":"a"}', "model"),
        (b'{"model":"a","x":1,"\\u006dodel":"b"}', "model"),
        (b'{"\\u006Dodel":"a","mode\\u006C":"b"}', "model"),
        (b'{"stream":true,"stream":true}', "stream"),
        (b'{"routing_preferences":[],"routing_preferences":[]}', "routing_preferences"),
        (b'{"previous_response_id":null,"previous_response_id":null}', "previous_response_id"),
        (b'{"conversation":null,"conversation":null}', "conversation"),
        (b'{"model":"m","messages":[],"messages":[]}', "messages"),
        (b'{"model":"m","input":"a","inpu\\u0074":"b"}', "input"),
        (b'{"tools":[],"model":"m","tools":[]}', "tools"),
        # A repeated field in front whose last value is as long as the way to a second, nested
        # model.
        (
            b'{"a":1,"model":"evil","b":{"z":0,"model":"good"},"a":"xxxxxxxxxxxxxxxxxxxx","model":"x"}',
            "model",
        ),
    ],
)
def test_a_field_that_we_read_is_right_or_named(body, param):
    """A wrong type, half a character, or the same field twice, escapes resolved: a provider might
    read the other one.
    """
    with pytest.raises(InvalidBody) as caught:
        peek_body(body)
    assert param == caught.value.param


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2,"model":"m"}',
        b'{"a":"\\ud83d","model":"m"}',
        b'{"a":"cut \\ud83d here","model":"m"}',
        b'{"a":"\\udc00\\ud800","model":"m"}',
        b'{"a":"\\\\ud800","model":"m"}',
        b'{"\\ud800":1,"model":"m"}',
        b'{"a":123456789012345678901234567890.5e999,"model":"m"}',
        b'{"a":{"b":1,"b":2},"model":"m"}',
        b'{"":1,"model":"m"}',
    ],
)
def test_what_we_do_not_read_passes_without_a_look(body):
    """Repeated names, half characters and huge numbers are between the app and its provider."""
    facts = peek_body(body)
    assert facts.model_span is not None
    assert (facts.requested_model, body[slice(*facts.model_span)]) == ("m", b'"m"')


@pytest.mark.parametrize("opening", [b'{"a":' + b"[" * 100_000, b'{"a":' * 100_000])
@pytest.mark.parametrize("closing", [b"", b"1" + b"]" * 100_000 + b"}"])
def test_deep_nesting_is_refused(opening, closing):
    """As an error of ours, at once, whether it is closed or not."""
    with pytest.raises(InvalidBody, match=r"too deeply|not JSON"):
        peek_body(opening + closing)


@pytest.mark.parametrize("count", [1001, 200_000])
def test_too_many_members_are_refused(count):
    """Counted while decoding where the body is large, so that names cannot fill the memory."""
    body = b"{" + b",".join(b'"%x":1' % number for number in range(count)) + b"}"
    with pytest.raises(InvalidBody, match="more than 1000 members"):
        peek_body(body)


@pytest.mark.parametrize("prefix", [b"{", PAD])
def test_a_thousand_members_pass(prefix):
    """The limit is far from anything that an API documents."""
    body = prefix + b",".join(b'"%x":1' % number for number in range(999)) + b"}"
    assert peek_body(body).model_span is None


def test_a_large_body_is_read_like_a_small_one():
    """Beyond 64 KiB another decoder counts the members; the facts are the same."""
    facts = peek_body(PAD + b'"a":1,"a":2,"model":"m","stream":true}')
    assert (facts.requested_model, facts.wants_stream) == ("m", True)


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        (b"{", b" ", b'"model":1}'),
        (b'{"a":1', b"\t", b',"model":1}'),
        (b"{", b'"a":1,', b'"model":1}'),
        (b'{"', b"\\u0061", b'":1,"model":1}'),
        (b'{"', b'\\\\\\"', b'":1,"model":1}'),
        (b'{"', b"model", b'":1,"model":1}'),
        (b'{"a":"', b"\\ud800", b'","model":1}'),
        (b'{"a":[', b"{},", b'{}],"model":1}'),
        (b'{"a":"', "\u20ac".encode(), b'","model":1}'),
        (b'{"a":"', b"\\ud800\\", b'","model":1}'),
    ],
)
def test_hostile_bodies_take_time_in_proportion(before, unit, after):
    """Eight times the bytes take nowhere near sixty-four times the processor: nothing backtracks,
    nothing is refused late.
    """

    def seconds(count: int) -> float:
        body = before + unit * count + after
        began = time.process_time()
        with pytest.raises(InvalidBody):
            peek_body(body)
        return time.process_time() - began

    few = min(seconds(10_000) for _ in range(3))
    many = min(seconds(80_000) for _ in range(3))
    assert many < 32 * max(few, 0.001)


def test_facts_agree_with_the_standard_library():
    """The same model and stream as `json` reads, in a body as SDKs send it."""
    body = json.dumps(
        {"messages": [{"role": "user", "content": 'say "hi", {}'}], "model": "m", "stream": True}
    ).encode()
    facts = peek_body(body)
    assert facts.model_span is not None
    assert (
        json.loads(body[slice(*facts.model_span)]),
        facts.requested_model,
        facts.wants_stream,
    ) == ("m", "m", True)


@pytest.mark.parametrize("escaped", [b"", b"\\u0061"], ids=["plain", "escaped"])
@pytest.mark.parametrize("letter", [b"m", b"\xc3\xa9"], ids=["1 byte", "2 bytes"])
def test_a_model_over_256_bytes_is_refused(escaped, letter):
    """Caches keep what callers invent."""
    longest = letter * ((256 - bool(escaped)) // len(letter)) + b"m" * (256 % len(letter))
    fits = b'{"model":"%b%b"}' % (escaped, longest)

    assert peek_body(fits).requested_model is not None
    with pytest.raises(InvalidBody, match="'model' is longer than 256 bytes"):
        peek_body(b'{"model":"%b%b%b"}' % (escaped, longest, letter))


@pytest.mark.parametrize(
    ("value", "expected"),
    [('"' + "x" * 100_000 + '"', "longer than 256 bytes"), ("[" + "0," * 50_000 + "0]", "must be a string")],
)  # fmt: skip
def test_a_model_of_any_length_is_judged_by_its_beginning(value, expected):
    """A megabyte of it is not decoded to be refused."""
    with pytest.raises(InvalidBody, match=expected):
        peek_body(b'{"model":%b}' % value.encode())

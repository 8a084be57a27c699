"""Where the members of a long object and the elements of a long array stand, found in steps."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.request import REQUEST_BODY
from sidecar.domain.errors import InvalidBody
from sidecar.wire import outline
from sidecar.wire.body import AT_ONCE_BYTES
from sidecar.wire.outline import ELEMENTS_AT_MOST, MEMBERS_AT_MOST, STEP_BYTES, Outline
from tests.support.steps import counted, finished

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.sampled_from('ab"\\\\{}[],:\u00e9\n ')),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def outlined(text: bytes, array: tuple[int, int] | None = None) -> list[tuple[bytes, bytes]]:
    """Names and values."""
    found = Outline(text, array)
    while not found.advance():
        pass
    return [(text[slice(*each.name)], text[slice(*each.value)]) for each in found.members]


@pytest.fixture(params=[1, 2, 3, 7, STEP_BYTES])
def step_bytes(request, monkeypatch):
    monkeypatch.setattr(outline, "STEP_BYTES", request.param)
    return request.param


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=5), st.sampled_from([1, 2, 3, 7, 4096]))
def test_members_are_found_wherever_the_steps_end(held, step):
    """Inside escapes, numbers and names too."""
    text = json.dumps(held, indent=1).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outline, "STEP_BYTES", step)
        found = outlined(text)
        array = json.dumps(list(held.values())).encode()
        elements = outlined(b"xx" + array + b"y", (2, 2 + len(array)))

    assert [(json.loads(b'"%b"' % name), json.loads(value)) for name, value in found] == [
        *held.items()
    ]
    assert [json.loads(value) for _, value in elements] == [*held.values()]


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"[]", b"3", b"{", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}', b'{,}', b'{"a" 1}',
        b'{"a":}', b'{"a":tru}', b'{"a":01}', b'{"a":+1}', b'{"a":1}x', b'{"a":1}{}', b'{"a":"', b'{"a":"\\', b'{"a":"\\"}',
        b'{"a":[}', b'{"a":[1', b'{"a":]}', b"{1:2}", b'{"a":1 "b":2}', b'{"a":' + b"1" * 2000 + b"}", b'{"a',
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused(text, step_bytes):
    """As far as an outline tells: what stands inside an array is for the provider to read."""
    with pytest.raises(InvalidBody):
        outlined(text)


def test_members_elements_and_depth_are_bounded():
    """Each of them is kept, or counted, for as long as the text is looked at."""
    many = b",".join([b'"a":0'] * MEMBERS_AT_MOST)
    assert MEMBERS_AT_MOST == len(outlined(b"{%b}" % many))
    with pytest.raises(InvalidBody, match="members"):
        outlined(b"{%b,%b}" % (many, b'"b":0'))
    array = b"[%b]" % b",".join([b"0"] * (ELEMENTS_AT_MOST + 1))
    with pytest.raises(InvalidBody, match="members"):
        outlined(array, (0, len(array)))
    assert 1 == len(outlined(b'{"a":%b}' % (b"[" * 1000 + b"]" * 1000)))
    with pytest.raises(InvalidBody, match="deeply"):
        outlined(b'{"a":%b}' % (b"[" * 1001 + b"]" * 1001))


CONVERSATIONS = {
    "numbers": b"0," * 600_000 + b"0",
    "half emoji": b'"%b"' % (b"\\ud83d" * 200_000),
    "escaped quotes": b'"%b"' % (b'\\"' * 600_000),
    "backslashes": b'"%b"' % (b"\\\\" * 600_000),
    "UTF-8": b'"%b"' % ("\U0001f600".encode() * 300_000),
    "nests": b"[" * 900 + b"]" * 900 + b',"%b"' % (b"x" * 1_200_000),
}


@pytest.mark.parametrize("said", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_a_long_body_is_read_in_steps_and_nothing_of_it_is_kept(said):
    """Others go on after each 128 KiB, and no objects are made of what stands in it."""
    body = b'{"messages":[%b],"model":"m"}' % said
    assert len(body) > AT_ONCE_BYTES

    facts, yields = counted(REQUEST_BODY.peek_in_steps(body))

    assert yields >= len(body) // STEP_BYTES
    assert facts.requested_model == "m"
    assert facts.conversation == (12, len(body) - len(b',"model":"m"}'))


def test_what_is_read_in_steps_is_what_is_read_at_once():
    """All facts, with escaped names and our own members too."""
    body = json.dumps(
        {
            "messages": [{"role": "user"}],
            "routing_preferences": [],
            "metadata": {"a": 1},
            "stream": True,
            "previous_response_id": "r",
            "x" * 2000: 1,
        }
    ).encode()
    body = body[:-1] + rb',"m\u006fdel":"m","\ud83d":0}'
    members = frozenset((b"metadata", b"user"))
    assert finished(REQUEST_BODY.peek_in_steps(body, members)) == REQUEST_BODY.peek(body, members)
    for wrong in (b'{"model":"a","model":"b"}', b'{"model":"\xff"}', b'{"stream":1}', b"[]"):
        with pytest.raises(InvalidBody):
            finished(REQUEST_BODY.peek_in_steps(wrong))


def test_a_step_ends_where_it_has_found_much():
    """An array of numbers has as many elements in a step's bytes as may be found at all."""
    text = b"[" + b"0," * 5000 + b"0]"
    outline = Outline(text, (0, len(text)))
    steps = 1
    while not outline.advance():
        steps += 1

    assert (5, 5001) == (steps, len(outline.members))

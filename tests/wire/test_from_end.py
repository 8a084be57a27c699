"""Elements and members, the last first, and no further than is wanted."""

from __future__ import annotations

import json

from hypothesis import given

from sidecar.wire.from_end import Effort, FromEnd, Span, name_and_value
from tests.wire.test_outline import JSON


def effort(steps: int = 1_000_000) -> Effort:
    return Effort(steps, 1_000_000, 1_000)


def found_in(text: bytes, spent: Effort) -> list[Span]:
    reader, found = FromEnd(text, (0, len(text)), spent), []
    while (place := reader.next()) is not None:
        found.append(place)
    return found


@given(JSON)
def test_elements_are_found_from_the_last_to_the_first(value):
    """Whatever stands in them: brackets, quotes and commas inside texts too."""
    held = [value, value, 0]
    for indent in (None, 1):
        text = json.dumps(held, indent=indent).encode()
        places = found_in(text, effort())
        assert [json.loads(text[start:end]) for start, end in places] == held[::-1]

    text = json.dumps({"a": value, "b": value}, indent=1).encode()
    members = [name_and_value(text, place) for place in found_in(text, effort())]
    assert [(name, json.loads(text[slice(*place)])) for name, place in members] == [
        (b"b", value),
        (b"a", value),
    ]


def test_nothing_is_found_in_what_is_empty():
    """No element of length zero."""
    for text in (b"[]", b"{}", b"[ \n ]"):
        assert found_in(text, effort()) == []


def test_a_name_that_is_long_or_escaped_is_none():
    """No member that is read has one."""
    for member in (b'"\\u0061":1', b'"%b":1' % (b"a" * 65), b"7"):
        assert name_and_value(member, (0, len(member)))[0] == b""


def test_no_more_is_looked_at_than_may_be():
    """Bytes one by one, runs of backslashes and blanks, and searches, which count as several."""
    for element in (
        b"1" * 900,
        b" " * 900 + b"1",
        b'"%b"' % (b'\\"' * 900),
        b'"%b\\""' % (b"\\\\" * 900),
    ):
        text = b"[1,%b]" % element
        spent = effort(100)
        assert found_in(text, spent) == []
        assert spent.is_spent
        assert spent.steps > -200


def test_nothing_more_is_found_once_enough_was_decoded():
    """A conversation of millions of numbers is as many messages."""
    text = b"[%b]" % b",".join([b"0"] * 100)
    for spent in (Effort(1_000_000, 1_000_000, 10), Effort(1_000_000, 10, 1_000_000)):
        reader, found = FromEnd(text, (0, len(text)), spent), 0
        while reader.next() is not None:
            found += 1
            spent.decode(1)
        assert found == 11


def test_a_text_costs_a_search_and_not_its_length():
    """An image of megabytes is stepped over."""
    spent = effort(1_000)
    text = b'["a","%b"]' % (b"x" * 1_000_000)
    assert 2 == len(found_in(text, spent))
    assert spent.steps > 800


def test_what_was_said_before_a_long_result_of_json_is_found():
    """A tool's result of half a megabyte has a hundred thousand escaped quotes."""
    result = b'"%b\\\\"' % (rb"{\"a\\\"\": 1}, " * 33_000)
    for text in (b'["q",%b]' % result, b'["q",%b, "r"]' % result):
        assert found_in(text, effort(512 * 1024))[-1] == (1, 4)

"""Places in a JSON text are found, and pieces go with one comma each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.places import Span, Text, cuts_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def _all(text: bytes) -> Span:
    return 0, len(text)


@given(st.lists(VALUES), st.data(), st.sampled_from([None, 1]))
def test_elements_are_cut_and_nothing_else(
    values: list[Any], data: Any, indent: int | None
) -> None:
    """Whichever of them, and however the text is laid out."""
    text = json.dumps(values, indent=indent).encode()
    is_cut = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    found = Text(text)
    places = found.elements(_all(text))

    left = found.without(cuts_of(places, is_cut))

    assert [json.loads(text[start:end]) for start, end in places] == values
    assert json.loads(left) == [value for value, cut in zip(values, is_cut, strict=True) if not cut]


@given(st.dictionaries(st.text(max_size=4), VALUES), st.data(), st.sampled_from([None, 1]))
def test_members_are_cut_and_nothing_else(
    held: dict[str, Any], data: Any, indent: int | None
) -> None:
    """Likewise, names with escapes too."""
    text = json.dumps(held, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    is_cut = data.draw(st.lists(st.booleans(), min_size=len(held), max_size=len(held)))
    found = Text(text)
    members = found.members()

    left = found.without(cuts_of([each.span for each in members], is_cut))

    assert [json.loads(text[slice(*each.value)]) for each in members] == list(held.values())
    assert json.loads(left) == {
        name: value for (name, value), cut in zip(held.items(), is_cut, strict=True) if not cut
    }


def test_halves_of_characters_change_no_place():
    """JavaScript sends them where it cuts an emoji; what is kept is kept as it came."""
    text = rb'{"a":["\ud83d", 1, "x"]}'
    found = Text(text)
    array = found.value_of(b"a")
    assert array is not None

    left = found.without(cuts_of(found.elements(array), [False, True, False]))

    assert left == rb'{"a":["\ud83d", "x"]}'


def test_a_member_is_found_by_its_name():
    """Also within an object; the last of several counts."""
    text = b'{"a": {"b": 1, "b": [2]}, "c": 3}'
    found = Text(text)
    inner = found.value_of(b"a")

    place = found.value_of(b"b", inner)

    assert place is not None
    assert bytes(found.raw(place)) == b"[2]"
    assert found.value_of(b"d") is None


@pytest.mark.parametrize("text", [b"", b"1", b'"x"', b"{", b"[", b'{"a":}', b"[1,]", b"[" * 9999])
def test_what_cannot_be_read_has_no_places(text):
    """A string in place of a list, or nonsense."""
    assert (Text(text).elements(_all(text)), Text(text).members()) == ([], [])


def test_no_more_places_are_told_than_can_be_looked_through_in_time():
    """In all of one text; from then on it says so."""
    array = b"[" + b"0," * 15_000 + b"0]"
    text = Text(array)
    assert (15_001, False) == (len(text.elements(_all(array))), text.is_exhausted)
    assert ([], True) == (text.elements(_all(array)), text.is_exhausted)
    members = b"{" + b'"a":0,' * 20_000 + b'"a":0}'
    assert [] == Text(members).members()


def test_a_piece_that_is_too_long_to_decode_at_once_has_no_places():
    """The text says so; where there is no array, there is nothing to say."""
    array = b"[1,2]"
    text = Text(array, piece_bytes=4)
    with pytest.raises(StopIteration) as nothing:
        next(text.elements_in_steps(None))

    assert [] == nothing.value.value
    assert not text.is_exhausted
    assert ([], True) == (text.elements(_all(array)), text.is_exhausted)


def test_members_of_a_long_object_are_found_in_steps():
    """At the same places as at once."""
    text = b'[{"a" : {"b":1}, "c\\u0064":"%b"}]' % (b"x" * 3_000_000)
    place = 1, len(text) - 1
    found = Text(text)
    work = found.members_in_steps(place)
    steps = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            members = end.value
            break
        steps += 1

    assert steps
    assert Text(text, len(text)).members(place) == members

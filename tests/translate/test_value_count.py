"""How many values a JSON text has, before it is decoded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.translate import value_count
from sidecar.translate.bounds import Untranslatable
from sidecar.translate.value_count import ValueCount, count_in_steps

TEXTS = st.text(st.sampled_from('a",[]{}\\:\né\U0001f600'), max_size=12)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _begun(value) -> int:
    """Arrays and objects, and what stands behind another one in them."""
    if not isinstance(value, list | dict):
        return 0
    inner = value if isinstance(value, list) else value.values()
    return 1 + max(0, len(value) - 1) + sum(map(_begun, inner))


@given(value=VALUES, cut=st.integers(1, 7), is_ascii=st.booleans())
def test_values_are_counted_wherever_the_pieces_end(value, cut, is_ascii):
    """What stands in texts is no value."""
    text, count = json.dumps(value, ensure_ascii=is_ascii).encode(), ValueCount()
    for at in range(0, len(text), cut):
        count.feed(text[at : at + cut])

    assert _begun(value) == count._values


def test_too_many_values_are_refused(monkeypatch):
    """As soon as they are met."""
    monkeypatch.setattr(value_count, "VALUES_AT_MOST", 4)
    count = ValueCount()
    count.feed(b'[1,2,3,"a,b')
    with pytest.raises(Untranslatable):
        count.feed(b'",4')


def test_a_long_text_is_counted_in_steps(monkeypatch):
    """A short one is not: it cannot hold too many."""
    monkeypatch.setattr(value_count, "SHORT_BYTES", 8)
    monkeypatch.setattr(value_count, "_STEP_BYTES", 4)

    assert [] == list(count_in_steps(b"[1,2,3,4"))
    assert [None] * 3 == list(count_in_steps(b"[1,2,3,4]"))

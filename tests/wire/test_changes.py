"""What is to be written otherwise, as values."""

from __future__ import annotations

import pytest

from sidecar.wire.changes import ALWAYS, SET, Change, Where, named


@pytest.mark.parametrize(
    ("where", "matching", "other"),
    [
        (SET, 0.5, None),
        (ALWAYS, None, ()),
        (Where(keeps=(None, 1)), 0.5, 1.0),
        (Where(only=("minimal",)), "minimal", "low"),
    ],
)
def test_a_change_is_made_for_some_values(where, matching, other):
    """A value that is written in another way is the same value: 1 and 1.0."""
    assert where.matches(matching)
    assert other == () or not where.matches(other)


def test_a_change_is_called_by_its_path_or_its_name():
    """Which element of an array it is about is nothing that a person needs."""
    path = named("messages.*.content.*.cache_control.ttl")

    assert (b"messages", b"*", b"content", b"*", b"cache_control", b"ttl") == path
    assert "messages.content.cache_control.ttl" == Change(path).shown
    assert "cache_control.ttl" == Change(path, name="cache_control.ttl").shown

"""The top-level values of a JSON object: all of them, in order, each as long as in the body."""

from __future__ import annotations

import pytest

from sidecar.domain.errors import InvalidBody
from sidecar.wire.members import top_level_values


def values(body: bytes) -> list[bytes]:
    return [bytes(value) for value in top_level_values(body)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", []),
        (b' { "a" : 1 , "b":[ 2,{"c":3}] } ', [b"1", b'[ 2,{"c":3}]']),
        (b'{"a":1,"b":2,"a":3}', [b"1", b"2", b"3"]),
        (b'{"a":"x\\u00e9"}', [b'"x\\u00e9"']),
    ],
)
def test_values_come_in_document_order_with_repeated_names(body, expected):
    """What a name stands for is the caller's to find: here nothing is lost."""
    assert expected == values(body)


@pytest.mark.parametrize("filler", [0, 70_000])
def test_half_a_character_changes_no_length(filler):
    """JavaScript sends lone surrogates, which msgspec refuses; also in a large body."""
    body = b'{"a":"\\ud83d","b":"' + b"x" * filler + b'"}'

    assert [len(b'"\\ud83d"'), filler + 2] == [len(value) for value in values(body)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[]", "not a JSON object"),
        (b"{", "not JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nests too deeply"),
        (b"{" + b",".join(b'"%d":1' % i for i in range(1001)) + b"}", "more than 1000 members"),
        (b"{" + b",".join(b'"%070d":1' % i for i in range(1001)) + b"}", "more than 1000 members"),
    ],
)
def test_what_is_no_object_of_a_thousand_members_is_refused(body, why):
    """Counted while decoding where the body is large: members cost more memory than bytes."""
    with pytest.raises(InvalidBody, match=why):
        top_level_values(body)

"""A call's body: held until it was sent, and told apart from others afterwards."""

from __future__ import annotations

import pytest

from sidecar.domain.call import BodyFacts
from tests.support.values import a_call

STREAM = BodyFacts(wants_stream=True)


def test_a_body_is_let_go_once_and_its_memory_given_back():
    """Its length is still known."""
    given_back: list[int] = []
    call = a_call(body=b"12345", give_back=given_back.append)
    call.release_body()
    call.release_body()

    assert (b"", 5, [5]) == (call.body, call.body_bytes, given_back)


def test_a_call_that_has_taken_no_memory_gives_none_back():
    """As one that the sidecar makes itself."""
    call = a_call(body=b"12345")
    call.release_body()

    assert b"" == call.body


@pytest.mark.parametrize(
    "other",
    [b"x" * 9999, b"y" + b"x" * 9999, b"x" * 9999 + b"y", b"x" * 5000 + b"y" * 100 + b"x" * 4900],
    ids=["length", "beginning", "end", "middle"],
)
def test_bodies_are_told_apart_by_their_marks(other):
    """Length, beginning, end and what lies between."""
    body = b"x" * 10_000

    assert a_call(body=body).body_mark() == a_call(body=body).body_mark()
    assert a_call(body=body).body_mark() != a_call(body=other).body_mark()


def test_the_mark_of_a_streams_body_outlives_it():
    """An error event may come when the body is gone."""
    stream, whole = a_call(body=b"12345", facts=STREAM), a_call(body=b"12345")
    mark = stream.body_mark()
    stream.release_body()
    whole.release_body()

    assert (mark, 0) == (stream.body_mark(), whole.body_mark())

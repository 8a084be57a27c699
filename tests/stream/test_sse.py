"""Event boundaries in a stream of server-sent events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.stream.tap import BOUNDARY_BYTES, ends_event


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"", True),
        (b"\n", True),
        (b"\r\n\r", True),
        (b"data: 1", False),
        (b"data: 1\n", False),
        (b"data: 1\r\n", False),
        (b"data: 1\r", False),
        (b"data: 1\n\n", True),
        (b"data: 1\r\n\r\n", True),
        (b"data: 1\r\n\r", True),
        (b"data: 1\r\r", True),
        (b"data: 1\n\r", True),
        (b"data: 1\r\n\n", True),
        (b"data: 1\n\n\n\n", True),
        (b"event: a\ndata: 1\n\n", True),
        (b"data: 1\n\ndata: 2\n", False),
        (b"data: 1\n\ndata: 2", False),
        (b": comment\n", False),
        (b": comment\n\n", True),
        (b"data: 1\n \n", False),
        (b"data: 1\rdata: 2\n\n", True),
    ],
)
def test_a_boundary_is_where_an_empty_line_ended_the_last_event(stream, expected):
    """With any of the three line ends, told from as few bytes as are promised."""
    started = b"\n\n" + stream

    assert {expected} == {
        ends_event(started[-kept:]) for kept in range(BOUNDARY_BYTES, BOUNDARY_BYTES + 40)
    }


def reference(stream: bytes) -> bool:
    """By splitting into lines as the standard says: nothing but line ends, or an empty last line
    that is over.
    """
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text.endswith(b"\n\n") or text.strip(b"\n") == b""


@given(
    st.lists(
        st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"data: x", b"\r\n\r\n", b"\n\n", b""]),
        max_size=14,
    )
)
def test_a_few_bytes_say_the_same_as_the_whole_stream(pieces):
    """However long the stream is, and wherever its end begins."""
    stream = b"".join(pieces)

    assert reference(stream) is ends_event((b"\n\n" + stream)[-BOUNDARY_BYTES:])

"""Event boundaries in a stream of server-sent events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.sse import SseBoundary


def at_boundary(*chunks: bytes) -> bool:
    boundary = SseBoundary()
    for chunk in chunks:
        boundary.feed(chunk)
    return boundary.at_boundary


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
    """With any of the three line ends, in one piece, byte by byte, and in halves."""
    assert expected is at_boundary(stream)
    assert expected is at_boundary(*(bytes([byte]) for byte in stream))
    assert {expected} == {
        at_boundary(stream[:cut], b"", stream[cut:]) for cut in range(len(stream) + 1)
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
def test_any_chunking_gives_the_same_answer(chunks):
    """The answer is a property of the bytes so far, not of how they came."""
    assert reference(b"".join(chunks)) is at_boundary(*chunks)


def test_it_keeps_no_data():
    """Two small values, however much was fed."""
    boundary = SseBoundary()
    boundary.feed(b"x" * 1_000_000 + b"\n\n")
    assert {name: getattr(boundary, name) for name in boundary.__slots__} == {
        "_line_ends": 2,
        "_after_cr": False,
    }

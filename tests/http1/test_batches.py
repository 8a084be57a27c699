"""Cutting requests for writing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1.batches import WRITE_BYTES, batches

LENGTHS = st.one_of(
    st.integers(0, 100),
    st.integers(WRITE_BYTES - 60, WRITE_BYTES + 60),
    st.integers(0, 4 * WRITE_BYTES),
)


@given(st.integers(1, 1000), st.lists(LENGTHS, max_size=5))
def test_nothing_is_lost_and_no_batch_is_too_long(head_bytes, lengths):
    """The batches are head and body in order, each within its bound, none of them empty."""
    head = b"h" * head_bytes
    body = [bytes([65 + at]) * length for at, length in enumerate(lengths)]
    cut = [b"".join(batch) for batch in batches(head, body)]
    assert b"".join(cut) == head + b"".join(body)
    assert max(map(len, cut)) <= WRITE_BYTES
    assert all(cut)


def test_body_is_not_copied():
    """Every piece of a batch is a view of what was given."""
    body = b"x" * (3 * WRITE_BYTES)
    views = [
        piece
        for batch in batches(b"head", [body])
        for piece in batch
        if isinstance(piece, memoryview)
    ]
    assert all(view.obj is body for view in views)
    assert sum(map(len, views)) == len(body)


def test_a_head_that_fills_its_batch_leaves_no_empty_piece():
    """The body begins with the next batch."""
    cut = list(batches(b"h" * WRITE_BYTES, [b"b"]))

    assert [[WRITE_BYTES], [1]] == [[len(piece) for piece in batch] for batch in cut]

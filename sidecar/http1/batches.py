"""How a request is cut for writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

JOINED_BYTES: Final = 32 * 1024
"""A request up to this size is copied into one write: cheaper than handing over its pieces."""
WRITE_BYTES: Final = 128 * 1024
"""A longer one is written in batches of this size, each one only when the transport has room."""

Piece = bytes | memoryview


def batches(head: bytes, body: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Head and body in order, as lists of buffers of at most `WRITE_BYTES` together; nothing is
    copied.

    Args: ``head`` is shorter than `WRITE_BYTES`.
    """
    batch: list[Piece] = [head]
    room_bytes = WRITE_BYTES - len(head)
    for piece in body:
        view = memoryview(piece)
        while len(view) > room_bytes:
            if room_bytes > 0:
                batch.append(view[:room_bytes])
                view = view[room_bytes:]
            yield batch
            batch, room_bytes = [], WRITE_BYTES
        batch.append(view)
        room_bytes -= len(view)
    yield batch

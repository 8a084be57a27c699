"""Work in steps, done without a loop."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from sidecar.dialects.base import Dialect, Turn

_T = TypeVar("_T")

ROOM_BYTES = 30_000
"""About what a router model's prompt has room for, by default."""


def finished(work: Generator[None, None, _T]) -> _T:
    """Do all steps of work, and return its result."""
    return counted(work)[0]


def counted(work: Generator[None, None, _T]) -> tuple[_T, int]:
    """Do all steps of work, and return its result and how often others could go on."""
    yields = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result, yields
        yields += 1


def turns_in(
    dialect: Dialect, body: bytes, room_bytes: int | None = ROOM_BYTES
) -> tuple[Turn, ...]:
    """The turns of a body."""
    return finished(dialect.turns(body, dialect.peek(body), room_bytes))


def is_signed_in(dialect: Dialect, body: bytes) -> bool:
    """Whether the newest turn of a body is signed."""
    return dialect.is_newest_turn_signed(body, dialect.peek(body))


def without_signed_state(dialect: Dialect, body: bytes, refusal: bytes = b"") -> bytes | None:
    """A body without the state that only its maker can read."""
    return finished(dialect.without_signed_state(body, dialect.peek(body), refusal))

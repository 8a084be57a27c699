"""Cuts state that only its maker can read out of a request body, and nothing else. Pure.

What is cut stands before the open tool loop: while the results of an assistant turn's tools are
sent, providers want that turn with its thinking.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Final, NamedTuple

import msgspec

from sidecar.dialects.signed_state import Said
from sidecar.wire.places import Span, Text, cuts_of

_AT_ONCE: Final = 16
"""Messages that are read before others go on."""
EACH: Final = b"*"
"""In a path: every element of an array."""

Path = tuple[bytes, ...]
"""Names of members, from the outermost inwards."""


class Cut(NamedTuple):
    """What is to be cut out of one message."""

    pieces: Sequence[Span] = ()
    is_whole: bool = False
    """Whether the message has nothing else to say, and goes with its signed state."""


def body_without(
    text: Text,
    messages: Sequence[Span],
    read: Callable[[msgspec.Raw], Said],
    find: Callable[[int, Span], Cut],
    first: int = 0,
) -> Generator[None, None, bytes | None]:
    """Return the body without what ``find`` finds in the assistant's messages from ``first`` on, up
    to the open tool loop; None where there is nothing to cut, or more than can be looked through.
    Others go on wherever this yields.

    Args: ``read`` says what a message is; ``find`` is given a message's number and place.
    """
    end = yield from _loop_start(text, messages, read)
    are_whole = [False] * len(messages)
    pieces: list[Span] = []
    for at in range(first, end):
        if not at % _AT_ONCE:
            yield
        if read(text.raw(messages[at])) in (Said.ASKED, Said.RESULT):
            continue
        cut = find(at, messages[at])
        are_whole[at] = cut.is_whole
        pieces += () if cut.is_whole else cut.pieces
    pieces += cuts_of(messages, are_whole)
    return text.without(sorted(pieces)) if pieces and not text.is_exhausted else None


def members_cut(text: Text, holder: Span, paths: Sequence[Path]) -> list[Span]:
    """Return the pieces to cut so that an object is without the members that ``paths`` lead to."""
    members = text.members(holder)
    is_cut = [(member.name,) in paths for member in members]
    pieces = cuts_of([member.span for member in members], is_cut)
    for member, is_gone in zip(members, is_cut, strict=True):
        inner = [path[1:] for path in paths if path[0] == member.name]
        if is_gone or not inner:
            continue
        each = [path[1:] for path in inner if path[0] == EACH]
        places = text.elements(member.value) if each else [member.value]
        for place in places:
            pieces += members_cut(text, place, each or inner)
    return pieces


def _loop_start(
    text: Text, messages: Sequence[Span], read: Callable[[msgspec.Raw], Said]
) -> Generator[None, None, int]:
    """Return the number of the first message of the open tool loop; how many messages there are
    where no tool's results are being sent.
    """
    at = len(messages)
    if not messages or read(text.raw(messages[-1])) is not Said.RESULT:
        return at
    while at and read(text.raw(messages[at - 1])) is not Said.ASKED:
        at -= 1
        if not at % _AT_ONCE:
            yield
    return at

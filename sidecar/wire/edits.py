"""Finds the places in a request body that have to be written otherwise, and nothing else. Pure.

The body is not decoded: msgspec or `wire.outline` say where the members of an object stand, and
only those objects and arrays are gone into that a path leads through. Of an array only those
elements are gone into in which a change's word stands at all, which a search in the bytes tells.
Others go on wherever these functions yield.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Generator, Sequence
from typing import Final, NamedTuple, final

import msgspec

from sidecar.domain.call import BodyFacts, Edit
from sidecar.wire.body import AT_ONCE_BYTES
from sidecar.wire.changes import EACH, Action, Change, Path
from sidecar.wire.places import Member, Span, Text, cuts_of

_PLAIN_BYTES: Final = 1024
"""No value that is compared is longer."""
_ESCAPED_LETTER: Final = re.compile(rb"\\u00(?:[67]|5[fF]|2[eE])")
"""The beginning of the escape of a small letter, a low line or a dot. Nobody writes one so; where
somebody does, a search for a word proves nothing.
"""
_UNREADABLE: Final = object()
_MISSING: Final = object()


class _Step(NamedTuple):
    """A change, as far as its path has been followed."""

    number: int
    path: Path
    """What is left of it."""


def with_changes(
    body: bytes, facts: BodyFacts, changes: Sequence[Change]
) -> Generator[None, None, BodyFacts | None]:
    """Return a body's facts with the edits by which ``changes`` are made, and with the names of all
    but additions as `BodyFacts.lost`; None where there is nothing to change, or more than can be
    looked through.

    Args: ``facts`` are what `Dialect.peek` returned for this very body.
    Raises: nothing.
    """
    finder = _Finder(body, changes)
    edits = yield from finder.find(facts.edits)
    if not finder.made or finder.text.is_exhausted:
        return None
    shown = [
        each.shown
        for at, each in enumerate(changes)
        if at in finder.made and each.action is not Action.ADD
    ]
    return dataclasses.replace(
        facts,
        edits=tuple(sorted(edits)),
        is_empty_object=finder.is_empty,
        lost=", ".join(dict.fromkeys(filter(None, (facts.lost, *shown)))),
    )


@final
class _Finder:
    """Finds the edits of one body."""

    def __init__(self, body: bytes, changes: Sequence[Change]) -> None:
        self.text: Final = Text(body, AT_ONCE_BYTES)
        self.made: Final[set[int]] = set()
        """Numbers of the changes for which there was something to change."""
        self.is_empty = False
        """Whether nothing is left between the outermost braces."""
        self._body: Final = body
        self._changes: Final = changes
        self._words: Final = _words_of(body, changes)
        self._members: list[Member] = []
        """Of the outermost object."""

    def find(self, before: Sequence[Edit]) -> Generator[None, None, list[Edit]]:
        """Return all edits, those that were to be made ``before`` included."""
        self._members = members = yield from self._members_of((0, len(self._body)))
        is_cut = [
            any(start <= each.value[0] < end and not text for start, end, text in before)
            for each in members
        ]
        steps = [_Step(at, each.path) for at, each in enumerate(self._changes)]
        edits = yield from self._edits_in(members, is_cut, steps)
        self.is_empty = all(is_cut)
        edits += self._added(is_cut)
        return [*edits, *(edit for edit in before if edit[2])]

    def _edits_in(
        self, members: Sequence[Member], is_cut: list[bool], steps: Sequence[_Step]
    ) -> Generator[None, None, list[Edit]]:
        """Return the edits within one object; mark in ``is_cut`` which of its members go."""
        by_name: dict[bytes, list[int]] = {}
        for at, member in enumerate(members):
            by_name.setdefault(_plain_name(member.name), []).append(at)
        own: dict[int, list[Edit]] = {}
        deeper: dict[int, list[_Step]] = {}
        for number, path in steps:
            found = by_name.get(path[0], [])
            if len(path) > 1:
                for at in found:
                    deeper.setdefault(at, []).append(_Step(number, path[1:]))
            elif found and self._is_meant(number, members[found[-1]].value):
                self.made.add(number)
                cut, edit = _made(self._changes[number], members, found, by_name)
                for at in cut:
                    is_cut[at] = True
                others = own.setdefault(found[-1], [])
                if edit is not None and all(edit[0] != other[0] for other in others):
                    others.append(edit)
        for at, inner in deeper.items():
            if not is_cut[at] and not own.get(at):
                within = yield from self._edits_within(members[at].value, inner)
                is_cut[at] = within is None
                own[at] = within or []
        cuts = cuts_of([each.span for each in members], is_cut)
        kept = [edit for at, edits in own.items() if not is_cut[at] for edit in edits]
        return [*kept, *((start, end, b"") for start, end in cuts)]

    def _edits_within(
        self, place: Span, steps: Sequence[_Step]
    ) -> Generator[None, None, list[Edit] | None]:
        """Return the edits within a value; None where they leave an object without members, which
        then goes as a whole.
        """
        each = [_Step(number, path[1:]) for number, path in steps if path[0] == EACH]
        named = [step for step in steps if step.path[0] != EACH]
        edits: list[Edit] = []
        if self._stand_in(place, each):
            edits += yield from self._edits_in_array(place, each)
        members: list[Member] = []
        if named:
            members = yield from self._members_of(place)
        if not members:
            return edits
        is_cut = [False] * len(members)
        edits += yield from self._edits_in(members, is_cut, named)
        return None if all(is_cut) else edits

    def _edits_in_array(
        self, array: Span, steps: Sequence[_Step]
    ) -> Generator[None, None, list[Edit]]:
        if array[1] - array[0] <= AT_ONCE_BYTES:
            places = self.text.elements(array)
        else:
            places = yield from self.text.elements_in_steps(array)
        edits: list[Edit] = []
        is_cut = [False] * len(places)
        for at, place in enumerate(places):
            inner = []
            for step in self._stand_in(place, steps):
                if step.path:
                    inner.append(step)
                elif self._is_meant(step.number, place):
                    self.made.add(step.number)
                    is_cut[at] = True
            if inner and not is_cut[at]:
                yield
                within = yield from self._edits_within(place, inner)
                is_cut[at] = within is None
                edits += within or ()
        return [*edits, *((start, end, b"") for start, end in cuts_of(places, is_cut))]

    def _stand_in(self, place: Span, steps: Sequence[_Step]) -> list[_Step]:
        """Return those changes whose words stand in a place at all, in whatever role."""
        find, words = self._body.find, self._words
        return [
            step
            for step in steps
            if (word := words[step.number]) is None or find(word, *place) >= 0
        ]

    def _is_meant(self, number: int, place: Span) -> bool:
        """Return whether a change is made of the value at a place."""
        change = self._changes[number]
        path = change.where.path
        value = self._value_of(path) if path else self._plain_at(place)
        if change.action is Action.ADD or value is _MISSING or not change.where.matches(value):
            return False
        if change.action is not Action.AT_MOST:
            return True
        size = self._plain_at(place)
        return isinstance(size, int | float) and size > change.most

    def _added(self, is_cut: Sequence[bool]) -> list[Edit]:
        """Return what adds members behind the last one that stays."""
        edits: list[Edit] = []
        there = {_plain_name(each.name) for each in self._members}
        ends = [each.span[1] for each, cut in zip(self._members, is_cut, strict=True) if not cut]
        for at, change in enumerate(self._changes):
            if change.action is Action.ADD and ends and change.path[0] not in there:
                self.made.add(at)
                edits.append((ends[-1], ends[-1], b',"%b":%b' % (change.path[0], change.text)))
        return edits

    def _value_of(self, path: Path) -> object:
        """Return the plain value that a path from the outermost object leads to."""
        members, place = self._members, (0, 0)
        for name in path:
            found = [each.value for each in members if _plain_name(each.name) == name]
            if not found:
                return _MISSING
            place = found[-1]
            members = self.text.members(place) if len(path) > 1 else []
        return self._plain_at(place)

    def _plain_at(self, place: Span) -> object:
        """Return the text, number or word at a place, or `_UNREADABLE`."""
        start, end = place
        if end - start > _PLAIN_BYTES or self._body[start : start + 1] in (b"{", b"["):
            return _UNREADABLE
        try:
            return msgspec.json.decode(self._body[start:end])
        except ValueError:
            return _UNREADABLE

    def _members_of(self, place: Span) -> Generator[None, None, list[Member]]:
        if place[1] - place[0] <= AT_ONCE_BYTES:
            return self.text.members(place)
        return (yield from self.text.members_in_steps(place))


def _made(
    change: Change, members: Sequence[Member], found: list[int], by_name: dict[bytes, list[int]]
) -> tuple[list[int], Edit | None]:
    """Return which members of one name go, and how the last one is written otherwise: of several of
    one name that is the one which every reader takes.
    """
    last = members[found[-1]]
    if change.action is Action.DROP or (change.action is Action.RENAME and change.text in by_name):
        return found, None
    if change.action is Action.RENAME:
        start = last.span[0]
        return found[:-1], (start, start + len(last.name) + 2, b'"%b"' % change.text)
    text = change.text if change.action is Action.REPLACE else b"%d" % change.most
    return [], (*last.value, text)


def _words_of(body: bytes, changes: Sequence[Change]) -> list[bytes | None]:
    """Return, for each change, what stands in a body where there is something to change; None where
    an escape may stand for it.
    """
    if any(EACH in each.path for each in changes) and _ESCAPED_LETTER.search(body) is not None:
        return [None] * len(changes)
    words: list[bytes | None] = []
    for change in changes:
        only = () if change.where.path else (change.where.only or ())
        is_text = len(only) == 1 and isinstance(only[0], str)
        word = str(only[0]).encode() if is_text else change.path[-1]
        words.append(b'"%b"' % word)
    return words


def _plain_name(name: bytes) -> bytes:
    """Return a member's name without escapes; as it stands where one is half a character."""
    if b"\\" not in name:
        return name
    try:
        return msgspec.json.decode(b'"%b"' % name, type=str).encode()
    except ValueError:
        return name

"""How a request is read, whatever its API: members by the table of fields, values by their types,
long bodies in steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from sidecar.domain.call import DialectName
from sidecar.domain.errors import InvalidBody
from sidecar.translate.fields import TABLES, WORD_BYTES, Fate, ObjectKind, spelled
from sidecar.translate.losses import Feature, Loss, Weight
from sidecar.translate.pacing import SideSize, check_count
from sidecar.translate.raw_json import (
    Json,
    Members,
    as_flag,
    as_integer,
    as_list,
    as_number,
    as_object,
    as_objects,
    as_text,
    as_texts,
    is_null,
    is_text,
    json_text,
    leniently,
)
from sidecar.wire.body import AT_ONCE_BYTES
from sidecar.wire.outline import ELEMENTS_AT_MOST, Outline

_T = TypeVar("_T")

_LONG: Final = frozenset(("messages", "input", "tools", "functions", "system"))
"""Members that may be longer than can be read at once; so may texts."""
_TEXTS_BYTES: Final = 64 * 1024
"""A list of words is no longer."""
_LOSSES_AT_MOST: Final = 64
"""Names of losses that are told. Those beyond it are told as ``unknown``."""
_UNKNOWN: Final = "unknown"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""Unknown names come from the caller, and go into a header."""
_NO_FATES: Final[Mapping[str, Fate]] = {}


class _Findings(msgspec.Struct):
    """What was found beside what is carried."""

    losses: dict[str, Weight] = {}
    features: set[Feature] = set()
    spelled: set[str] = set()
    shared: list[tuple[str, str]] = []


class _LongBody(msgspec.Struct):
    """A body whose members are found by their places."""

    body: bytes
    places: dict[str, tuple[int, int]]


class Reading:
    """Reads one request, and notes what is lost by reading it."""

    def __init__(self, source: DialectName) -> None:
        self._table = TABLES[source]
        self._found = _Findings()
        self._long: _LongBody | None = None
        self._elements_left = ELEMENTS_AT_MOST
        """How many messages and parts may be read."""
        self.at = ""
        """Where the reading is, for errors: ``messages[3]``."""

    @property
    def features(self) -> set[Feature]:
        """What the request asks for that not every target can take."""
        return self._found.features

    @property
    def spelled(self) -> set[str]:
        """The names of the members, and of the marks for caching, that the request has."""
        return self._found.spelled

    @property
    def shared(self) -> list[tuple[str, str]]:
        """Members that are carried as they are between the APIs that have them."""
        return self._found.shared

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What was lost so far, in the order in which it was met."""
        return tuple([Loss(name, weight) for name, weight in self._found.losses.items()])

    def lose(self, name: str, weight: Weight) -> None:
        """Note a loss, once by its name, as grave as it ever was."""
        if name not in self._found.losses and len(self._found.losses) >= _LOSSES_AT_MOST:
            name = _UNKNOWN
        self._found.losses[name] = max(weight, self._found.losses.get(name, weight))

    def kind(self, path: str) -> ObjectKind:
        """Return the fields of the objects at a path of the table."""
        return self._table.kinds[path]

    def top(self, body: bytes) -> Generator[None, None, Members]:
        """Return the members of a body. Others go on wherever this yields. Raises: InvalidBody."""
        if len(body) <= AT_ONCE_BYTES:
            found = self.members(msgspec.Raw(body), self.kind(""))
            self.spelled.update(found)
            return found
        outline = Outline(body)
        while not outline.advance():
            yield
        view = memoryview(body)
        places = {
            self.text_of(view[start - 1 : end + 1]): value
            for _, (start, end), value in outline.members
        }
        self._long = _LongBody(body, places)
        members: Members = {name: view[slice(*place)] for name, place in places.items()}
        texts = SideSize()
        for name, raw in members.items():
            if is_text(raw) or name == "system":
                texts.add(raw, is_assistant=False)
            elif name not in _LONG and len(raw) > AT_ONCE_BYTES:
                raise InvalidBody(f"'{name}' is too long", param=name)
        self._note(members, self.kind(""))
        self.spelled.update(members)
        return members

    def object(self, raw: Json) -> dict[str, msgspec.Raw]:
        """Return the members of an object. Raises: InvalidBody."""
        return self._decoded(as_object, raw, "an object")

    def members(self, raw: Json, kind: ObjectKind) -> dict[str, msgspec.Raw]:
        """Return the members of an object, and note those that are lost. Raises: InvalidBody."""
        members = self.object(raw)
        self.check(members, kind)
        return members

    def labelled(
        self, path: str, raw: Json, usual: str = ""
    ) -> tuple[str, dict[str, msgspec.Raw]] | None:
        """Do as `known`, with an object as it stands in the body."""
        return self.known(path, self.object(raw), usual)

    def known(
        self, path: str, members: dict[str, msgspec.Raw], usual: str = ""
    ) -> tuple[str, dict[str, msgspec.Raw]] | None:
        """Return the ``type`` of an object that stands in a field, and its members; None where no
        target takes such an object. What is lost is noted. Raises: InvalidBody.

        Args: ``usual`` is the type of an object that does not name one.
        """
        label = self.text(members, "type") or usual
        kind = self._table.kinds.get(f"{path}[{label}]")
        if kind is None:
            self._lose_kind(path, label)
            return None
        self.check(members, kind)
        return label, members

    def inside(self, path: str, label: str, members: Members) -> dict[str, msgspec.Raw]:
        """Return the members of the object that stands under the ``type`` of one which `known` has
        found at the path. Raises: InvalidBody.
        """
        raw = members.get(label)
        if raw is None:
            raise self.wrong(label, "an object")
        return self.members(raw, self.kind(f"{path}[{label}].{label}"))

    def check(self, members: Members, kind: ObjectKind) -> None:
        """Note which members of an object are lost."""
        if not members.keys() <= kind.kept:
            self._note(members, kind)

    def _note(self, members: Members, kind: ObjectKind) -> None:
        for name, raw in members.items():
            if name in kind.kept or is_null(raw):
                continue
            fate = kind.fates.get(name)
            before = f"{kind.spelled}." if kind.spelled else ""
            if fate is None:
                named = name if _NAME.fullmatch(name) else _UNKNOWN
                self.lose(before + named, Weight.AVOIDABLE)
            elif fate.is_shared:
                self.shared.append((name, json_text(raw)))
            elif len(raw) > WORD_BYTES or not fate.is_harmless(bytes(raw)):
                assert fate.weight is not None  # what is not kept has one
                self.lose(before + name, fate.weight)

    def _lose_kind(self, path: str, label: str) -> None:
        """Note the loss of an object."""
        fate = self._table.labels.get(path, _NO_FATES).get(label)
        weight = Weight.AVOIDABLE if fate is None or fate.weight is None else fate.weight
        named = label if fate is not None or _NAME.fullmatch(label) else _UNKNOWN
        self.lose(f"{spelled(path)}.{named}", weight)

    def elements(self, raw: Json, name: str) -> Generator[None, None, Iterable[Json]]:
        """Return the elements of an array; others go on wherever this yields. Raises: InvalidBody.

        Args: ``name`` is the array's, a member of the body.
        """
        self.at = name
        if len(raw) <= AT_ONCE_BYTES:
            return self._decoded(as_list, raw, "a list")
        assert self._long is not None  # nothing in a short body is longer
        outline = Outline(self._long.body, self._long.places[name])
        while not outline.advance():
            yield
        view = memoryview(self._long.body)
        return (view[slice(*element.value)] for element in outline.members)

    def list_of(self, raw: Json) -> list[msgspec.Raw]:
        """Return the elements of an array. Raises: InvalidBody."""
        found = self._decoded(as_list, raw, "a list")
        check_count(len(found))
        return found

    def objects_of(self, raw: Json) -> list[dict[str, msgspec.Raw]]:
        """Return the members of each object in an array. Raises: InvalidBody."""
        found = self._decoded(as_objects, raw, "a list of objects")
        check_count(len(found))
        self._elements_left -= len(found)
        if self._elements_left < 0:
            raise InvalidBody(f"the body has more than {ELEMENTS_AT_MOST} messages and parts")
        return found

    def _decoded(self, decode: Callable[[bytes], _T], raw: Json, wanted: str) -> _T:
        """Return a value of the type that ``decode`` knows, lone halves of characters replaced.

        Raises: InvalidBody.
        """
        value = leniently(decode, raw)
        if value is None:
            raise self.wrong("", wanted)
        return value

    def wrong(self, name: str, wanted: str) -> InvalidBody:
        """Return the error of a value that is not what it should be."""
        param = f"{self.at}.{name}".strip(".")
        return InvalidBody(
            f"'{param}' must be {wanted}" if param else f"the body must be {wanted}",
            param=param or None,
        )

    def text_of(self, raw: Json) -> str:
        """Return a text. Raises: InvalidBody."""
        return self._decoded(as_text, raw, "a string")

    def text(self, members: Members, name: str) -> str | None:
        """Return a member that is a text; None where there is none. Raises: InvalidBody."""
        return self._value(as_text, members, name, "a string")

    def needed_text(self, members: Members, name: str) -> str:
        """Return a member that is a text. Raises: InvalidBody, also where there is none."""
        value = self.text(members, name)
        if value is None:
            raise self.wrong(name, "a string")
        return value

    def texts(self, members: Members, name: str) -> tuple[str, ...]:
        """Return a member that is a text or a list of texts. Raises: InvalidBody."""
        if len(members.get(name, b"")) > _TEXTS_BYTES:
            raise self.wrong(name, "shorter")
        value = self._value(as_texts, members, name, "a string or a list of strings")
        return () if value is None else (value,) if isinstance(value, str) else tuple(value)

    def integer(self, members: Members, name: str) -> int | None:
        """Return a member that is a whole number of at least 0. Raises: InvalidBody."""
        value = self._value(as_integer, members, name, "a whole number")
        if value is not None and value < 0:
            raise self.wrong(name, "at least 0")
        return value

    def number(self, members: Members, name: str) -> float | None:
        """Return a member that is a number. Raises: InvalidBody."""
        return self._value(as_number, members, name, "a number")

    def flag(self, members: Members, name: str) -> bool | None:
        """Return a member that is true or false. Raises: InvalidBody."""
        return self._value(as_flag, members, name, "true or false")

    def _value(
        self, decode: Callable[[bytes], _T], members: Members, name: str, wanted: str
    ) -> _T | None:
        raw = members.get(name)
        if raw is None or is_null(raw):
            return None
        value = leniently(decode, raw)
        if value is None:
            raise self.wrong(name, wanted)
        return value

"""All that is wrong with a config, each with its place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

Path = tuple[str | int, ...]
"""Keys and list indices from the root, as they stand in the file."""

_PLAIN_KEY: Final = re.compile(r"[\w$*/~@+-][\w$*/~@+. -]*", re.ASCII)
_QUOTED_AT_MOST: Final = 80
T = TypeVar("T")


class Place(msgspec.Struct, frozen=True):
    """The line of a value, and its text before expansion, which alone a message may repeat."""

    line: int
    written: str | None = None
    is_from_outside: bool = False
    """Whether some of the text after expansion came out of a file or a variable."""


class Report:
    """Collects problems and warnings. Messages quote what is written in the file, never what it
    expands to.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._places: dict[Path, Place] = {}
        self._kept: dict[Path, tuple[int, ...]] = {}
        self._incomplete: set[Path] = set()
        self._faulty: set[Path] = set()
        self._problems: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []

    @property
    def problems(self) -> list[str]:
        """``FILE:LINE: path: message``, by line."""
        return [text for _, text in sorted(self._problems, key=_line_of)]

    @property
    def warnings(self) -> list[str]:
        """``FILE:LINE: path: message`` for what is accepted all the same, by line."""
        return [text for _, text in sorted(self._warnings, key=_line_of)]

    @property
    def given(self) -> Iterable[Path]:
        """The path of every value that the file holds, in file order."""
        return self._places.keys()

    def note_place(self, path: Path, place: Place) -> None:
        """Remember the place of ``path``."""
        self._places[path] = place

    def note_kept(self, path: Path, indices: Sequence[int], *, of: int) -> None:
        """Remember which items of a list were usable, so that `entries` can give each its index in
        the file.
        """
        self._kept[path] = tuple(indices)
        if len(indices) < of:
            self._incomplete.add(path)

    def note_expanded(self, path: Path, *, is_from_outside: bool) -> None:
        """Remember whether some of the text of ``path`` came out of a file or a variable."""
        if is_from_outside:
            place = self._places.get(path, Place(self.line_of(path)))
            self._places[path] = msgspec.structs.replace(place, is_from_outside=True)

    def is_from_outside(self, path: Path) -> bool:
        """Whether some of the text of ``path`` came out of a file or a variable."""
        place = self._places.get(path)
        return place is not None and place.is_from_outside

    def is_complete(self, path: Path) -> bool:
        """Whether no item of this list was dropped as unusable."""
        return path not in self._incomplete

    def entries(self, path: Path, items: Iterable[T]) -> Iterator[tuple[Path, T]]:
        """The usable items of a list, each with its path in the file."""
        kept = self._kept.get(path, ())
        for position, item in enumerate(items):
            yield (*path, kept[position] if position < len(kept) else position), item

    def problem(self, path: Path, message: str, *, line: int | None = None) -> None:
        """Report something that keeps the config from being used."""
        self._faulty.add(path)
        self._problems.append(self._located(path, message, line))

    def is_faulty(self, path: Path) -> bool:
        """Whether a problem of this very value was reported."""
        return path in self._faulty

    def warn(self, path: Path, message: str) -> None:
        """Report something that the operator should know."""
        self._warnings.append(self._located(path, message, None))

    def line_of(self, path: Path) -> int:
        """Return the line of ``path``, or of the nearest thing around it that is in the file."""
        while path and path not in self._places:
            path = path[:-1]
        place = self._places.get(path)
        return 1 if place is None else place.line

    def quoted(self, path: Path) -> str:
        """Return what is written at ``path``, in quotes."""
        place = self._places.get(path)
        return quote("" if place is None else place.written or "")

    def _located(self, path: Path, message: str, line: int | None) -> tuple[int, str]:
        line = self.line_of(path) if line is None else line
        where = f"{self._file}:{line}: "
        return line, f"{where}{spell(path)}: {message}" if path else f"{where}{message}"


def spell(path: Path) -> str:
    """Return a path in one line for people: ``model_providers[0].access_key``."""
    parts: list[str] = []
    for key in path:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        else:
            parts.append(
                f"{'.' if parts else ''}{key if _PLAIN_KEY.fullmatch(key) else quote(key)}"
            )
    return "".join(parts)


def pattern_of(path: Path) -> str:
    """Return what all paths of one kind have in common: ``model_providers[].access_key``."""
    parts = ["[]" if isinstance(key, int) else f".{key}" for key in path]
    return "".join(parts).removeprefix(".")


def quote(text: str) -> str:
    """Return a text from the file in quotes, in one line, and shortened if it is long."""
    return repr(text if len(text) <= _QUOTED_AT_MOST else text[: _QUOTED_AT_MOST - 3] + "...")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known word, or nothing where none is near."""
    import difflib  # 130 KiB, for a config with a mistake

    near = difflib.get_close_matches(word[:_QUOTED_AT_MOST], list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _line_of(entry: tuple[int, str]) -> int:
    return entry[0]

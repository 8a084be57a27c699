"""The corpus as values: its lines, read and checked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

FOLDER: Final = Path(__file__).parent
Notation = str | list[str | tuple[str, int]]
"""Bytes as README.md has them written."""


class _Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of the corpus."""

    id: str
    rfc: str
    why: str


class CraftedRequest(_Case, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an app sends, and what becomes of it."""

    send: Notation
    replies: list[str]
    then: str
    received: list[Notation] = []
    eof: bool = False
    path: str = ""
    cut: bool = True

    @property
    def outcome(self) -> str:
        """One word for the summary: the error code, or that it was passed on or answered."""
        codes = [reply.split()[1] for reply in self.replies if " " in reply]
        refusals = [code for code in codes if code != "empty"]
        if refusals:
            return refusals[0]
        if self.received:
            return "passed"
        return "answered by the sidecar" if self.replies else "closed without a reply"


class CraftedAnswer(_Case, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an upstream answers, and what becomes of it."""

    ask: str
    say: list[Notation]
    ends: str
    reply: Notation
    body: Notation = ""
    whole: bool = True
    kept: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether the app gets an error of the sidecar's own."""
        return not written(self.reply).startswith(b"HTTP/")

    @property
    def outcome(self) -> str:
        """One word for the summary: the error code, or whether it was passed whole."""
        if self.is_refused:
            return written(self.reply).decode().split()[1]
        return "passed" if self.whole else "broken off"


def written(notation: Notation) -> bytes:
    """The bytes that a notation means."""
    if isinstance(notation, str):
        return notation.encode("latin-1")
    parts = (part if isinstance(part, str) else part[0] * part[1] for part in notation)
    return "".join(parts).encode("latin-1")


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The data in pieces, some of them empty; places are anywhere."""
    edges = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in itertools.pairwise([0, *edges, len(data)])]


def read_requests() -> list[CraftedRequest]:
    """All crafted requests, in the order of files and lines."""
    return [msgspec.json.decode(line, type=CraftedRequest) for line in _lines("requests")]


def read_answers() -> list[CraftedAnswer]:
    """All crafted answers, in the order of files and lines."""
    return [msgspec.json.decode(line, type=CraftedAnswer) for line in _lines("answers")]


def _lines(kind: str) -> list[str]:
    files = sorted((FOLDER / kind).glob("*.jsonl"))
    return [line for file in files for line in file.read_text().splitlines() if line]


def by_id(cases: list[Any]) -> list[str]:
    """The names of cases, for pytest."""
    return [case.id for case in cases]

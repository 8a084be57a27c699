"""How a reason is recognised in what an error body says. Pure."""

from __future__ import annotations

import re

import msgspec

from sidecar.upstream.error_body import ErrorBody, normalized


class Wording(msgspec.Struct, frozen=True):
    """How providers word one reason."""

    codes: frozenset[str] = frozenset()
    openings: re.Pattern[str] | None = None
    """Beginnings of messages."""
    phrases: tuple[str, ...] = ()
    """Texts anywhere in messages."""
    patterns: tuple[re.Pattern[str], ...] = ()
    """As phrases, with parts that differ. Each is bounded: a search takes time in proportion to the
    text.
    """
    pairs: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ()
    """Two patterns that both stand somewhere in the messages."""

    def is_in(self, error: ErrorBody) -> bool:
        """Return whether an error body gives this reason."""
        if not self.codes.isdisjoint(error.codes):
            return True
        if self.openings and any(map(self.openings.match, error.openings)):
            return True
        text = error.text
        if any(phrase in text for phrase in self.phrases):
            return True
        if any(pattern.search(text) for pattern in self.patterns):
            return True
        return any(one.search(text) and two.search(text) for one, two in self.pairs)


def codes(*names: str) -> frozenset[str]:
    """Return codes that are written several to a text."""
    return frozenset(" ".join(names).split())


def openings(*beginnings: str) -> re.Pattern[str]:
    """Compile regular expressions for beginnings of normalized messages; `@` stands for a name,
    which may be the caller's.
    """
    return re.compile("|".join(beginnings).replace("@", r"\S{1,200}"))


def phrases(*texts: str) -> tuple[str, ...]:
    """Return texts as they stand in normalized messages."""
    return tuple(map(normalized, texts))


def patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    """Compile regular expressions for parts of normalized messages."""
    return tuple(map(re.compile, sources))


def pair(one: str, two: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile two regular expressions that are looked for in the same messages."""
    return re.compile(one), re.compile(two)

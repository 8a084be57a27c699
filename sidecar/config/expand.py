"""``$VAR``, ``${VAR}``, ``${VAR:-default}``, ``${file:/path}`` and ``$$`` in one scalar, in one
pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from sidecar.runtime.file_watch import FileReader

_REFERENCE: Final = re.compile(
    r"\$(?:\$|\{(?P<braced>[^{}]*)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|(?P<open>\{))"
)
"""A dollar sign before anything else means itself: descriptions hold prices."""
_BRACED: Final = re.compile(
    r"file:(?P<file>.+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL
)
_FINAL_NEWLINE: Final = re.compile(r"\r?\n\Z")
_GRAMMAR: Final = (
    "${...} must be ${VAR}, ${VAR:-default} or ${file:/path}; write $$ for a dollar sign"
)
_LONE_DOLLAR: Final = (
    "what follows a dollar sign names no environment variable; a dollar sign itself is written $$"
)
"""Without the name, which may be part of a password."""
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")


class Expanded(msgspec.Struct, frozen=True):
    """A scalar's text after expansion."""

    text: str
    is_changed: bool = False
    """Whether anything was expanded: then its type follows from what its key needs."""
    files: tuple[Path, ...] = ()
    """Those that some of the text came out of."""
    is_from_outside: bool = False
    """Whether some of the text came out of a file or an environment variable: then it is not to be
    shown.
    """
    problems: tuple[str, ...] = ()
    """What could not be expanded. They repeat names that the file holds, and never a value."""


class Expander:
    """Looks references up."""

    def __init__(
        self, environ: Mapping[str, str], folder: Path, reader: FileReader | None = None
    ) -> None:
        """Args: ``folder`` is where relative paths begin, the config file's own; ``reader`` keeps
        in mind which files were read, for a reload to watch.
        """
        self._environ = environ
        self._folder = folder
        self._reader = reader or FileReader()

    def expand(self, text: str) -> Expanded:
        """Expand every reference once. What comes out of one is never looked at again."""
        if "$" not in text:
            return Expanded(text)
        problems: list[str] = []
        files: list[Path] = []
        is_from_outside = False

        def replace(match: re.Match[str]) -> str:
            nonlocal is_from_outside
            if match[0] == "$$":
                return "$"
            braced = _BRACED.fullmatch(match["bare"] or match["braced"] or "")
            if braced is None:
                problems.append(_GRAMMAR)
                return ""
            if braced["file"] is not None:
                is_from_outside = True
                files.append(self._folder / braced["file"])
                return self._read(files[-1], braced["file"], problems)
            name = braced["name"]
            is_from_outside = is_from_outside or bool(self._environ.get(name))
            if match["bare"] and name not in self._environ and not _looks_meant(match):
                problems.append(_LONE_DOLLAR)
                return ""
            return self._look_up(name, braced["default"], problems)

        expanded, references = _REFERENCE.subn(replace, text)
        is_changed, what = references > 0, tuple(problems)
        return Expanded(expanded, is_changed, tuple(files), is_from_outside, what)

    def read_again(self, text: str) -> str | None:
        """Return what ``text`` expands to now, since files may have changed; None where one cannot
        be read any more.
        """
        expanded = self.expand(text)
        return None if expanded.problems else expanded.text

    def _look_up(self, name: str, default: str | None, problems: list[str]) -> str:
        value = self._environ.get(name)
        if default is not None and not value:
            return default
        if value is None:
            problems.append(f"environment variable {name} is not set")
            return ""
        try:
            value.encode()
        except UnicodeEncodeError:
            problems.append(f"environment variable {name} is not UTF-8")
            return ""
        return value

    def _read(self, path: Path, name: str, problems: list[str]) -> str:
        try:
            text = text_of(self._reader.read(path))
        except ValueError as error:
            problems.append(f"file {name!r} {error}")
            return ""
        return _FINAL_NEWLINE.sub("", text)


def _looks_meant(match: re.Match[str]) -> bool:
    """Return whether ``$NAME`` is likely a reference: in capitals, behind no letter or digit."""
    before = match.string[: match.start()][-1:]
    return _VARIABLE.fullmatch(match["bare"]) is not None and not before.isalnum()


def text_of(content: bytes) -> str:
    """Return a file's text.

    Raises: ValueError with a sentence that goes on after the file's name, and with none of the
        file's content.
    """
    try:
        return content.decode()
    except UnicodeDecodeError:
        # Not chained: the error's text would repeat the bytes.
        raise ValueError("is not UTF-8") from None

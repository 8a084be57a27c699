"""``$VAR``, ``${VAR}``, ``${VAR:-default}``, ``${file:/path}`` and ``$$`` in one scalar, in one
pass.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

_REFERENCE: Final = re.compile(
    r"\$(?:\$|\{(?P<braced>[^{}]*)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|(?P<open>\{))"
)
"""A dollar sign before anything else means itself: descriptions hold prices."""
_BRACED: Final = re.compile(
    r"file:(?P<file>.+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL
)
_FILE_BYTES_AT_MOST: Final = 1 << 20
"""As much as a Kubernetes Secret or ConfigMap can hold."""
_FINAL_NEWLINE: Final = re.compile(r"\r?\n\Z")
_GRAMMAR: Final = (
    "${...} must be ${VAR}, ${VAR:-default} or ${file:/path}; write $$ for a dollar sign"
)


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
    """Looks references up, and keeps the names of the files that it read, for a reload to watch."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        """Args: ``folder`` is where relative paths begin, the config file's own."""
        self._environ = environ
        self._folder = folder
        self.files: dict[Path, None] = {}

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
            is_from_outside = is_from_outside or bool(self._environ.get(braced["name"]))
            return self._look_up(braced["name"], braced["default"], problems)

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
        self.files[path] = None
        try:
            text = read_text(path, _FILE_BYTES_AT_MOST, is_regular=True)
        except ValueError as error:
            problems.append(f"file {name!r} {error}")
            return ""
        return _FINAL_NEWLINE.sub("", text)


def read_text(path: Path, at_most_bytes: int, *, is_regular: bool = False) -> str:
    """Return a file's text.

    Args: with ``is_regular`` a pipe or a device is refused instead of waited for: such a file is
        read again under a running process, where nothing may write to it any more.
    Raises: ValueError with a sentence that goes on after the file's name, and with none of the
        file's content.
    """
    content: bytes | None = None
    try:
        with open(path, "rb", opener=_open_without_waiting if is_regular else None) as file:
            if not is_regular or stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                content = file.read(at_most_bytes + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {os.strerror(error.errno or 0)}") from error
    except ValueError as error:
        raise ValueError("cannot be read: no file can have this name") from error
    if content is None:
        raise ValueError("is no regular file")
    if len(content) > at_most_bytes:
        raise ValueError(f"is larger than {at_most_bytes} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        # Not chained: the error's text would repeat the bytes.
        raise ValueError("is not UTF-8") from None


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; of a pipe that is not written to the open itself would wait for ever."""
    return os.open(path, flags | os.O_NONBLOCK)

"""Values that must not be shown, and a view of a config that shows none of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar, final

import msgspec

MASK: Final = "***"
"""What stands in the place of a secret."""
_NO_SECRETS: Final = frozenset(
    {"", "-", "dummy", "empty", "ignored", "lm-studio", "lmstudio", "n/a", "na", "no-key",
     "no-key-required", "none", "not-needed", "not-required", "notneeded", "null", "ollama",
     "sk-no-key-required", "test", "unused", "vllm", "x"}
)  # fmt: skip
"""What people write where a server wants no key, in lower case."""
_USERINFO: Final = re.compile(r"://.*@", re.DOTALL)
"""Greedy, since a password may hold an unescaped ``@`` or ``/``."""


@final
class SecretSource:
    """Where a secret came from: a value of the config that names files. Its text may hold a part of
    the secret, so that it is not printed.
    """

    __slots__ = ("_read_text", "_template", "files")

    def __init__(
        self, template: str, files: tuple[Path, ...], read_text: Callable[[str], str | None]
    ) -> None:
        """Args: ``template`` is the value as the config has it; ``read_text`` returns what it
        expands to now, and None where a file cannot be read.
        """
        self._template = template
        self._read_text = read_text
        self.files = files

    def read(self) -> str | None:
        """Return what the files hold now; None where one cannot be read. Reads the disk."""
        return self._read_text(self._template)

    def __eq__(self, other: object) -> bool:
        """Whether both are the same value of the same files."""
        return (
            isinstance(other, SecretSource)
            and self._template == other._template
            and self.files == other.files
        )

    def __hash__(self) -> int:
        return hash((self._template, self.files))


def is_no_secret(text: str) -> bool:
    """Return whether a key is what people write where none is wanted."""
    return text.lower().removeprefix("bearer ").strip() in _NO_SECRETS


class Secret:
    """A text that every ordinary way of printing shows as ``***``. Only `reveal` gives it out."""

    __slots__ = ("_text", "source")

    def __init__(self, text: str, source: SecretSource | None = None) -> None:
        """Args: ``source`` is where the text was read; None where no file had a part of it."""
        self._text = text
        self.source = source

    def reveal(self) -> str:
        """Return the text itself: for a header or a password prompt, never for a message."""
        return self._text

    def renewed(self, read: Callable[[SecretSource], str | None] = SecretSource.read) -> Secret:
        """Return the secret that its files hold now: this one where that is the same, or there is
        no file; an empty one where a file cannot be read.

        Reads the disk, unless ``read`` does not: not for the loop's thread.
        """
        if self.source is None:
            return self
        text = read(self.source) or ""
        return self if text == self._text else Secret(text, self.source)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        """Whether there is any text."""
        return bool(self._text)

    def __reduce__(self) -> str:
        # A pickle or a deep copy would hold the text in the clear.
        raise TypeError("a Secret cannot be pickled or copied")


class ExpandedText(str):
    """A text that came, wholly or in part, out of a file or an environment variable. Most of them
    are secrets: it is masked.

    It lives until the config is checked: `plain` takes its place, since JSON encoders take no
    subclass of a text.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


def redacted(config: msgspec.Struct) -> dict[str, Any]:
    """Return a config as plain JSON values under its YAML keys, for people to look at.

    Masked are: every `Secret` (keys, passwords, header values, Redis URLs), every text out of a
    file or an environment variable, and the user info and query of every URL.
    """
    shown = {key: _shown(getattr(config, name)) for key, name in keys_of(config)}
    return {key: value for key, value in shown.items() if value is not None}


def keys_of(config: msgspec.Struct) -> Iterable[tuple[str, str]]:
    """Return YAML key and attribute of each field. `msgspec.structs.fields` would read their types
    too, which takes a thousand times as long.
    """
    return zip(config.__struct_encode_fields__, config.__struct_fields__, strict=True)


_Value = TypeVar("_Value")


def plain(value: _Value) -> _Value:
    """Return a config, or a part of one, in which every text is an ordinary one."""
    made: Any = value
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        made = msgspec.structs.replace(
            value, **{name: plain(getattr(value, name)) for name in names}
        )
    elif isinstance(value, dict):
        made = {key: plain(item) for key, item in value.items()}
    elif isinstance(value, tuple):
        made = tuple(plain(item) for item in value)
    elif isinstance(value, ExpandedText):
        made = str(value)
    result: _Value = made
    return result


def _shown(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return redacted(value)
    if isinstance(value, dict):
        return {str(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if isinstance(value, Secret | ExpandedText):
        return MASK
    if isinstance(value, str) and "://" in value:
        return _without_userinfo(value)
    return value


def _without_userinfo(url: str) -> str:
    plain, query, _ = _USERINFO.sub(f"://{MASK}@", url).partition("?")
    return f"{plain}?{MASK}" if query else plain

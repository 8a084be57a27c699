"""What differs between two configs, in lines for people, and what of it needs a restart. Pure.

A value is shown as `secret.redacted` shows it; of one that is masked a line says only that it has
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from sidecar.config.load import LoadedConfig
from sidecar.config.report import Path, quote, spell
from sidecar.config.secret import MASK, keys_of

_SHOWN_AT_MOST: Final = 60
"""Characters of a value in a line."""
_NAME_AT_MOST: Final = 80
_NEEDS_RESTART: Final[tuple[Path, ...]] = (
    ("listeners", 0, "address"),
    ("listeners", 0, "port"),
    ("admin", "address"),
    ("admin", "port"),
    ("admin", "operator_address"),
    ("routing", "session_cache", "type"),
    ("routing", "session_cache", "url"),
    ("routing", "session_cache", "username"),
    ("routing", "session_cache", "password"),
    ("routing", "session_cache", "tls"),
    ("routing", "session_cache", "key_prefix"),
    ("routing", "session_cache", "near_cache"),
    ("logging", "format"),
)
"""Keys that are read once, when the process starts, with all that is below them."""
_TRACING: Final[Path] = ("tracing",)


class Changes(msgspec.Struct, frozen=True):
    """What differs between two configs."""

    lines: tuple[str, ...] = ()
    """``+ model x``, ``- route y``, ``~ route z: models [a, b] -> [b]``. Those of one kind stand
    together, in the order of the new config; what is gone stands first.
    """
    restart: tuple[str, ...] = ()
    """Those of the changes that take effect when the process starts again, such as
    ``admin.port 9901 -> 9902``.
    """


class _Leaf(msgspec.Struct, frozen=True):
    """One value of a config, and how it is shown."""

    value: Any
    shown: Any


_Subject = tuple[str, str]
"""Kind and name of what a line is about; both empty for a key that belongs to no entry."""
_Part = tuple[Path, Any, Any]
"""Where a part of the config stands within its subject, its value, and how that is shown."""
_Leaves = dict[Path, _Leaf]


class _Kind(msgspec.Struct, frozen=True):
    """A part of the config that holds named entries."""

    key: str
    word: str
    name: Callable[[Any], str]
    """Takes an entry; for a mapping, its key."""


_KINDS: Final = (
    _Kind("model_providers", "model", lambda entry: entry.name or entry.model),
    _Kind("model_aliases", "alias", str),
    _Kind("routing_preferences", "route", lambda entry: entry.name),
    _Kind("model_metrics_sources", "source", lambda entry: f"{entry.type} {entry.provider}"),
    _Kind("passthrough", "path", lambda entry: entry.path),
)


def changes_between(old: LoadedConfig, new: LoadedConfig) -> Changes:
    """Return what ``new`` has otherwise than ``old``, which serves now. Every key is compared.

    An entry that is left out, since it is optional and its key is missing, counts as one of another
    name: a line tells when it comes back.
    """
    before, after = _subjects(old), _subjects(new)
    lines = [f"- {_spelled(subject)}" for subject in before if subject not in after]
    restart: list[str] = []
    for subject, parts in after.items():
        former = before.get(subject)
        if former is None:
            lines.append(f"+ {_spelled(subject)}")
            continue
        differing = list(_differing(former, parts))
        if subject != _REST:
            if differing:
                texts = ", ".join(text for _, text in differing)
                lines.append(f"~ {_spelled(subject)}: {texts}")
            continue
        lines += [f"~ {text}" for _, text in differing]
        restart += [text for path, text in differing if _needs_restart(path, old, new)]
    lines += _reordered(before, after)
    return Changes(tuple(lines), tuple(restart))


_REST: Final[_Subject] = ("", "")


def _subjects(loaded: LoadedConfig) -> dict[_Subject, list[_Part]]:
    """Return every named entry, and at the end all other keys as one subject."""
    config, found = loaded.config, dict[_Subject, list[_Part]]()
    served = {each.name for each in loaded.providers}
    for kind in _KINDS:
        for name, value, shown in _entries(kind, getattr(config, kind.key), loaded.shown):
            is_left_out = kind.key == "model_providers" and name not in served
            word = f"left-out {kind.word}" if is_left_out else kind.word
            parts = found.setdefault((word, name), [])
            # Where two have one name, which only sources and paths may, they are one subject.
            parts.append(((len(parts),) if parts else (), value, shown))
    entries = {kind.key for kind in _KINDS}
    rest = found[_REST] = []
    for key, name in keys_of(config):
        if key not in entries:
            rest.append(((key,), getattr(config, name), loaded.shown.get(key)))
    return found


def _entries(kind: _Kind, entries: Any, shown: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - a list or a mapping of structs
    """Yield name, value and shown value of each entry of one kind."""
    if isinstance(entries, dict):
        for name, value in entries.items():
            yield name, value, _member(shown.get(kind.key), name)
    else:
        for index, value in enumerate(entries):
            its = _member(shown.get(kind.key), index)
            is_masked = kind.key == "passthrough" and its["path"] == MASK
            yield MASK if is_masked else kind.name(value), value, its


def _leaves(value: Any, shown: Any, path: Path) -> Iterator[tuple[Path, _Leaf]]:  # noqa: ANN401 - any part of a config
    """Yield every value below a part of a config, with its path; what is unset has none."""
    below: Iterable[tuple[str | int, Any]]
    if isinstance(value, msgspec.Struct):
        below = [(key, getattr(value, name)) for key, name in keys_of(value)]
    elif isinstance(value, dict):
        below = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, tuple) and any(isinstance(each, msgspec.Struct) for each in value):
        below = list(enumerate(value))
    else:
        if value is not None:
            yield path, _Leaf(value, shown)
        return
    for key, each in below:
        yield from _leaves(each, _member(shown, key), (*path, key))


def _member(shown: Any, key: str | int) -> Any:  # noqa: ANN401 - JSON
    """Return a member of what is shown; None where it is not shown."""
    if isinstance(shown, dict):
        return shown.get(key)
    is_there = isinstance(shown, list) and isinstance(key, int) and key < len(shown)
    return shown[key] if is_there else None


def _differing(old_parts: list[_Part], new_parts: list[_Part]) -> Iterator[tuple[Path, str]]:
    """Yield the path of each value that differs, with how it does."""
    if [value for _, value, _ in old_parts] == [value for _, value, _ in new_parts]:
        return  # most are: a large config is compared in milliseconds
    before, after = (
        {path: leaf for at, value, shown in parts for path, leaf in _leaves(value, shown, at)}
        for parts in (old_parts, new_parts)
    )
    for path in dict.fromkeys((*after, *before)):
        old, new = before.get(path), after.get(path)
        if old is None or new is None or old.value != new.value:
            was, now = _text(old), _text(new)
            how = "changed" if was is None or now is None or was == now else f"{was} -> {now}"
            yield path, f"{spell(path)} {how}"


def _text(leaf: _Leaf | None) -> str | None:
    """Return a value for a line; None for one that is masked, or that a line cannot hold."""
    if leaf is None:
        return "unset"
    shown = leaf.shown
    if isinstance(shown, bool):
        return "true" if shown else "false"
    if isinstance(shown, float):
        return f"{shown:.12g}"
    text = f"[{', '.join(map(str, shown))}]" if isinstance(shown, list) else str(shown)
    is_fit = MASK not in text and len(text) <= _SHOWN_AT_MOST and text.isprintable()
    return text if is_fit else None


def _reordered(before: Mapping[_Subject, Any], after: Mapping[_Subject, Any]) -> Iterator[str]:
    """Yield a line for each kind of which the entries that both configs have stand in another
    order: of equal names the first one serves.
    """
    for kind in _KINDS:
        was = [each for each in before if each[0] == kind.word and each in after]
        now = [each for each in after if each[0] == kind.word and each in before]
        if was != now:
            yield f"~ {kind.key}: in another order"


def _spelled(subject: _Subject) -> str:
    word, name = subject
    is_fit = name.isprintable() and len(name) <= _NAME_AT_MOST
    return f"{word} {name if is_fit else quote(name)}"


def _needs_restart(path: Path, old: LoadedConfig, new: LoadedConfig) -> bool:
    if path[:1] == _TRACING:
        # A share of traces takes effect at once where spans are exported; so does an end of it.
        is_share = path == (*_TRACING, "random_sampling")
        return new.tracing is not None and (old.tracing is None or not is_share)
    return any(path[: len(each)] == each for each in _NEEDS_RESTART)

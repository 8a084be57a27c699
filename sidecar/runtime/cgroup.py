"""How much memory the process may take: the limit of its cgroup, of version 1 or 2.

The smallest limit on the way from the process' own group up to the root that it can see counts, as
it does for the kernel. What cannot be read, or is no number, is no limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_PROC: Final = Path("/proc/self")
_READ_AT_MOST: Final = 1 << 20
"""Of one file. `mountinfo` of a node with thousands of mounts is below that."""
_DIGITS_AT_MOST: Final = 20
_UNLIMITED_BYTES: Final = 1 << 60
"""Version 1 has no word for it: it tells the largest number of pages."""
_V1: Final = "cgroup"
_V2: Final = "cgroup2"
_LIMIT_FILES: Final = {_V1: "memory.limit_in_bytes", _V2: "memory.max"}


def memory_limit_bytes(proc: Path = _PROC) -> int | None:
    """Return the limit in bytes; None where there is none. Never raises.

    Args: ``proc`` is the folder that tells of this process.
    """
    groups = dict(_groups(_read(proc / "cgroup")))
    limits = []
    for kind, root, mounted_at in _mounts(_read(proc / "mountinfo")):
        if kind in groups:
            name = _LIMIT_FILES[kind]
            limits += [
                _limit(_read(each / name)) for each in _path_up(groups[kind], root, mounted_at)
            ]
    return min((each for each in limits if each is not None), default=None)


def _groups(text: str) -> Iterator[tuple[str, str]]:
    """Yield the version and the path of each group of the process that may limit its memory."""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield _V2, path
        elif "memory" in controllers.split(","):
            yield _V1, path


def _mounts(text: str) -> Iterator[tuple[str, str, Path]]:
    """Yield, of each mount that has memory's files, the version, the group that is its root, and
    where it is mounted.
    """
    for line in text.splitlines():
        place, _, source = line.partition(" - ")
        fields, kinds = place.split(), source.split()
        if len(fields) < 5 or len(kinds) < 3:
            continue
        is_v1 = kinds[0] == _V1 and "memory" in kinds[2].split(",")
        if is_v1 or kinds[0] == _V2:
            yield kinds[0], _unescaped(fields[3]), Path(_unescaped(fields[4]))


def _path_up(group: str, root: str, mounted_at: Path) -> Iterator[Path]:
    """Yield the folders of a group and of all above it, up to the mount's own.

    A container may see a mount whose root is its own group while the group's path is told as the
    node sees it, or may be told a path outside of what it sees: then the mount is all that it has.
    """
    path, top = PurePosixPath(group), PurePosixPath(root)
    below = path.relative_to(top) if path.is_relative_to(top) else PurePosixPath()
    if ".." in below.parts:
        below = PurePosixPath()
    yield mounted_at / below
    for parent in below.parents:
        yield mounted_at / parent


def _limit(text: str) -> int | None:
    """Return the number in a limit's file; None where it says that there is none, or nonsense."""
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_AT_MOST:
        return None
    limit = int(text)
    return limit if 0 < limit < _UNLIMITED_BYTES else None


def _unescaped(path: str) -> str:
    """Return a path of mountinfo with its spaces (proc(5): they are written in octal)."""
    return path.replace("\\040", " ")


def _read(path: Path) -> str:
    """Return a file's text; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_READ_AT_MOST).decode(errors="replace")
    except (OSError, ValueError):
        return ""

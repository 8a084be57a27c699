"""A cgroup with a memory limit and CPU shares, of version 1 or 2, whichever this machine has."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOUNT: Final = Path("/sys/fs/cgroup")
_MIB: Final = 1 << 20
_NUMBERS: Final = itertools.count(1)


class Cgroup:
    """A cgroup that has been made. Args: ``folders`` are its folders, of version 1 one for each
    controller; ``lacks`` says what this machine cannot limit.
    """

    def __init__(self, folders: list[Path], version: int, lacks: list[str]) -> None:
        self.folders = folders
        self.version = version
        self.lacks = lacks

    @property
    def words(self) -> str:
        """What holds, for a person."""
        missing = f"; not limited: {', '.join(self.lacks)}" if self.lacks else ""
        return f"cgroup v{self.version}{missing}" if self.folders else "no cgroup"

    def working_set_mib(self) -> float:
        """What a kubelet counts against the limit: memory but for file pages that can go."""
        used = self._read("memory.usage_in_bytes", "memory.current")
        stat = self._read("memory.stat", "memory.stat").split()
        pairs = dict(zip(stat[::2], stat[1::2], strict=True))
        idle = pairs.get("total_inactive_file", pairs.get("inactive_file", "0"))
        return (int(used or 0) - int(idle)) / _MIB

    def _read(self, first: str, second: str) -> str:
        for folder in self.folders:
            with contextlib.suppress(OSError):
                return (folder / (first if self.version == 1 else second)).read_text()
        return ""


@contextlib.contextmanager
def limited(memory_bytes: int, cpu_milli: int) -> Iterator[Cgroup]:
    """A cgroup while the context lasts. Processes in it have to end before it does."""
    name = f"plano-sidecar-{os.getpid()}-{next(_NUMBERS)}"
    if (_MOUNT / "cgroup.controllers").exists():
        cgroup = _make_second(name, memory_bytes, cpu_milli)
    else:
        cgroup = _make_first(name, memory_bytes, cpu_milli)
    try:
        yield cgroup
    finally:
        for folder in cgroup.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _make_first(name: str, memory_bytes: int, cpu_milli: int) -> Cgroup:
    limits = {
        ("memory", "memory.limit_in_bytes"): str(memory_bytes),
        ("cpu", "cpu.shares"): str(max(2, cpu_milli * 1024 // 1000)),
    }
    folders, lacks = [], []
    for (controller, file), value in limits.items():
        folder = _MOUNT / controller / name
        try:
            folder.mkdir()
            (folder / file).write_text(value)
            folders.append(folder)
        except OSError:
            lacks.append(controller)
    return Cgroup(folders, 1, lacks)


def _make_second(name: str, memory_bytes: int, cpu_milli: int) -> Cgroup:
    folder, lacks = _MOUNT / name, []
    try:
        folder.mkdir()
    except OSError:
        return Cgroup([], 2, ["memory", "cpu"])
    # A kubelet turns shares of 2 to 262144 into weights of 1 to 10000.
    weight = 1 + (max(2, cpu_milli * 1024 // 1000) - 2) * 9999 // 262142
    for controller, file, value in (
        ("memory", "memory.max", str(memory_bytes)),
        ("cpu", "cpu.weight", str(weight)),
    ):
        try:
            (_MOUNT / "cgroup.subtree_control").write_text(f"+{controller}")
            (folder / file).write_text(value)
        except OSError:
            lacks.append(controller)
    return Cgroup([folder], 2, lacks)

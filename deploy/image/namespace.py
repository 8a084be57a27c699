"""Runs a command in a root, with mounts and process ids of its own.

The file is also the program that does so: it is run by its path, in the new namespaces, so it
imports nothing of this repository.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

_DEVICES: Final = ("full", "null", "random", "urandom", "zero")
_NO_NEW_PRIVILEGES: Final = 38
"""PR_SET_NO_NEW_PRIVS of prctl(2); Python has no name for it."""


class Entry(NamedTuple):
    """What to run, and in which surroundings."""

    root: str
    command: list[str]
    environment: Mapping[str, str]
    folder: str = "/"
    user: str = "0"
    """A number, with its group's after a colon."""
    read_only: bool = False
    binds: Mapping[str, str] = {}
    """Files and folders of this machine, read-only, by their path in the root, where one exists."""
    cgroups: list[str] = []  # noqa: RUF012 - a tuple's default, never changed
    """Folders of cgroups that the command belongs to from its beginning."""
    marker: int = -1
    """A file descriptor that gets a byte when the command begins; -1 for none."""


def command_line(entry: Entry) -> list[str]:
    """Return what to start; it has to inherit the marker. The command is PID 1 there, and ends
    with what was started.
    """
    unshare = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    return [*unshare, sys.executable, "-I", __file__, json.dumps(entry._asdict())]


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _enter(entry: Entry) -> None:
    """Become the command. Returns: never."""
    for folder in entry.cgroups:
        (Path(folder) / "cgroup.procs").write_text("0")
    root = Path(entry.root)
    _mount("--bind", entry.root, entry.root)
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root / "dev"))
    for name in _DEVICES:
        (root / "dev" / name).touch()
        _mount("--bind", f"/dev/{name}", str(root / "dev" / name))
    for inside, outside in entry.binds.items():
        target = root / inside.lstrip("/")
        if target.exists():
            _mount("--bind", outside, str(target))
            _mount("-o", "remount,bind,ro", str(target))
    if entry.read_only:
        _mount("-o", "remount,bind,ro", entry.root)
    os.chroot(root)
    os.chdir(entry.folder)
    user, _, group = entry.user.partition(":")
    os.setgroups([])
    os.setgid(int(group or user))
    os.setuid(int(user))
    if user != "0":
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if entry.marker >= 0:
        os.write(entry.marker, b"!")
        os.set_inheritable(entry.marker, False)
    os.execvpe(entry.command[0], entry.command, dict(entry.environment))


if __name__ == "__main__":
    _enter(Entry(**json.loads(sys.argv[1])))

"""Runs a client's command in an empty home, for a bounded time, and leaves nothing of it running."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

COMMAND_LIMIT_S: Final = 180
OUTPUT_BYTES: Final = 1 << 20
_NAMESPACES: Final = ("--pid", "--fork", "--kill-child", "--mount-proc")
INSIDE: Final = "PLANO_CLIENTS_INSIDE"
"""The variable that is set where clients reach loopback alone."""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


class Ended(NamedTuple):
    """How a command ended."""

    code: int | None
    """None: it took too long."""
    output: str
    """Both streams."""


class Home(NamedTuple):
    """What a client finds: an empty home, and a folder to work in."""

    home: Path
    work: Path

    def place(self, path: str) -> Path:
        """Return where a file of the table stands."""
        return self.home / path[2:] if path.startswith("~/") else self.work / path


@contextlib.contextmanager
def empty_home() -> Iterator[Home]:
    """A home that is removed afterwards."""
    with TemporaryDirectory(prefix="client-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home", Path(folder) / "work")
        home.home.mkdir()
        home.work.mkdir()
        yield home


def run(command: list[str], home: Home, environ: dict[str, str]) -> Ended:
    """Run a command to its end with these variables, ``HOME`` and no others. Whatever it started
    ends with it.
    """
    isolated = ["unshare", *_NAMESPACES, *command] if os.environ.get(INSIDE) else command
    own = {"HOME": str(home.home), "TERM": "dumb", "LANG": "C.UTF-8", "NO_COLOR": "1", **environ}
    log = home.home.parent / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            isolated,
            cwd=home.work,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(COMMAND_LIMIT_S)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with log.open("rb") as said:
        return Ended(code, said.read(OUTPUT_BYTES).decode(errors="replace"))


def enter(arguments: list[str], module: str = "tests.clients") -> None:
    """Go on as ``module`` in a network of loopback alone, where the system allows that: no client reaches
    anybody but the provider and the sidecar. Where it does not, clients run as they are, and a
    line says so.
    """
    if os.environ.get(INSIDE):
        _raise_loopback()
        return
    wrap = ["unshare", "--user", "--map-root-user", "--net", *_NAMESPACES]
    if shutil.which("unshare") and not subprocess.run([*wrap, "true"], check=False).returncode:
        os.environ[INSIDE] = "1"
        inside = [*wrap, sys.executable, "-m", module, *arguments]
        os.execvp(inside[0], inside)
    print("no namespaces here: what clients send elsewhere is not held back")


def _raise_loopback() -> None:
    with socket.socket() as probe:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))

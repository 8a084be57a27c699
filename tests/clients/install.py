"""Installs the clients, each set of packages in a folder of its own below ``.venv-clients``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.clients.table import HERE, Client, Table

ROOT: Final = HERE.parents[1] / ".venv-clients"
NODE: Final = ROOT / "node"
INSTALL_LIMIT_S: Final = 600
_UV: Final = Path(sys.executable).with_name("uv")


def folder_of(client: Client) -> Path:
    """Where a client's packages are."""
    return ROOT / client.slug


def path_of(client: Client) -> str:
    """``PATH`` with the client's commands, and Node, before the system's."""
    own = folder_of(client)
    found = [own / "python" / "bin", own / "node_modules" / ".bin", NODE / "bin"]
    return ":".join([*map(str, found), "/usr/local/bin", "/usr/bin", "/bin"])


def install_all(table: Table, clients: list[Client]) -> None:
    """Install what is not installed yet. Raises: CalledProcessError with what the installer said
    on stderr.
    """
    _once(NODE, [table.node], partial(_install_node, table))
    for client in clients:
        _once(folder_of(client), client.install, partial(_install, client, table.until))


def _once(folder: Path, packages: Sequence[str], install: Callable[[], None]) -> None:
    stamp = folder / "installed.json"
    wanted = json.dumps(packages)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print(f"installing {', '.join(packages)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    install()
    stamp.write_text(wanted)


def _install(client: Client, until: str) -> None:
    folder = folder_of(client)
    python, node = client.packages("pypi"), client.packages("npm")
    if python:
        where = folder / "python"
        _run([_UV, "venv", "-q", "-p", sys.executable, where], folder)
        options = ["--python", where / "bin" / "python", "--exclude-newer", until]
        _run([_UV, "pip", "install", "-q", *options, *python], folder)
    if node:
        _npm(folder, node, until)


def _install_node(table: Table) -> None:
    """The programs want a newer Node than some systems have."""
    _npm(NODE, [table.node], table.until)
    (NODE / "bin").symlink_to(NODE / "node_modules" / table.node.rpartition("@")[0] / "bin")


def _npm(folder: Path, packages: list[str], until: str) -> None:
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    quiet = ["--no-fund", "--no-audit", "--loglevel", "error"]
    _run(["npm", "install", *quiet, "--before", until, *packages], folder)


def _run(command: list[object], folder: Path) -> None:
    subprocess.run(
        list(map(str, command)),
        cwd=folder,
        check=True,
        timeout=INSTALL_LIMIT_S,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PATH": f"{NODE / 'bin'}:{os.environ['PATH']}"},
    )

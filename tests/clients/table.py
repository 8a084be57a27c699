"""Reads clients.toml: which clients there are, how each is set up, how it is run unattended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

HERE: Final = Path(__file__).parent
PROGRAMS: Final = HERE / "programs"
ADDRESS: Final = "http://127.0.0.1:12000"
"""Where the page says that the sidecar is; what is run has another port."""
_MARK: Final = re.compile(r"^(?:#|//) What is tried$", re.MULTILINE)


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One client; the head of clients.toml says what each field is."""

    name: str
    group: str
    install: tuple[str, ...] = ()
    program: str = ""
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    before: tuple[str, ...] = ()
    quiet: dict[str, str] = {}
    run: tuple[str, ...] = ()
    read: str = ""
    pin_env: dict[str, str] = {}
    pin_files: dict[str, str] = {}
    unpinned: str = ""
    """Why there is no way to name its session, where there is none."""
    note: str = ""
    untried: str = ""

    @property
    def slug(self) -> str:
        """The name of its folder: clients with the same packages share one."""
        return re.sub(r"[^a-z0-9]+", "-", " ".join(self.install).lower()).strip("-")[:80]

    @property
    def version(self) -> str:
        """The version of its own package."""
        return re.split(r"==|(?<=.)@", self.install[0].partition(":")[2])[-1]

    def packages(self, registry: str) -> list[str]:
        """What is installed from ``pypi`` or ``npm``."""
        pairs = (each.partition(":") for each in self.install)
        return [name for kind, _, name in pairs if kind == registry]

    @property
    def example(self) -> str:
        """The first part of its program."""
        return _MARK.split((PROGRAMS / self.program).read_text())[0].strip() + "\n"


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of clients.toml."""

    until: str
    node: str
    client: tuple[Client, ...]


def read_table() -> Table:
    """Read it. Raises: msgspec.ValidationError naming the place of what is wrong."""
    return msgspec.toml.decode((HERE / "clients.toml").read_bytes(), type=Table)

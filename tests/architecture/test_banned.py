"""Calls that have one home, and things that have none."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.architecture.tree import ROOT, dotted, modules

HOMES = {
    "asyncio.create_task": (),
    "asyncio.ensure_future": (),
    "asyncio.timeout": (
        *("sidecar/runtime/timers.py", "sidecar/demo/"),
        "sidecar/telemetry/call_feed.py",  # nothing is cut: a look at whether the reader is there
        "sidecar/telemetry/otlp.py",  # the end of the process waits for nobody
    ),
    "asyncio.timeout_at": (),
    "asyncio.wait_for": (),
    "time.time": ("sidecar/domain/clock.py",),
    "time.monotonic": ("sidecar/domain/clock.py", "sidecar/demo/"),
    "time.sleep": (),
    "datetime.now": (),
    "datetime.datetime.now": (),
    "os.environ": ("sidecar/commands/",),
    "os.getenv": (),
    "print": ("sidecar/cli.py", "sidecar/commands/", "sidecar/demo/"),
    "aiohttp.ClientSession": (
        "sidecar/demo/",
        "sidecar/upstream/fetch.py",
        "sidecar/commands/",
    ),
    "logging.basicConfig": ("sidecar/commands/shell.py",),
    "sys.exit": ("sidecar/__main__.py", "sidecar/demo/__main__.py"),
}
"""Name -> where it may stand, and why elsewhere not: tasks have owners (lifecycle.Tasks), time is
an argument, only the command line reads the environment and talks to a person, and a loop
that stood still is no silence of another side's (runtime.timers)."""


@cache
def _places() -> dict[str, list[tuple[str, int]]]:
    """Each name of `HOMES` -> path and line of all places where it stands."""
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in HOMES}
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute | ast.Name) and (name := dotted(node)) in found:
                found[name].append((path, node.lineno))
    return found


@pytest.mark.parametrize("name", HOMES)
def test_a_call_stays_in_its_home(name):
    """A clock in a rule cannot be tested; a task without an owner is lost."""
    strays = [
        f"{path}:{line}"
        for path, line in _places()[name]
        if not path.startswith(HOMES[name] or ("-",))
    ]

    assert [] == strays


def test_nothing_is_global():
    """State belongs to an object that somebody built."""
    strays = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Global)
    ]

    assert [] == strays


def test_nothing_is_left_to_be_done():
    """No marker of unfinished work stands in the package."""
    found = [
        f"{path}: {match[0]}"
        for path in modules()
        for match in re.finditer(r"TODO|FIXME|XXX|NotImplementedError", (ROOT / path).read_text())
    ]

    assert [] == found


def test_whoever_catches_everything_says_why():
    """`except Exception` and `except BaseException` re-raise, or carry their reason."""
    strays = []
    for path, tree in modules().items():
        lines = (ROOT / path).read_text().splitlines()
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler) or dotted(node.type or ast.Pass()) not in (
                "",
                "Exception",
                "BaseException",
            ):
                continue
            if isinstance(node.type, ast.Tuple):
                continue
            raises = any(isinstance(each, ast.Raise) for each in ast.walk(node))
            if not raises and "noqa: BLE001" not in lines[node.lineno - 1]:
                strays.append(f"{path}:{node.lineno}")

    assert [] == strays

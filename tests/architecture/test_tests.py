"""Tests mirror the rooms, say what they promise, and wait for nothing that they could await."""

from __future__ import annotations

import ast
import configparser
import re
from functools import cache

from tests.architecture.tree import ROOT, dotted, functions, modules, modules_of_tests
from tests.conftest import LONGEST

ANYWHERE = (
    "sidecar/cli.py",
    "sidecar/app.py",
    "sidecar/build/checks.py",
    "sidecar/build/foundation.py",
    "sidecar/build/generation.py",
    "sidecar/build/listeners.py",
    "sidecar/build/live_page.py",
    "sidecar/build/memory.py",
    "sidecar/build/operator_pages.py",
    "sidecar/build/provider_entries.py",
    "sidecar/generation.py",
    "sidecar/proxy.py",
    "sidecar/reload.py",
)
"""What stands above the rooms is tested by flows too."""
NOWHERE = {
    "sidecar/__main__.py": "it is run as a process",
    "sidecar/demo/__main__.py": "it is run as a process",
    "sidecar/process.py": "it is run as a process",
}
"""Module -> why no test imports it."""


def _imported(tree: ast.Module) -> set[str]:
    """Every module that a module imports, by its dotted name, and every name imported from it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


@cache
def _imported_below(*folders: str) -> set[str]:
    trees = [tree for path, tree in modules_of_tests().items() if path.startswith(folders)]
    return set().union(*map(_imported, trees))


def test_every_module_is_imported_by_a_test_of_its_room():
    """Who changes a module finds its tests beside the room's name: tests/<room>, or
    tests/contract/<room>.
    """
    untested = set()
    for path in modules():
        if path.endswith("__init__.py") or path in NOWHERE:
            continue
        room = path.split("/")[1]
        folders: tuple[str, ...] = (f"tests/{room}/", f"tests/contract/{room}/")
        if path in ANYWHERE:
            folders = ("tests/",)
        if path.removesuffix(".py").replace("/", ".") not in _imported_below(*folders):
            untested.add(path)

    assert set() == untested


def test_every_test_states_its_promise():
    """A test without a docstring checks something that nobody promised."""
    silent = [
        f"{path}:{each.name}"
        for path, tree in modules_of_tests().items()
        if re.search(r"/test_\w+\.py$", path)
        for each in functions(tree)
        if each.name.startswith("test_") and not ast.get_docstring(each)
    ]

    assert [] == silent


def test_no_test_sleeps_for_what_it_could_await():
    """A sleep is a race; the few that are needed carry their reason."""
    sleepy = []
    for path, tree in modules_of_tests().items():
        if path.startswith(("tests/bench/", "tests/support/")):
            continue
        lines = (ROOT / path).read_text().splitlines()
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or dotted(node.func) not in (
                "time.sleep",
                "asyncio.sleep",
            ):
                continue
            is_turn = isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
            if not is_turn and not any(
                "# sleep:" in line for line in lines[max(0, node.lineno - 2) : node.end_lineno]
            ):
                sleepy.append(f"{path}:{node.lineno}")

    assert [] == sleepy


def test_the_pure_modules_are_there():
    """A path that nothing matches would leave its module's branches uncounted."""
    config = configparser.ConfigParser()
    config.read(ROOT / "tests" / "coverage_pure.ini")
    included = config["report"]["include"].split()

    assert [] == [each for each in included if not list(ROOT.glob(each))]


def test_the_files_that_begin_first_are_there():
    """And those that the Makefile leaves out of the compiled package's tests."""
    makefile = (ROOT / "Makefile").read_text()
    same = re.search(r"^SAME := \$\(patsubst %,(\S+?),([\w ]+)\)", makefile, re.MULTILINE)
    assert same is not None
    named = [
        *(f"tests/{name}" for name in LONGEST),
        *(same[1].replace("%", name) for name in same[2].split()),
    ]

    assert [] == [each for each in named if not (ROOT / each).is_file()]

"""The house from outside: what stands at the top, and that tests say what they promise."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib

import pytest

from tests.architecture.tree import ROOT, dotted, functions, modules_of_tests

TOP = {
    "pyproject.toml",
    "sidecar",
    "tests",
    "deploy",
    "helm",
    "README.md",
    "Makefile",
    "LICENSE",
    "CHANGELOG.md",
}


def test_the_top_level_is_short():
    """A visitor finds the package, its tests, its deployment, and little else; dotfiles are not
    looked at.
    """
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {path.partition("/")[0] for path in listed.stdout.splitlines()}

    assert TOP == {name for name in top if not name.startswith(".")}


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


def test_dependencies_have_reasons_and_locks():
    """Each one is explained where it is named, is imported, and is locked with hashes."""
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    imports = {"pyyaml": "yaml"}
    code = "\n".join((ROOT / path).read_text() for path in _package())
    lock = (ROOT / "deploy" / "requirements" / "runtime.txt").read_text()
    lines = [line.strip() for line in text.splitlines()]

    for wanted in project["dependencies"]:
        name = re.split(r"[<>=\[]", wanted)[0].lower()
        assert lines[lines.index(f'"{wanted}",') - 1].startswith("#")
        module = imports.get(name, name.replace("-", "_"))
        assert re.search(rf"^\s*(import|from) {module}\b", code, re.MULTILINE)
        assert re.search(rf"^{name}==[^\n]*\\\n\s+--hash=sha256:", lock, re.MULTILINE)


def _package() -> list[str]:
    return [str(path.relative_to(ROOT)) for path in (ROOT / "sidecar").rglob("*.py")]

"""The repository from outside: what stands at its top, and what it depends on."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from tests.architecture.tree import ROOT

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


def test_the_readme_is_short():
    """What it is, how to try, use and configure it; the references stand beside their rooms."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


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

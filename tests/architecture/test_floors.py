"""Arrows point down, and the check that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import PACKAGE, ROOT


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder)},
    )


def test_every_import_points_down():
    """The contracts of pyproject.toml hold."""
    result = _lint_imports(ROOT)

    assert (0, "") == (result.returncode, "" if result.returncode == 0 else result.stdout)


def test_a_wrong_import_is_caught(tmp_path):
    """A room that imports its neighbour, or I/O where none belongs, breaks a contract."""
    shutil.copytree(PACKAGE, tmp_path / "sidecar", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "sidecar" / "stream" / "relay.py").open("a") as module:
        module.write("\nimport aiohttp\nimport sidecar.upstream.client\n")
    result = _lint_imports(tmp_path)

    assert 1 == result.returncode
    assert "Arrows point down BROKEN" in result.stdout
    assert "Rooms that decide do no I/O BROKEN" in result.stdout

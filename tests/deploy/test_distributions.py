"""What is built holds the package with its pages, and nothing of the tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGED = {
    str(path.relative_to(ROOT))
    for path in (ROOT / "sidecar").rglob("*")
    if path.suffix in {".py", ".md", ".html"}
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with a source distribution, and the wheel that was built from that."""
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    folder = tmp_path_factory.mktemp("built")
    _hatchling(ROOT, "sdist", folder)
    (sdist,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", str(sdist), "-C", str(folder)], check=True)
    _hatchling(folder / sdist.name.removesuffix(".tar.gz"), "wheel", folder)
    return folder


def _hatchling(root: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def test_the_source_distribution_can_build_the_wheel(built):
    """It has the sources, the rooms' pages and the compile hook; no tests."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert PACKAGED | {"deploy/compile_hook.py", "pyproject.toml", "README.md"} <= names
    assert [] == [name for name in names if name.startswith(("tests", "helm"))]


def test_the_wheel_holds_the_package_alone(built):
    """The rooms' pages are part of it."""
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    assert names >= PACKAGED
    assert [] == [
        name for name in names - PACKAGED if not name.partition("/")[0].endswith(".dist-info")
    ]

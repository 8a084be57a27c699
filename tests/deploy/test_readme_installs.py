"""The README's own commands install a sidecar that runs, with pip and with uv.

Each one runs in a copy of the repository and an environment of its own, with build isolation, so
packages are downloaded and the whole hot path is compiled once: only where SIDECAR_REQUIRE_ALL=1,
as in CI.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("sidecar", "deploy", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
INSTALLS = sorted(
    set(re.findall(r"(?:SIDECAR_COMPILE=1 )?pip install [^\s`]+", (ROOT / "README.md").read_text()))
)
"""Each as the README writes it, without the path of an environment before ``pip``."""

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("SIDECAR_REQUIRE_ALL") != "1",
        reason="downloads packages and compiles for minutes: SIDECAR_REQUIRE_ALL=1 runs it",
    ),
    pytest.mark.timeout(900),
]


@pytest.fixture
def tree(tmp_path):
    """A copy of what the package is built from, without anything that was built."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _environment(tree: Path) -> dict[str, str]:
    """No sidecar but the installed one; optimised code would only take longer to make."""
    folder = tree / ".venv"
    ours = {"PYTHONPATH", "VIRTUAL_ENV", "SIDECAR_COMPILE"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    path = f"{folder / 'bin'}{os.pathsep}{kept['PATH']}"
    # uv trusts a list of its own, pip and the system one that a company may have added to.
    trust = {"UV_SYSTEM_CERTS": "1"}
    return {**kept, **trust, "PATH": path, "VIRTUAL_ENV": str(folder), "MYPYC_OPT_LEVEL": "0"}


def _sh(command: str, tree: Path) -> str:
    """Run it as a person would; return what it printed."""
    done = subprocess.run(
        command,
        shell=True,
        cwd=tree,
        env=_environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, f"{command}\n{done.stdout}"
    return done.stdout


def _versions(tree: Path) -> dict[str, str]:
    os.rename(tree / "sidecar", tree / "moved")  # what runs is what was installed
    lines = _sh(".venv/bin/plano-sidecar version", tree).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_the_readme_names_three_ways_to_install():
    """Those that the tests below run."""
    assert [
        "SIDECAR_COMPILE=1 pip install .",
        "pip install '.[fast,redis,otel,zstd]'",
        "pip install .",
    ] == INSTALLS


def test_the_block_under_use_it_runs_as_it_is(tree):
    """But for its last line, which would serve."""
    block = re.search(r"## Use it\n\n```\w*\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    *setup, run = block[1].strip().splitlines()
    for line in setup:
        _sh(line.replace("python3 ", f"{sys.executable} "), tree)

    assert run.endswith(".venv/bin/plano-sidecar run")
    assert "(hot path compiled)" not in _versions(tree)["plano-sidecar"]


@pytest.mark.parametrize("installer", ["pip", "uv pip"])
@pytest.mark.parametrize("install", INSTALLS)
def test_each_way_to_install_gives_what_it_says(install, installer, tree):
    """Compiled where asked for, with the extras that are named. A few modules are compiled: the way
    is the same, and all of them are compiled for the tests of the compiled package.
    """
    is_compiled = "SIDECAR_COMPILE=1" in install
    if is_compiled:
        project = tree / "pyproject.toml"
        project.write_text(
            re.sub(
                r"\ncompiled = \[.*?\n\]",
                '\ncompiled = ["sidecar/proxy.py", "sidecar/wire/members.py"]',
                project.read_text(),
                flags=re.DOTALL,
            )
        )
    _sh(f"{sys.executable} -m venv .venv", tree)
    _sh(install.replace("pip", installer, 1), tree)
    versions = _versions(tree)

    assert is_compiled == versions["plano-sidecar"].endswith("(hot path compiled)")
    for name, extra in (("redis", "redis"), ("uvloop", "fast"), ("aiofastnet", "fast")):
        assert (extra in install) == (versions[name] != "not installed")

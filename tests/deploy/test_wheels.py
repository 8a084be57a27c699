"""Wheels are configured for what the package says that it runs on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WHEELS = PROJECT["tool"]["cibuildwheel"]


def test_each_python_that_is_promised_has_a_wheel():
    """The classifiers and the builds name the same versions."""
    classifiers = re.findall(
        r"Python :: 3\.(\d+)$", "\n".join(PROJECT["project"]["classifiers"]), re.MULTILINE
    )

    assert [f"cp3{minor}-*" for minor in classifiers] == WHEELS["build"].split()


def test_a_wheel_is_compiled_and_tried_with_locked_packages():
    """A build that cannot compile fails; what it is tried with has hashes, and needs no compiler."""
    assert "1" == WHEELS["environment"]["SIDECAR_COMPILE"]
    for step in ("before-build", "before-test"):
        assert "--require-hashes" in WHEELS[step]
        for lock in re.findall(r"-r (?:\{project\}/)?(\S+)", WHEELS[step]):
            assert (ROOT / lock).is_file()
    assert "--only-binary :all:" in WHEELS["before-test"]

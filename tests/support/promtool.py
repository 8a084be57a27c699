"""Prometheus' own checker."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def promtool(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool. Where it is not installed the test is skipped, or fails where all must run."""
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail("promtool is not installed: apt-get install prometheus")
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return subprocess.run(
        [found, *arguments], input=stdin, capture_output=True, text=True, check=False
    )

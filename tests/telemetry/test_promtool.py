"""Prometheus' own checker finds nothing to say about the names and types of all metrics."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.metrics_reference import full_metrics


def _promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail("promtool is not installed: apt-get install prometheus")
        pytest.skip("promtool is not installed")
    return found


async def test_promtool_finds_nothing_wrong():
    """Everything that the sidecar exports, the client library's own metrics among it."""
    body, _ = await full_metrics().render("")
    checked = subprocess.run(
        [_promtool(), "check", "metrics"], input=body, capture_output=True, check=False
    )

    assert (0, b"", b"") == (checked.returncode, checked.stdout, checked.stderr)

"""Prometheus' own checker finds nothing to say about the names and types of all metrics."""

from __future__ import annotations

from tests.support.metrics_reference import full_metrics
from tests.support.promtool import promtool


async def test_promtool_finds_nothing_wrong():
    """Everything that the sidecar exports, the client library's own metrics among it."""
    body, _ = await full_metrics().render("")
    checked = promtool("check", "metrics", stdin=body.decode())

    assert (0, "", "") == (checked.returncode, checked.stdout, checked.stderr)

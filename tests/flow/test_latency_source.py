"""Latencies that a real Prometheus tells: of the sidecar's own metrics, scraped, asked for, and
ranked by.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.net import free_port
from tests.support.routed import PREFERENCES, Routed, decision_of, routed

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
LIMIT_S = 60.0
QUERY = (
    "label_replace(sum by (model) (plano_sidecar_upstream_first_byte_seconds_sum)"
    " / sum by (model) (plano_sidecar_upstream_first_byte_seconds_count), 'model_name', '$1', 'model', '(.+)')"
)
"""The README's, over the whole life of the series: a test has no five minutes."""


@contextlib.asynccontextmanager
async def prometheus(port: int, target_port: int, folder: Path) -> AsyncIterator[None]:
    """A server that scrapes one target five times a second."""
    program = shutil.which("prometheus")
    if program is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail("prometheus is not installed")
        pytest.skip("prometheus is not installed")
    scrape = {"job_name": "sidecar", "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}]}
    config = folder / "prometheus.yml"
    timing = {"scrape_interval": "200ms", "scrape_timeout": "200ms"}
    config.write_text(json.dumps({"global": timing, "scrape_configs": [scrape]}))
    process = await asyncio.create_subprocess_exec(
        program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_told(sidecar: Routed) -> dict[str, float]:
    """The latencies, once both models have one."""
    async with asyncio.timeout(LIMIT_S):
        while len(sidecar.app.generation.sources.latencies_s) < 2:
            await asyncio.sleep(
                0.05
            )  # sleep: Prometheus scrapes, and the sidecar asks, by the clock
    return dict(sidecar.app.generation.sources.latencies_s)


async def test_the_fastest_model_is_the_one_that_prometheus_says(tmp_path):
    """The model written first is slow; calls that are not streamed leave nothing in the sidecar's
    own averages.
    """
    port = free_port()
    preferences = [{**PREFERENCES[1], "selection_policy": {"prefer": "fastest"}}]
    source: dict[str, Any] = {
        "type": "latency", "provider": "prometheus", "url": f"http://127.0.0.1:{port}", "query": QUERY,
        "refresh_interval": 1,
    }  # fmt: skip
    async with routed(routing_preferences=preferences, model_metrics_sources=[source]) as sidecar:
        sidecar.app.generation.routes._roll = lambda: 1.0
        before = await sidecar.ask("Make this long text short")
        sidecar.provider.script.always("slow delay=0.3", model="gpt-4o")
        for model in ("gpt-4o", "gpt-4o-mini"):
            await sidecar.ask("x", model=model, routing_preferences=[])
        async with prometheus(port, sidecar.app.ports.admin, tmp_path):
            latencies_s = await _until_told(sidecar)
            after = await sidecar.ask("Make this long text short")
            ages = await sidecar.metrics("price_age_seconds")
        still = await sidecar.ask("Make this long text short")

    assert [(200, "routed", "summaries", model) for model in (GPT, MINI, MINI)] == [
        decision_of(reply) for reply in (before, after, still)
    ]
    assert latencies_s[MINI] < latencies_s[GPT]
    assert {("prometheus",)} == set(ages)

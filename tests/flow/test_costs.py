"""What calls cost, and which config serves, through the whole sidecar."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from tests.support.routed import PREFERENCES, routed

GPT = "openai/gpt-4o"
LIMIT_S = 20.0


async def test_a_call_costs_what_the_price_source_says_of_its_tokens(tmp_path):
    """By model and account; a pinned call has saved what its cached tokens were cheaper."""
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({GPT: {"input": 2.0, "output": 8.0, "cached_input": 0.5}}))
    source = {"type": "cost", "provider": "file", "path": str(prices)}
    async with routed(routing_preferences=[], model_metrics_sources=[source]) as sidecar:
        async with asyncio.timeout(LIMIT_S):
            while not sidecar.app.generation.sources.prices:
                await asyncio.sleep(0.01)  # sleep: the file is read beside the calls
        headers = {"x-model-affinity": "s"}
        for _ in range(2):
            await sidecar.ask("Say something long", model="gpt-4o", headers=headers)
        tokens = await sidecar.metrics("tokens_total")
        cost = await sidecar.metrics("cost_usd_total")
        saved = await sidecar.metrics("affinity_saved_usd_total")

    cached = tokens.get(("cached_input", GPT), 0.0)
    full = tokens["input", GPT] - cached
    usd = (full * 2.0 + cached * 0.5 + tokens["output", GPT] * 8.0) / 1e6
    assert {(GPT, GPT): pytest.approx(usd)} == cost
    assert ({(GPT,): pytest.approx(cached * 1.5 / 1e6)} if cached else {}) == saved


async def test_the_configs_hash_is_that_of_its_file():
    """An operator compares it with the one that was rolled out."""
    async with routed(routing_preferences=PREFERENCES) as sidecar:
        info = await sidecar.metrics("config_info")
        (file, *_) = sidecar.app.generation.loaded.files
        expected = hashlib.sha256(file.read_bytes()).hexdigest()[:12]

    assert {(expected,): 1.0} == info

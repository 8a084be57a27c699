"""`plano-sidecar doctor` as a process: what a person sees, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.net import closed_port
from tests.support.otlp_receiver import otlp_receiver
from tests.support.redis_server import redis_server
from tests.support.routed import PREFERENCES
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel
from tests.support.sidecar_process import REPOSITORY, sidecar_config

MARKS = ("sk-marked-key", "marked-password", "marked-word")
NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}


async def started(config: dict[str, Any], folder: Path, *more: str) -> asyncio.subprocess.Process:
    file = folder / "config.yaml"
    file.write_text(json.dumps(config))
    command = (sys.executable, "-m", "sidecar", "doctor", "--config", str(file), *more)
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **NO_PROXY},
    )


def whole_config(provider: str, router: str, redis: str, collector: str) -> dict[str, Any]:
    """All that there is to look at, each with a secret that stands in no output."""
    config = sidecar_config(provider)
    for each in config["model_providers"]:
        each["access_key"] = MARKS[0]
    config["model_providers"].append({"model": "plano/router", "base_url": router})
    source = {
        "type": "latency",
        "provider": "prometheus",
        "url": f"http://me:{MARKS[2]}@127.0.0.1:{closed_port()}",
        "query": "x",
    }
    return config | {
        "overrides": {"llm_routing_model": "plano/router"},
        "routing_preferences": PREFERENCES,
        "routing": {
            "session_cache": {
                "type": "redis",
                "url": redis,
                "password": MARKS[1],
                "call_budget_ms": 60_000,  # of which a busy machine's round trips leave half
            }
        },
        "model_metrics_sources": [source],
        "tracing": {"random_sampling": 1, "otlp_endpoint": collector},
    }


async def test_all_that_a_config_names_is_looked_at(tmp_path):
    """With real servers of each kind; what is dead is a warning, and no secret is printed."""
    async with (
        ScriptedProvider(keys=frozenset({MARKS[0]})) as provider,
        ScriptedRouterModel() as router,
        redis_server("7") as redis,
        otlp_receiver() as collector,
    ):
        await redis.client.config_set("requirepass", MARKS[1])
        config = whole_config(provider.url, router.url, redis.url, collector.url)
        process = await started(config, tmp_path, "--json")
        out, errors = await process.communicate()
        spans = collector.spans

    report = json.loads(out)
    verdicts = {(each["kind"], each["name"]): each["verdict"] for each in report["findings"]}
    assert (0, "warning", []) == (process.returncode, report["verdict"], spans)
    assert {
        ("provider", "plano/router"): "ok",
        ("router", "plano/router"): "ok",
        ("store", "redis"): "ok",
        ("source", "latency: prometheus"): "warning",
        ("tracing", "collector"): "ok",
    }.items() <= verdicts.items()
    assert [] == [mark for mark in MARKS if mark in (out + errors).decode()]


async def test_what_is_down_is_told_of_without_a_secret(tmp_path):
    """Provider, router, Redis, source and collector: only the provider fails calls."""
    dead = f"127.0.0.1:{closed_port()}"
    config = whole_config(f"http://{dead}", f"http://{dead}", f"redis://{dead}/0", f"http://{dead}")
    process = await started(config, tmp_path)
    out, errors = await process.communicate()
    text = out.decode()

    assert 1 == process.returncode
    assert "warn  trace collector" in text
    assert f"Nothing listens at {dead}" in " ".join(text.split())
    assert "4 would fail calls, 5 should be looked at." in text
    assert max(map(len, text.splitlines())) <= 80
    assert [] == [mark for mark in MARKS if mark in (out + errors).decode()]


async def test_ctrl_c_ends_it_at_once_and_without_a_traceback(tmp_path):
    """While a provider hangs, and long before the timeout."""
    async with ScriptedProvider() as provider:
        provider.script.always("hang")
        process = await started(sidecar_config(provider.url), tmp_path, "--timeout", "60")
        await provider.wait_for_requests(1)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            out, errors = await process.communicate()

    assert (1, b"") == (process.returncode, out)
    assert b"Traceback" not in errors

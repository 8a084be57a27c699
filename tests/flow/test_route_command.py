"""`plano-sidecar route`: a stranger sees why a text goes to which model."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.routed import PREFERENCES, ScriptedRouter
from tests.support.sidecar_process import REPOSITORY, sidecar_config


def _config(tmp_path: Path, router_url: str, **more: Any) -> Path:
    config = sidecar_config("http://127.0.0.1:9", **more)
    config["model_providers"].append({"model": "plano/router", "base_url": router_url})
    config |= {"overrides": {"llm_routing_model": "plano/router"}}
    config["model_providers"][1]["price"] = {"input": 5, "output": 15}
    file = tmp_path / "sidecar.yaml"
    file.write_text(json.dumps(config))
    return file


async def _route(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidecar", "route", *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )


async def test_it_shows_prompt_answer_match_numbers_plan_and_times(tmp_path):
    """In the order in which they come about; the text goes to no provider."""
    preferences = [{**PREFERENCES[1], "selection_policy": {"prefer": "cheapest"}}]
    async with ScriptedRouter() as router:
        file = _config(tmp_path, router.url, routing_preferences=preferences)
        shown = await _route("--config", str(file), "--session", "s1", "Make this long text short")

    assert (0, "") == (shown.returncode, shown.stderr)
    parts = (
        "<routes>", "Make this long text short", 'answer:   \'{"route":"summaries"}\'', "outcome:  matched",
        "route:    summaries", "ms", "ranked by cheapest", "20 USD per million tokens", "unknown", "source:   routed",
        "plan:     openai/gpt-4o (openai/gpt-4o), then openai/gpt-4o-mini",
    )  # fmt: skip
    places = [shown.stdout.find(part) for part in parts]
    assert [-1 not in places, places] == [True, sorted(places)]


async def test_a_router_model_that_is_down_is_told(tmp_path):
    """The fallback is shown as a call would get it."""
    file = _config(tmp_path, "http://127.0.0.1:9", routing_preferences=PREFERENCES)
    shown = await _route("--config", str(file), "Make this long text short")

    assert 0 == shown.returncode
    assert all(part in shown.stdout for part in ("answer:   none", "outcome:  http_error", "source:   fallback"))


async def test_without_preferences_it_says_so(tmp_path):
    """And shows the default."""
    shown = await _route("--config", str(_config(tmp_path, "http://127.0.0.1:9")), "Hello")

    assert 0 == shown.returncode
    assert all(part in shown.stdout for part in ("No route is in effect", "source:   default", "openai/gpt-4o-mini"))


@pytest.mark.parametrize("arguments", [[], ["text"], ["--config", "x"]])
async def test_usage(arguments):
    """64, and what is missing."""
    shown = await _route(*arguments)

    assert (64, True) == (shown.returncode, "usage: plano-sidecar route" in shown.stderr)

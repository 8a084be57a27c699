"""`plano-sidecar route`: a stranger sees why a text goes to which model."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Ended, command
from tests.support.redis_server import redis_server
from tests.support.routed import PREFERENCES
from tests.support.scripted_provider import ScriptedRouterModel
from tests.support.sidecar_process import REPOSITORY, sidecar_config


def _config(tmp_path: Path, router_url: str, **more: Any) -> Path:
    config = sidecar_config("http://127.0.0.1:9", **more)
    config["model_providers"].append({"model": "plano/router", "base_url": router_url})
    config |= {"overrides": {"llm_routing_model": "plano/router"}}
    config["model_providers"][1]["price"] = {"input": 5, "output": 15}
    file = tmp_path / "sidecar.yaml"
    file.write_text(json.dumps(config))
    return file


async def _route(*arguments: str) -> Ended:
    return await command("route", *arguments)


async def _process(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "sidecar", "route", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment,
    )


async def test_it_shows_prompt_answer_match_numbers_plan_and_times(tmp_path):
    """In the order in which they come about; the text goes to no provider."""
    preferences = [{**PREFERENCES[1], "selection_policy": {"prefer": "cheapest"}}]
    async with ScriptedRouterModel() as router:
        file = _config(tmp_path, router.url, routing_preferences=preferences)
        shown = await _route("--config", str(file), "--session", "s1", "Make this long text short")
        asked = router.seen

    assert 1 == asked
    assert (0, "") == (shown.code, shown.errors)
    parts = (
        "<routes>", "Make this long text short", 'answer:   \'{"route":"summaries"}\'', "outcome:  matched",
        "route:    summaries", "ranked by cheapest", "20 USD per million tokens", "unknown", "session:  s1: no pin",
        "source:   routed", "plan:     openai/gpt-4o (openai/gpt-4o), then openai/gpt-4o-mini",
        "took:     prompt ", " ms, router model ", " ms, ranking ", " ms\n", "all of it, with the pin, ",
    )  # fmt: skip
    places = [shown.out.find(part) for part in parts]
    assert [-1 not in places, places] == [True, sorted(places)]


async def test_a_sessions_pin_is_shown_and_none_is_made(tmp_path):
    """Looking at a session in use changes nothing for it, be it plano's own or in the last part of
    its time; tenants are kept apart.
    """
    async with ScriptedRouterModel() as router, redis_server() as server:
        routing = {"session_cache": {"type": "redis", "url": server.url, "call_budget_ms": 2000}}
        file = _config(tmp_path, router.url, routing_preferences=PREFERENCES, routing=routing)
        pin = {"model_name": "openai/gpt-4o-mini", "route_name": "summaries"}
        await server.client.set("plano:affinity:acme:s1", json.dumps(pin), px=200_000)
        arguments = ("--config", str(file), "--session", "s1", "--tenant")
        pinned = await _route(*arguments, "acme", "Write new functions")
        other = await _route(*arguments, "other", "Write new functions")
        keys = await server.key_names()
        value = await server.client.get("plano:affinity:acme:s1")
        left_ms = await server.client.pttl("plano:affinity:acme:s1")

    assert (json.dumps(pin).encode(), True) == (value, 0 < left_ms <= 200_000)
    assert ["", ""] == [pinned.errors, other.errors]
    wanted = (
        "session:  s1: pinned to openai/gpt-4o-mini (any entry)",
        "route:    code generation",
        "source:   pinned",
    )
    assert [True] * 3 == [part in pinned.out for part in wanted]
    assert "plan:     openai/gpt-4o-mini (openai/gpt-4o-mini), then openai/gpt-4o" in pinned.out
    assert ("session:  s1: no pin" in other.out, "source:   routed" in other.out) == (
        True,
        True,
    )
    assert ["plano:affinity:acme:s1"] == keys


async def test_the_router_model_is_sent_the_same_bytes_by_every_process(tmp_path):
    """From one config and one conversation, whatever the hash seed: its prefix cache is shared by
    all pods.
    """
    async with ScriptedRouterModel() as router:
        file = _config(tmp_path, router.url, routing_preferences=PREFERENCES)
        ends = [
            await _process(
                *("--config", str(file), "Make <this> short"),
                environment=os.environ | {"PYTHONHASHSEED": seed},
            )
            for seed in ("0", "1", "424242")
        ]
        bodies = {request.body for request in router.requests}

    assert (3, 1) == (router.seen, len(bodies))
    assert [0] * 3 == [each.returncode for each in ends]


async def test_text_that_is_no_utf8_is_taken(tmp_path):
    """A shell passes on what it was given."""
    async with ScriptedRouterModel() as router:
        file = _config(tmp_path, router.url, routing_preferences=PREFERENCES)
        shown = await _process("--config", str(file), os.fsdecode(b"Make this short \xff"))

    assert (0, "") == (shown.returncode, shown.stderr)
    assert "Make this short ?" in shown.stdout


@pytest.mark.parametrize(
    ("more", "code", "error"),
    [
        ({"model_providers": [{"model": "openai/a", "access_key": "k"}]}, 1, "model_not_found: "),
        ({"model_providers": [{"model": "a"}]}, 78, ""),
    ],
)
async def test_an_error_is_one_line(tmp_path, more, code, error):
    """On stderr, with its code; nothing is shown beside it."""
    file = tmp_path / "sidecar.yaml"
    file.write_text(json.dumps(more))
    shown = await _route("--config", str(file), "Hello")

    assert (code, "", 1) == (shown.code, shown.out, len(shown.errors.splitlines()))
    assert error in shown.errors


async def test_a_router_model_that_is_down_is_told(tmp_path):
    """The fallback is shown as a call would get it."""
    file = _config(tmp_path, "http://127.0.0.1:9", routing_preferences=PREFERENCES)
    shown = await _route("--config", str(file), "Make this long text short")

    assert 0 == shown.code
    assert all(
        part in shown.out
        for part in ("answer:   none", "outcome:  http_error", "source:   fallback")
    )


async def test_without_preferences_it_says_so(tmp_path):
    """And shows the default."""
    shown = await _route("--config", str(_config(tmp_path, "http://127.0.0.1:9")), "Hello")

    assert 0 == shown.code
    assert all(
        part in shown.out
        for part in ("No route is in effect", "source:   default", "openai/gpt-4o-mini")
    )


async def test_without_a_config_it_explains_what_run_would_do(monkeypatch):
    """Providers from the keys in the environment, and no routes."""
    for name in [each for each in os.environ if each.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    shown = [await _route("Hello")]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    shown.append(await _route("Hello"))

    assert [78, 1] == [each.code for each in shown]
    assert (True, "model_not_found: ") == (
        "no config file" in shown[0].errors,
        shown[1].errors[:17],
    )


@pytest.mark.parametrize("arguments", [[], ["--config", "x"], ["--session", "s1"]])
async def test_usage(arguments):
    """64, and what is missing."""
    shown = await _route(*arguments)

    assert (64, True) == (shown.code, "usage: plano-sidecar route" in shown.errors)

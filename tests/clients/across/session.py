"""One agent's session of ten turns through a sidecar, before models that do not speak its API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sidecar.demo.router_model import DemoRouterModel
from tests.clients import sandbox
from tests.clients.across.provider import ScriptedModel, prompt_of
from tests.clients.across.table import (
    REFUSED_FROM,
    TURNS,
    Agent,
    Crossing,
    Crossings,
    client_of,
)
from tests.clients.install import path_of
from tests.clients.table import ADDRESS, Client
from tests.support.sidecar_process import SidecarProcess, sidecar_config

_NATIVE_WAY: Final = "native"
_PROBLEMS: Final = 20
_SAID_CHARACTERS: Final = 400
_PICTURE: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one dot."""


class Crossed(msgspec.Struct, frozen=True):
    """What came of a session."""

    version: str
    turns: int
    """How many ended as they should."""
    tools: int
    """Results of tools that came to the models."""
    calls: int
    """Of the session, to the sidecar; titles and the like not counted."""
    beside: int
    """Other calls of the agent's."""
    refused: int
    """Calls of both kinds that got an error."""
    translated: dict[str, int]
    """Calls by the way of their translation; those that were not are ``native``."""
    pinned: int
    """Calls of the session whose pin decided: all but its first."""
    served: list[str]
    """Which model served each turn."""
    failovers: int
    """Calls for which the first model was asked in vain."""
    lost: dict[str, list[str]]
    """By the way of translation: what was named as left out of calls and responses."""
    cached: list[float]
    """The share of the session's input tokens that each model would have read from its cache."""
    whole_histories: int
    """Requests to models that held all that had been said and done before."""
    problems: list[str]
    """What a real provider would refuse, or what was not as it had been said."""


async def cross(crossings: Crossings, crossing: Crossing, work: Path) -> Crossed:
    """Run one session."""
    agent = crossings.agent_of(crossing)
    client = client_of(agent)
    with sandbox.empty_home() as home:
        _prepare(home)
        turns = agent.turns(home.work)
        async with contextlib.AsyncExitStack() as stack:
            router = await stack.enter_async_context(DemoRouterModel())
            models = [
                await stack.enter_async_context(ScriptedModel(turns, agent.speaks))
                for _ in crossing.models
            ]
            config = _config(crossing, [each.url for each in models], router.url)
            sidecar = SidecarProcess(config, work)
            try:
                await sidecar.wait_ready()
                began, outputs = await _converse(agent, client, home, sidecar, crossing, models)
            finally:
                await sidecar.terminate()
        lines = [json.loads(line) for line in sidecar.output().splitlines()]
        made = [(home.work / f"made-{turn}.txt").is_file() for turn in range(1, TURNS + 1)]
    return _crossed(client.version, began, outputs, made, lines, models)


def _config(crossing: Crossing, urls: list[str], router: str) -> dict[str, Any]:
    providers: list[dict[str, Any]] = [
        {"access_key": "k", "base_url": url, "model": each.model, "dialects": [*each.dialects]}
        for each, url in zip(crossing.models, urls, strict=True)
    ]
    providers[0]["default"] = True
    route = {"name": "working", "description": "doing what is to be done now"}
    config = sidecar_config(
        urls[0],
        model_providers=[*providers, {"model": "plano/router", "base_url": router}],
        passthrough=[],
        access_log={"mode": "all"},
        routing={"unknown_model": "default"},
        overrides={"llm_routing_model": "plano/router"},
        routing_preferences=[{**route, "models": [each.model for each in crossing.models]}],
    )
    del config["model_aliases"]
    return config


def _prepare(home: sandbox.Home) -> None:
    (home.work / "dot.png").write_bytes(_PICTURE)
    for turn in range(1, TURNS + 1):
        (home.work / f"note-{turn}.txt").write_text(f"word-{turn}\n")


async def _converse(
    agent: Agent,
    client: Client,
    home: sandbox.Home,
    sidecar: SidecarProcess,
    crossing: Crossing,
    models: list[ScriptedModel],
) -> tuple[list[datetime], list[str]]:
    """Run the agent once for each turn. Returns: when each began, and what it printed."""
    files = agent.files or client.files
    for path, text in files.items():
        home.place(path).parent.mkdir(parents=True, exist_ok=True)
        home.place(path).write_text(text.replace(ADDRESS, sidecar.data_url))
    environ = {"PATH": path_of(client), **client.quiet}
    environ |= {name: it.replace(ADDRESS, sidecar.data_url) for name, it in client.env.items()}
    began, outputs = [], []
    for turn in range(1, TURNS + 1):
        if turn == REFUSED_FROM:
            models[0].refuses_with = crossing.status
        began.append(datetime.now(UTC))
        command = agent.first if turn == 1 else agent.next
        words = [each.replace("{prompt}", prompt_of(turn)) for each in command]
        ended = await asyncio.to_thread(sandbox.run, words, home, environ)
        outputs.append(ended.output if ended.code is not None else "it took too long")
    return began, outputs


def _crossed(
    version: str,
    began: list[datetime],
    outputs: list[str],
    made: list[bool],
    lines: list[dict[str, Any]],
    models: list[ScriptedModel],
) -> Crossed:
    ends = [f"Turn {turn} is done." in said for turn, said in enumerate(outputs, 1)]
    problems = [each for model in models for each in model.problems]
    problems += [
        f"turn {turn} ended so: {said[-_SAID_CHARACTERS:]}"
        for turn, said in enumerate(outputs, 1)
        if not ends[turn - 1]
    ]
    session = _session_of(lines)
    own = [line for line in lines if line.get("session") == session]
    ways = Counter(str(line.get("translated") or _NATIVE_WAY) for line in own)
    return Crossed(
        version=version,
        turns=sum(ended and done for ended, done in zip(ends, made, strict=True)),
        tools=max(model.results for model in models),
        calls=len(own),
        beside=len(lines) - len(own),
        refused=sum(line["status"] >= 400 for line in lines),
        translated=dict(sorted(ways.items())),
        pinned=sum("AH" in (line.get("flags") or "") for line in own),
        served=[_served(own, began, turn) for turn in range(TURNS)],
        failovers=sum((line.get("attempts") or 1) > 1 for line in own),
        lost={way: _lost(own, way) for way in sorted(ways) if way != _NATIVE_WAY},
        cached=[round(model.read.cached / max(1, sum(model.read)), 3) for model in models],
        whole_histories=sum(model.whole_histories for model in models),
        problems=problems[:_PROBLEMS],
    )


def _session_of(lines: list[dict[str, Any]]) -> str | None:
    """The session that most calls belong to."""
    counted = Counter(line.get("session") for line in lines if line.get("session"))
    return counted.most_common(1)[0][0] if counted else None


def _served(lines: list[dict[str, Any]], began: list[datetime], turn: int) -> str:
    """Return which models served the calls of a turn."""
    times = [*began, datetime.max.replace(tzinfo=UTC)]
    found = {
        str(line.get("model")): None
        for line in lines
        if times[turn] <= datetime.fromisoformat(line["time"]) < times[turn + 1]
        and line["status"] == 200
    }
    return " then ".join(found)


def _lost(lines: list[dict[str, Any]], way: str) -> list[str]:
    said = [line.get("lost") or "" for line in lines if line.get("translated") == way]
    return sorted({name.strip() for each in said for name in each.split(",")} - {""})

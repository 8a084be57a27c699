"""What `/status` and the live page say of a sidecar that serves, and what they keep to themselves."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from sidecar.config.load import load_config
from tests.support.net import exchange, raw_request
from tests.support.redis_server import redis_server
from tests.support.routed import Routed, routed

GPT, MINI, CLAUDE = "openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-demo"


async def ask(sidecar: Routed, path: str, **headers: str) -> Any:
    """Ask the operators' listener."""
    return await exchange(sidecar.app.ports.operators, raw_request("GET", path, headers=headers))


async def status_of(sidecar: Routed) -> dict[str, Any]:
    """The status as a client reads it."""
    reply = await ask(sidecar, "/status")
    assert 200 == reply.status, reply
    status: dict[str, Any] = reply.json()
    return status


def nonzero(counts: dict[str, int]) -> dict[str, int]:
    """Without what never happened."""
    return {name: count for name, count in counts.items() if count}


async def test_it_tells_what_has_happened():
    """Calls by how they ended, decisions by source, attempts by candidate, the router model."""
    async with routed(translate=False) as sidecar:
        sidecar.provider.script.always("429", model="claude-demo")
        await sidecar.ask("Write new functions and boilerplate", path="/v1/messages")
        await sidecar.ask("Make this long text short")
        await sidecar.ask("Xyzzy", model="gpt-99")
        await sidecar.ask("Xyzzy")
        status = await status_of(sidecar)

    assert {"upstream_error": 1, "ok": 2, "client_error": 1} == nonzero(status["requests"])
    assert {"routed": 2, "requested": 1} == nonzero(status["decisions"])
    assert {"matched": 2, "other": 1} == nonzero(status["router"]["questions"])
    candidates = {each["model"]: each for each in status["candidates"]}
    claude = candidates[CLAUDE]
    assert ("cooling", "busy", "anthropic") == (
        claude["state"], claude["reason"], claude["provider"],
    )  # fmt: skip
    assert 0 < claude["left_s"] <= 60
    assert {"rate_limited": 1} == nonzero(claude["attempts"])
    assert {"ok": 1} == nonzero(candidates[GPT]["attempts"])
    assert 1 == sum(candidates[GPT]["first_byte"])
    assert ("serving", None) == (candidates[MINI]["state"], candidates[MINI]["left_s"])
    routes = {each["name"]: each["candidates"] for each in status["routes"]}
    assert [{"account": GPT, "model": GPT}, {"account": MINI, "model": MINI}] == routes["summaries"]
    assert 3 == sum(map(sum, status["routing"]["counts"].values()))
    failed, routed_call = status["calls"][-1], status["calls"][0]
    assert (429, "upstream_error", CLAUDE, "code generation", "routed", 1) == tuple(
        failed[name] for name in ("status", "outcome", "model", "route", "source", "attempts")
    )
    assert failed["cause"]
    assert routed_call["time"] >= failed["time"]


async def test_an_open_breaker_is_told():
    """While it is open, also where no call asks."""
    async with routed(routing={"router_timeout_ms": 3000}) as sidecar:
        await sidecar.router.aclose()
        for _ in range(6):
            await sidecar.ask("Write a function")
        router = (await status_of(sidecar))["router"]

    assert (True, "plano/router") == (router["is_breaker_open"], router["model"])


async def test_a_swapped_config_is_the_next_generation(tmp_path):
    """With its own routes and warnings; the process began once."""
    async with routed() as sidecar:
        first = await status_of(sidecar)
        config = json.loads(sidecar.app.generation.loaded.files[0].read_text())
        file = tmp_path / "next.yaml"
        file.write_text(json.dumps(config | {"routing_preferences": []}))
        sidecar.app.swap(load_config(file, {}))
        second = await status_of(sidecar)

    assert (1, 2) == (first["config"]["generation"], second["config"]["generation"])
    assert (2, 0) == (len(first["routes"]), len(second["routes"]))
    assert (str(file), True) == (
        second["config"]["file"], second["config"]["since_unix_s"] >= first["config"]["since_unix_s"],
    )  # fmt: skip
    assert second["uptime_s"] >= first["uptime_s"]


async def test_a_drain_is_told_as_the_state():
    """The page says so while calls end."""
    async with routed(drain={"quiet_s": 0, "grace_s": 10}) as sidecar:
        assert "ready" == (await status_of(sidecar))["state"]
        sidecar.app.foundation.latch.drain()

        assert "draining" == (await status_of(sidecar))["state"]


async def test_redis_is_told_by_its_place_and_not_by_its_password():
    """Up, tracking, and how many pins are here."""
    async with redis_server("7") as redis:
        url = redis.url.replace("redis://", "redis://:PASSWORDMARK@", 1)
        cache = {"type": "redis", "url": url, "tenant": "TENANTMARK"}
        async with routed(routing={"session_cache": cache}) as sidecar:
            status = await status_of(sidecar)
            assert re.fullmatch(r"redis at 127\.0\.0\.1:\d+", status["store"]["place"])
            assert status["store"]["is_shared"]

    assert "PASSWORDMARK" not in json.dumps(status)


async def test_nothing_of_an_app_is_told_in_clear():
    """No prompt, reply, key, session or tenant, wherever an app may put one."""
    marks = {
        "x-model-affinity": "SESSIONMARK",
        "x-tenant": "TENANTMARK",
        "authorization": "Bearer KEYMARK",
        "x-claude-code-agent-id": "AGENTMARK",
    }
    cache = {"type": "memory", "tenant_header": "x-tenant"}
    async with routed(routing={"session_cache": cache}) as sidecar:
        for wish in ("", "500", "cut"):
            if wish:
                sidecar.provider.script.always(wish)
            await sidecar.ask("PROMPTMARK write a function", headers=marks, user="USERMARK")
        pages = [(await ask(sidecar, path, accept="text/html")).body for path in ("/status", "/")]

    shown = b"".join(pages)
    assert [] == re.findall(rb"\w+MARK|sk-demo|sk-ant-demo", shown)
    assert b"upstream_error" in pages[0]


async def test_the_page_is_served_to_browsers_and_the_list_of_pages_to_curl():
    """Neither is kept, nor shown inside another page."""
    async with routed() as sidecar:
        page = await ask(sidecar, "/", accept="text/html")
        listed = await ask(sidecar, "/")
        links = re.findall(r'<a href="([a-z_/]+)"', page.body.decode())
        replies = [await ask(sidecar, f"/{link}") for link in links]

    assert page.body.startswith(b"<!doctype html>")
    assert ("no-store", "nosniff", "DENY") == tuple(
        page.header(name) for name in ("cache-control", "x-content-type-options", "x-frame-options")
    )
    assert "script-src 'sha256-" in (page.header("content-security-policy") or "")
    assert b"GET /status" in listed.body
    assert [200] * len(links) == [reply.status for reply in replies]


async def test_the_status_is_quickly_there_while_calls_go_on():
    """Asked for by many at once it is one JSON document each, and delays no call."""
    async with routed() as sidecar:
        replies = await asyncio.gather(
            *(status_of(sidecar) for _ in range(8)),
            *(sidecar.ask("Xyzzy") for _ in range(8)),
        )

    assert [1] * 8 == [each["schema"] for each in replies[:8]]
    assert [200] * 8 == [each.status for each in replies[8:]]

"""The live page of a real sidecar shows what has happened to real calls."""

from __future__ import annotations

import json

import pytest

from tests.support.browser import NARROW, watched_page
from tests.support.routed import Routed, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")

GPT, MINI, CLAUDE = "openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-demo"


def url_of(sidecar: Routed) -> str:
    """Where the page is."""
    return f"http://127.0.0.1:{sidecar.app.ports.operators}/"


async def test_calls_are_counted_and_a_provider_that_fails_is_named(browser):
    """As they happen, without a reload; and it is told when it serves again."""
    async with routed(translate=False) as sidecar, watched_page(browser, url_of(sidecar)) as shown:
        await shown.see("#verdict", "Nothing is wrong")
        await shown.see("#candidates-sum", "4 of 4 serving")
        await sidecar.ask("Make this long text short")
        await shown.see("#tiles", "since the start: 1")
        assert "1" == (await shown.row("#sources", "routed"))["Calls"]
        assert "1 matched" in (await shown.read("#router"))[0]

        sidecar.provider.script.always("401", model="claude-demo")
        await sidecar.ask("Write new functions and boilerplate", path="/v1/messages")
        await shown.see("#verdict", f"{CLAUDE} is ejected: the provider refuses our key")
        await shown.see("#verdict", "1 call of 2 failed")
        row = await shown.row("#candidates", CLAUDE)
        assert ("✕ ejected", "1: credential refused") == (row["State"], row["Failed"])

        failed = shown.page.locator("#calls tr.failed").first
        await failed.get_by_role("button").press("Enter")
        for fact in ("✕ 401", CLAUDE, "code generation", "routed", "credential refused"):
            await shown.see("#calls tr.failed", fact)
        for fact in ("request id", "trace id", "decision router outcome", "matched"):
            await shown.see("#calls .facts", fact)
        assert 2 == await shown.page.locator("#calls .opener").count()

        assert {url_of(sidecar), f"{url_of(sidecar)}status"} == set(shown.asked)
        assert [] == shown.complaints


async def test_hostile_names_of_apps_and_configs_stay_text(browser):
    """A model's name is an app's to choose; a route's and an entry's are the config's."""
    name = '<img src=x onerror="document.title=1">'
    routes = [{"name": name, "description": name, "models": [GPT]}]
    entries = {GPT: {"name": f"{name}&amp;"}}
    async with (
        routed(entries, routing_preferences=routes) as sidecar,
        watched_page(browser, url_of(sidecar)) as shown,
    ):
        sidecar.router.text = json.dumps({"route": name})
        await sidecar.ask("Xyzzy")
        await sidecar.ask("Xyzzy", model=name)
        await shown.see("#tiles", "since the start: 2")

        await shown.see("#calls", f"{name}")
        assert f"{name}&amp;" == (await shown.row("#candidates", name))["Entry"]
        assert 0 == await shown.page.locator("main img").count()
        assert [] == shown.complaints


async def test_a_process_that_ends_is_said_to_be_gone(browser, tmp_path):
    """The page stays, with the numbers of then, and says how old they are."""
    async with routed() as sidecar:
        port = sidecar.app.ports.operators
        async with watched_page(browser, f"http://127.0.0.1:{port}/", **NARROW) as shown:
            await sidecar.ask("Xyzzy")
            await shown.see("#tiles", "since the start: 1")
            await sidecar.app.__aexit__()
            await shown.see("#verdict-heading", "The sidecar does not answer")
            await shown.see("#age", "no answer")
            assert "openai/gpt-4o" in (await shown.read("#candidates"))[0]

"""A session is named to the prompt cache of the provider that serves it, and to no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import openai
import pytest

from sidecar.app import App
from sidecar.config.conventions import family_of
from sidecar.config.families import FAMILIES
from sidecar.wire.headers import CACHE_HINTS
from tests.support.in_process import running_app
from tests.support.scripted_provider import ScriptedProvider

FIREWORKS, XAI, CLAUDE = "fireworks/kimi-k3", "xai/grok-4", "anthropic/claude-demo"
SESSION = "session-of-mallory"


def _config(url: str, *models: str, **more: Any) -> dict[str, Any]:
    """Each model falls over to those behind it."""
    entries: list[dict[str, Any]] = [
        {
            "model": model,
            "access_key": f"sk-{model}",
            "base_url": f"{url}{FAMILIES[family_of(model)].base_path}",
            "fallbacks": models[at + 1 :],
        }
        for at, model in enumerate(models)
    ]
    entries[0]["default"] = True
    entries[0] |= more
    return {"model_providers": entries}


async def _chat(app: App, session: str, **more: Any) -> Any:
    client = openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{app.ports.data}/v1", api_key="unused", max_retries=0
    )
    async with client:
        return await client.chat.completions.create(
            model="none",
            messages=[{"role": "user", "content": "hello"}],
            extra_headers={"x-model-affinity": session, **more.pop("headers", {})},
            **more,
        )


def _hints(provider: ScriptedProvider) -> list[dict[str, str]]:
    """What each request said of its session, by headers, and of what else was sent along."""
    found = []
    for request in provider.requests:
        assert SESSION.encode() not in request.body
        fields = {name.decode().lower(): value.decode() for name, value in request.headers}
        assert SESSION not in fields.values()
        found.append({name: value for name, value in fields.items() if name in CACHE_HINTS})
    return found


@pytest.mark.parametrize("model", [FIREWORKS, XAI, "mistral/large"])
async def test_a_session_has_one_name_at_its_provider_whichever_pod_sends_it(tmp_path, model):
    """Its own, which is not its id; each session has another."""
    async with ScriptedProvider() as provider:
        for _ in range(2):
            async with running_app(_config(provider.url, model), tmp_path) as app:
                await _chat(app, SESSION)
                await _chat(app, f"another-{SESSION}")
        sent = _hints(provider)

    (name,) = FAMILIES[family_of(model)].cache_hints.headers
    assert [{name}] * 4 == [set(each) for each in sent]
    first, other, again, other_again = (each[name] for each in sent)
    assert (first, other) == (again, other_again)
    assert first != other


async def test_on_failover_each_provider_gets_its_own(tmp_path):
    """The app's header goes to the one that knows it, and made ones stay with theirs."""
    async with ScriptedProvider() as provider:
        provider.script.always("503", model=FIREWORKS.partition("/")[2])
        provider.script.always("503", model=XAI.partition("/")[2])
        async with running_app(_config(provider.url, FIREWORKS, XAI, CLAUDE), tmp_path) as app:
            own = {"x-session-affinity": "of-the-app"}
            await _chat(app, SESSION, headers=own)
        fireworks, xai, claude = _hints(provider)

    assert own == fireworks
    assert {"x-grok-conv-id"} == set(xai)
    assert {} == claude


@pytest.mark.parametrize(
    ("cache_hint", "names", "has_member"),
    [("leave", (), False), ("header", ("x-session-affinity",), False), ("body", ("x-session-affinity",), True)],
)  # fmt: skip
async def test_the_operator_says_how(tmp_path, cache_hint, names: Sequence[str], has_member):
    """In the body only where that is asked for; what the app names itself stays as it came."""
    async with ScriptedProvider() as provider:
        config = _config(provider.url, FIREWORKS, cache_hint=cache_hint)
        async with running_app(config, tmp_path) as app:
            await _chat(app, SESSION)
            await _chat(app, SESSION, extra_body={"prompt_cache_key": "of-the-app"})
        sent = _hints(provider)
        bodies = [json.loads(request.body) for request in provider.requests]

    assert [set(names), set()] == [set(each) for each in sent]
    assert has_member == ("prompt_cache_key" in bodies[0])
    assert not has_member or bodies[0]["prompt_cache_key"] == sent[0]["x-session-affinity"]
    assert "of-the-app" == bodies[1]["prompt_cache_key"]


async def test_a_header_goes_to_the_one_entry_that_is_to_see_it(tmp_path):
    """`propagate` of an entry, on failover too."""
    async with ScriptedProvider() as provider:
        provider.script.always("503", model="gpt-4o")
        config = _config(provider.url, "openai/gpt-4o", CLAUDE)
        config["model_providers"][1]["propagate"] = ["X-Tier", "session_id"]
        async with running_app(config, tmp_path) as app:
            await _chat(app, "s", headers={"X-Tier": "gold", "session_id": "mine"})
        first, second = (
            {name.lower(): value for name, value in request.headers}
            for request in provider.requests
        )

    assert (None, b"mine") == (first.get(b"x-tier"), first.get(b"session_id"))
    assert (b"gold", b"mine") == (second.get(b"x-tier"), second.get(b"session_id"))


async def test_messages_of_a_session_are_named_at_a_provider_that_serves_them(tmp_path):
    """By Anthropic's SDK; counting tokens has no prompt to cache."""
    async with ScriptedProvider() as provider:
        async with running_app(_config(provider.url, FIREWORKS), tmp_path) as app:
            client = anthropic.AsyncAnthropic(
                base_url=f"http://127.0.0.1:{app.ports.data}",
                api_key="unused",
                max_retries=0,
                default_headers={"x-claude-code-session-id": SESSION},
            )
            async with client:
                said: Any = [{"role": "user", "content": "hello"}]
                await client.messages.create(model="kimi-k3", max_tokens=9, messages=said)
                await client.messages.count_tokens(model="kimi-k3", messages=said)
        whole, counted = _hints(provider)

    assert [{"x-session-affinity"}, set()] == [set(whole), set(counted)]

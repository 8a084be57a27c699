"""A call that was written for one model is served by another one of the same API that refuses part
of it, in one attempt, and the app is told what was left out.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import openai
import pytest
import pytest_asyncio

from sidecar.app import App
from sidecar.config.conventions import family_of
from sidecar.config.families import FAMILIES
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request
from tests.support.refusing_provider import (
    CHAT,
    GONE,
    MESSAGES,
    REFUSED,
    RESPONSES,
    Refused,
    RefusingProvider,
    refusal_body,
)
from tests.support.scripted_provider import ScriptedRouterModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = "vllm/asked"
TEXT = "Make this long text short"
IDS = [f"{each.model} {each.path[4:]} {each.lost}" for each in REFUSED]


class Running(NamedTuple):
    app: App
    provider: RefusingProvider

    async def ask(self, refused: Refused, model: str, **more: Any) -> RawReply:
        """Make a call that a model refuses; routed to it, where another one is asked for."""
        self.provider.refused = refused
        self.provider.requests.clear()
        body = {**body_of(refused, model), **more}
        if model == ASKED:
            body["routing_preferences"] = [
                {"name": "work", "description": "all of it", "models": [refused.model]}
            ]
        return await exchange(self.app.ports.data, json_request(refused.path, body))

    @property
    def sent(self) -> list[Any]:
        """The bodies that the provider got."""
        return [request.json() for request in self.provider.requests]


def body_of(refused: Refused, model: str) -> dict[str, Any]:
    said: dict[str, Any] = {"messages": [{"role": "user", "content": TEXT}]}
    base = {CHAT: said, RESPONSES: {"input": TEXT}, MESSAGES: {**said, "max_tokens": 9}}
    return {"model": model, **base[refused.path], **refused.more}


def _entry(model: str, url: str, **more: Any) -> dict[str, Any]:
    base = f"{url}{FAMILIES[family_of(model)].base_path}"
    return {"model": model, "access_key": "sk-1", "base_url": base, **more}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A sidecar with every model of the table, one that takes everything, and a router model."""
    async with RefusingProvider() as provider, ScriptedRouterModel() as router:
        router.text = '{"route": "work"}'
        models = dict.fromkeys(each.model for each in REFUSED)
        config = {
            "model_providers": [
                _entry(ASKED, provider.url, default=True),
                *(_entry(model, provider.url) for model in models),
                {"model": "plano/router", "base_url": router.url},
            ],
            "overrides": {"llm_routing_model": "plano/router"},
        }
        async with running_app(config, tmp_path_factory.mktemp("patches")) as app:
            yield Running(app, provider)


@pytest.mark.parametrize("refused", REFUSED, ids=IDS)
async def test_what_a_model_is_known_to_refuse_is_not_sent_to_it(running, refused):
    """The first attempt serves, and every other member is as the app wrote it."""
    reply = await running.ask(refused, ASKED)

    expected = {**body_of(refused, refused.model.partition("/")[2]), **refused.sent}
    shown = [reply.header(f"x-plano-{name}") for name in ("model", "attempts", "lost")]
    assert (200, [refused.model, "1", refused.lost]) == (reply.status, shown)
    assert [{name: value for name, value in expected.items() if value is not GONE}] == running.sent


@pytest.mark.parametrize("refused", REFUSED, ids=IDS)
async def test_the_model_that_the_app_asked_for_gets_the_body_as_it_came(running, refused):
    """And its refusal is the app's."""
    reply = await running.ask(refused, refused.model)

    assert (400, refusal_body(refused)) == (reply.status, reply.body)
    assert reply.header("x-plano-lost") is None
    assert [body_of(refused, refused.model.partition("/")[2])] == running.sent


async def test_an_app_of_the_openai_sdk_is_routed_to_a_newer_model(tmp_path):
    """From gpt-4o, with parameters that gpt-5-mini refuses; asked for by name, it refuses them."""
    refused = next(each for each in REFUSED if each.model == "openai/gpt-5-mini")
    async with RefusingProvider() as provider, ScriptedRouterModel() as router:
        provider.refused, router.text = refused, '{"route": "work"}'
        config = {
            "model_providers": [
                _entry("openai/gpt-4o", provider.url),
                _entry("openai/gpt-5-mini", provider.url),
                {"model": "plano/router", "base_url": router.url},
            ],
            "overrides": {"llm_routing_model": "plano/router"},
            "routing_preferences": [
                {"name": "work", "description": "all of it", "models": ["openai/gpt-5-mini"]}
            ],
            "access_log": {"mode": "all"},
        }
        async with running_app(config, tmp_path) as app:
            url = f"http://127.0.0.1:{app.ports.data}/v1"
            client = openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0)
            ask = client.chat.completions.with_raw_response.create
            asked: dict[str, Any] = {
                "messages": [{"role": "user", "content": TEXT}],
                "max_tokens": 300,
                "temperature": 0.2,
            }
            reply = await ask(model="gpt-4o", **asked)
            said = reply.parse().choices[0].message.content
            with pytest.raises(openai.BadRequestError) as refusal:
                await ask(model="gpt-5-mini", **asked, extra_body={"routing_preferences": []})
            page = await exchange(
                app.ports.operators, b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            await client.close()

    shown = [reply.headers[f"x-plano-{name}"] for name in ("model", "attempts", "source", "lost")]
    assert ["openai/gpt-5-mini", "1", "routed", "max_tokens, temperature"] == shown
    assert said
    assert "max_completion_tokens" in refusal.value.message
    newest = json.loads(page.body)["calls"]
    assert ["max_tokens, temperature"] == [each["lost"] for each in newest if each.get("lost")]
    sent = [request.body for request in provider.requests]
    assert b'"max_tokens":300' in sent[1]
    assert b'"max_completion_tokens":300' in sent[0]


async def test_an_operator_can_have_a_body_sent_as_it_came(tmp_path):
    """`patches: false`: then a refusal moves the call on."""
    refused = next(each for each in REFUSED if each.model == "openai/gpt-5-mini")
    async with RefusingProvider() as provider:
        provider.refused = refused
        config = {
            "model_providers": [
                _entry(ASKED, f"{provider.url}/gone", fallbacks=["openai/gpt-5-mini"]),
                _entry("openai/gpt-5-mini", provider.url, patches=False),
            ]
        }
        async with running_app(config, tmp_path) as app:
            provider.script.always("503", model="asked")
            request = json_request(CHAT, body_of(refused, ASKED))
            reply = await exchange(app.ports.data, request)

    assert reply.header("x-plano-lost") is None
    assert "max_tokens" in provider.requests[-1].json()

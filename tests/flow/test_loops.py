"""A sidecar that is a provider of its own, directly or around a ring, ends at the second round."""

from __future__ import annotations

import json
import re
from typing import Any

import anthropic
import openai
import pytest

from sidecar.app import App
from sidecar.config.load import load_config
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, free_port, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
OTHER = "1.1 plano-sidecar-" + "0" * 32


def _app(tmp_path, port: int, base_url: str, **overrides: Any) -> App:
    """A sidecar at a known port, all of whose providers are at one address."""
    config = sidecar_config(base_url, **overrides)
    config["listeners"][0]["port"] = port
    config["admin"] = {"address": "127.0.0.1", "port": 0, "operator_address": "127.0.0.1:0"}
    file = tmp_path / f"{port}.yaml"
    file.write_text(json.dumps(config))
    return App(load_config(file, {}))


def _in_short(reply: RawReply) -> tuple[int, str | None, str | None, str | None]:
    names = ("x-plano-error", "x-should-retry", "x-plano-attempts")
    error, retry, attempts = (reply.header(name) for name in names)
    return reply.status, error, retry, attempts


@pytest.mark.parametrize("stream", [False, True])
async def test_a_sidecar_that_is_its_own_provider_ends_at_the_second_round(tmp_path, stream):
    """41 rounds came about before the limit of calls in flight ended them."""
    port = free_port()
    async with _app(tmp_path, port, f"http://127.0.0.1:{port}") as app:
        reply = await exchange(app.ports.data, json_request(CHAT, {**BODY, "stream": stream}))
        other = await exchange(app.ports.data, raw_request("GET", "/v1/files/f1"))
        scrape = await exchange(app.ports.admin, raw_request("GET", "/metrics"))
    rounds = re.findall(r"plano_sidecar_requests_total\{[^}]*\} (\d+)", scrape.body.decode())

    assert (508, "loop_detected", "false", "1") == _in_short(reply)
    assert "loop_detected" == json.loads(reply.body)["error"]["code"]
    assert (508, "loop_detected", "false", "1") == _in_short(other)
    assert 4 == sum(map(int, rounds)), scrape.body.decode()


async def test_another_candidate_serves_where_one_is_the_sidecar_itself(tmp_path):
    """A loop is a failed attempt."""
    port = free_port()
    async with ScriptedProvider() as provider:
        config = sidecar_config(provider.url)
        good, itself = config["model_providers"][0], f"http://127.0.0.1:{port}"
        looping: dict[str, Any] = {"model": "openai/gpt-4o", "base_url": itself}
        looping["fallbacks"] = [good["model"]]
        async with _app(tmp_path, port, itself, model_providers=[looping, good]) as app:
            reply = await exchange(app.ports.data, json_request(CHAT, BODY))

    assert (200, None, None, "2") == _in_short(reply)


async def test_two_sidecars_in_a_ring_are_told_too(tmp_path):
    """Each adds itself to Via, and passes the other's on."""
    here, there = free_port(), free_port()
    async with (
        _app(tmp_path, here, f"http://127.0.0.1:{there}") as app,
        _app(tmp_path, there, f"http://127.0.0.1:{here}"),
    ):
        reply = await exchange(app.ports.data, json_request(CHAT, BODY))

    assert (508, "loop_detected", "false", "1") == _in_short(reply)


async def test_the_router_model_may_not_be_the_sidecar_itself(tmp_path):
    """Each question would be a call that asks the same question. The call goes where it was sent."""
    port = free_port()
    async with ScriptedProvider() as provider:
        router = {"model": "plano/Router", "base_url": f"http://127.0.0.1:{port}/v1"}
        providers = [*sidecar_config(provider.url)["model_providers"], router]
        async with _app(
            tmp_path,
            port,
            provider.url,
            model_providers=providers,
            overrides={"llm_routing_model": "plano/Router"},
            routing_preferences=[
                {"name": "code", "description": "writing code", "models": ["openai/gpt-4o-mini"]}
            ],
        ) as app:
            reply = await exchange(app.ports.data, json_request(CHAT, BODY))
            asked = len(provider.requests)

    assert (200, "fallback", 1) == (reply.status, reply.header("x-plano-source"), asked)


async def test_a_chain_of_sidecars_serves_and_an_apps_own_via_goes_nowhere(tmp_path):
    """A central sidecar behind those of the pods is no loop; what the app's network adds stays."""
    port = free_port()
    async with (
        ScriptedProvider() as provider,
        _app(tmp_path, port, provider.url),
        running_app(sidecar_config(f"http://127.0.0.1:{port}"), tmp_path) as near,
    ):
        headers = {"Via": f"1.1 squid.corp, {OTHER}"}
        reply = await exchange(near.ports.data, json_request(CHAT, BODY, headers))
        vias = provider.requests[0].header_values("via")
    members = ", ".join(vias).split(", ")

    assert 200 == reply.status
    assert (3, True) == (len(members), OTHER in members)
    assert all(re.fullmatch(r"1\.1 plano-sidecar-[0-9a-f]{32}", each) for each in members)


async def test_the_sdks_do_not_try_a_loop_again(tmp_path):
    """By default both would, twice, for any 5xx."""
    port = free_port()
    async with _app(tmp_path, port, f"http://127.0.0.1:{port}") as app:
        url = f"http://127.0.0.1:{app.ports.data}"
        chat = openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1")
        messages = anthropic.AsyncAnthropic(api_key="k", base_url=url)
        with pytest.raises(openai.APIStatusError) as raised:
            await chat.chat.completions.create(model="gpt-4o", messages=[])
        with pytest.raises(anthropic.APIStatusError) as raised_there:
            await messages.messages.create(model="claude-demo", max_tokens=9, messages=[])
        scrape = await exchange(app.ports.admin, raw_request("GET", "/metrics"))
        await chat.close()
        await messages.close()
    rounds = re.findall(r"plano_sidecar_requests_total\{[^}]*\} (\d+)", scrape.body.decode())

    assert (508, 508) == (raised.value.status_code, raised_there.value.status_code)
    assert 4 == sum(map(int, rounds))

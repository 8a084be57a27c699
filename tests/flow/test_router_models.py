"""Router models of today: those that refuse old parameters, and those that decide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.command import command
from tests.support.in_process import running_app
from tests.support.routed import PREFERENCES
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sdks import open_sdks
from tests.support.sidecar_process import sidecar_config


class Router:
    """A router model's server: answers by a function, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._answer = answer
        app = web.Application()
        app.router.add_post("/{path:.*}", self._serve)
        self.server = TestServer(app)

    async def _serve(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.asked.append((request.path, body))
        status, reply = self._answer(body)
        return web.json_response(reply, status=status)


def _reasoning(body: dict[str, Any]) -> tuple[int, object]:
    """Answers as models that reason do: no temperature, no max_tokens."""
    for name in ("max_tokens", "temperature"):
        if name in body:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            return 400, {"error": {"message": message, "param": name}}
    return 200, {
        "choices": [{"message": {"content": json.dumps({"route": PREFERENCES[0]["name"]})}}]
    }


def _deciding(body: dict[str, Any]) -> tuple[int, object]:
    if "questions" not in body:
        return 400, {"error": {"message": "not a chat model"}}
    (first, *_) = body["questions"]["route"]["criteria"]
    answer = {"type": "choice", "choice": first, "probabilities": {first: 0.91, "other": 0.09}}
    return 200, {"model": body["model"], "answers": {"route": answer}}


def _config(provider_url: str, router_url: str, model: str, **routing: Any) -> dict[str, Any]:
    config = sidecar_config(provider_url, routing_preferences=PREFERENCES)
    config["model_providers"].append({"model": model, "base_url": router_url, "access_key": "k"})
    config["overrides"] = {"llm_routing_model": model}
    config["routing"] = {**config.get("routing", {}), **routing}
    return config


async def _routes(config: dict[str, Any], folder: Any, calls: int = 1) -> list[dict[str, str]]:
    """The sidecar's headers of calls that are routed."""
    headers = []
    async with (
        running_app(config, folder) as app,
        open_sdks(f"http://127.0.0.1:{app.ports.data}", "async") as sdks,
    ):
        for number in range(calls):
            said = [{"role": "user", "content": f"Write a function {number}"}]
            create = sdks.openai.chat.completions.with_raw_response.create
            reply = await create(model="openai/gpt-4o", messages=said)
            headers.append(dict(reply.headers))
    return headers


async def test_a_model_that_reasons_routes_after_one_refusal(tmp_path):
    """It is asked again in its own form; the next call is asked once."""
    router = Router(_reasoning)
    async with ScriptedProvider() as provider, router.server as server:
        config = _config(provider.url, str(server.make_url("")), "openai/gpt-5-mini")
        headers = await _routes(config, tmp_path, calls=2)

    assert [PREFERENCES[0]["name"]] * 2 == [each["x-plano-route"] for each in headers]
    asked = [sorted(body) for _, body in router.asked]
    assert ["max_tokens", "messages", "model", "stream", "temperature"] == asked[0]
    assert [
        ["max_completion_tokens", "messages", "model", "reasoning_effort", "stream"]
    ] * 2 == asked[1:]


@pytest.mark.parametrize(
    ("model", "path"),
    [("vllm/jev", "/v1/systemone"), ("openrouter/typesafe/jev", "/api/alpha/decisions"),
     ("fireworks/decider", "/inference/v1/decisions")],
)  # fmt: skip
async def test_a_decision_model_routes_by_a_choice(tmp_path, model, path):
    """At its provider's path; the app reads how probable the choice is."""
    router = Router(_deciding)
    async with ScriptedProvider() as provider, router.server as server:
        url = str(server.make_url("")).rstrip("/")
        config = _config(provider.url, url, model, llm_routing_interface="decisions")
        (headers,) = await _routes(config, tmp_path)

    assert (PREFERENCES[0]["name"], "0.91") == (
        headers["x-plano-route"],
        headers["x-plano-confidence"],
    )
    assert [path] == [asked for asked, _ in router.asked]


async def test_a_choice_that_is_hardly_probable_routes_nothing(tmp_path):
    """The call goes to the model that it asks for."""
    router = Router(_deciding)
    async with ScriptedProvider() as provider, router.server as server:
        url = str(server.make_url("")).rstrip("/")
        config = _config(
            provider.url, url, "vllm/jev", llm_routing_interface="decisions", min_confidence=0.95
        )
        (headers,) = await _routes(config, tmp_path)

    assert ("openai/gpt-4o", "requested") == (headers["x-plano-model"], headers["x-plano-source"])


@pytest.mark.parametrize(
    ("route_only", "asked"), [(["openai/gpt-4o"], 1), (["openai/gpt-4o-mini"], 0)]
)
async def test_only_the_named_models_are_routed(tmp_path, route_only, asked):
    """Titles and small models that an app asks for by name are left alone."""
    router = Router(_reasoning)
    async with ScriptedProvider() as provider, router.server as server:
        config = _config(
            provider.url, str(server.make_url("")), "openai/gpt-5-mini", route_only=route_only
        )
        (headers,) = await _routes(config, tmp_path)

    assert (asked > 0) == bool(router.asked)
    assert ("routed" if asked else "requested") == headers["x-plano-source"]


async def test_route_prints_what_the_router_refuses(tmp_path):
    """An operator sees the server's own words."""

    def refuses(_: dict[str, Any]) -> tuple[int, object]:
        return 404, {"error": {"message": "The model `gpt-5-mini` does not exist"}}

    router = Router(refuses)
    async with ScriptedProvider() as provider, router.server as server:
        config = _config(provider.url, str(server.make_url("")), "openai/gpt-5-mini")
        file = tmp_path / "sidecar.yaml"
        file.write_text(json.dumps(config))
        shown = await command("route", "--config", str(file), "Write a function")

    assert "outcome:  http_error" in shown.out
    assert "cause:    status 404: The model `gpt-5-mini` does not exist" in shown.out

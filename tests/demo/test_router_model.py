"""The demo router model chooses by shared words."""

from __future__ import annotations

import json

import pytest

from sidecar.demo.router_model import DemoRouterModel, choose_route
from tests.support.net import exchange, json_request
from tests.support.scripted_provider import ScriptedRouterModel

ROUTES = [
    {"name": "code generation", "description": "writing new functions, scripts or boilerplate"},
    {"name": "summaries", "description": "summarizing notes, mails and documents"},
]


def prompt(*said: str, as_array: bool = False) -> str:
    """A router prompt whose user said these things, newest last."""
    routes = json.dumps(ROUTES) if as_array else "\n".join(json.dumps(route) for route in ROUTES)
    turns = [{"role": "user", "content": text} for text in said] + [
        {"role": "assistant", "content": "notes and mails"}
    ]
    return f"Choose.\n<routes>\n{routes}\n</routes>\n<conversation>\n{json.dumps(turns)}\n</conversation>"


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize(
    ("said", "route"),
    [
        (["Write a function that sorts"], "code generation"),
        (["Please summarize these notes"], "summaries"),
        (["Write a function", "Now summarize it"], "summaries"),
        (["Good morning"], "other"),
        (["the new one for you"], "other"),
        ([], "other"),
    ],
)
def test_the_newest_user_message_decides(said: list[str], route: str, as_array: bool) -> None:
    """The route that shares most words with the newest user message is chosen; filler words do not
    count.
    """
    assert choose_route(prompt(*said, as_array=as_array)) == route


@pytest.mark.parametrize("kind", [DemoRouterModel, ScriptedRouterModel])
async def test_over_the_wire(kind: type[DemoRouterModel | ScriptedRouterModel]) -> None:
    """It replies as a chat model does; a user message that asks the provider to fail does not fail
    it.
    """
    async with kind() as router:
        turns = [{"role": "user", "content": prompt("Write a script [[fail:500]]")}]
        port = int(router.url.rpartition(":")[2])
        body = {"model": "router", "messages": turns}
        reply = await exchange(port, json_request("/v1/chat/completions", body))

    route = json.loads(reply.json()["choices"][0]["message"]["content"])
    assert {"route": "code generation"} == route


async def test_a_scripted_router_model_fails_as_it_is_told() -> None:
    """Its script is one of its own."""
    async with ScriptedRouterModel() as router:
        router.script.next("500")
        port = int(router.url.rpartition(":")[2])
        body = {"model": "router", "messages": [{"role": "user", "content": prompt("Hello")}]}
        reply = await exchange(port, json_request("/v1/chat/completions", body))

    assert 500 == reply.status

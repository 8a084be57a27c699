"""The demo router model chooses by shared words."""

from __future__ import annotations

import json

import pytest

from sidecar.demo.router_model import DemoRouterModel, choose_route
from tests.support.net import exchange, json_request

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


async def test_over_the_wire() -> None:
    """It answers as a chat model does, and a directive for the provider does not fail it."""
    async with DemoRouterModel() as router:
        body = {
            "model": "router",
            "messages": [{"role": "user", "content": prompt("Write a script [[fail:500]]")}],
        }
        port = int(router.url.rpartition(":")[2])
        reply = await exchange(port, json_request("/v1/chat/completions", body))
        assert json.loads(reply.json()["choices"][0]["message"]["content"]) == {
            "route": "code generation"
        }
        router.script.next("500")
        assert (await exchange(port, json_request("/v1/chat/completions", body))).status == 500

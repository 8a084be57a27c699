"""`/routing/v1/...`: what a call would get, in one JSON object, by the same rules, sent nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.net import exchange, json_request, raw_request
from tests.support.routed import CHAT, MESSAGES, PREFERENCES, RESPONSES, Routed, routed

CODE, GPT, MINI = "anthropic/claude-demo", "openai/gpt-4o", "openai/gpt-4o-mini"
TEXT = "Make this long text short"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SESSION = {
    "x-model-affinity": "s1",
    "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
    "x-request-id": "r1",
}
REQUESTED = {CHAT: MINI, RESPONSES: MINI, MESSAGES: CODE}
SHARED = {**PREFERENCES[1], "models": [GPT, MINI, CODE]}


async def _decide(sidecar: Routed, path: str, text: str = TEXT, **more: Any) -> Any:
    model = {"model": "claude-demo"} if path == MESSAGES else {}
    return await sidecar.ask(text, f"/routing{path}", **(model | more))


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
async def test_the_whole_answer(path):
    """Routed, then pinned (the pinned model first, then the rest of its route), then without a
    route or a session. Models that would be translated for are listed like others.
    """
    models = [GPT, MINI, CODE]
    async with routed(routing_preferences=[SHARED]) as sidecar:
        first = await _decide(sidecar, path, headers=SESSION)
        second = await _decide(sidecar, path, "Xyzzy", headers=SESSION)
        other = await _decide(sidecar, path, "Xyzzy")
        off = await _decide(sidecar, path, routing_preferences=[])
        seen = sidecar.provider.seen

    known = {
        "models": models,
        "providers": models,
        "route": "summaries",
        "trace_id": TRACE_ID,
        "session_id": "s1",
    }
    assert {**known, "pinned": False, "source": "routed"} == first.json()
    assert {**known, "pinned": True, "source": "pinned"} == second.json()
    for reply in (other, off):
        parsed = reply.json()
        assert 32 == len(parsed.pop("trace_id"))
        assert {
            "models": [REQUESTED[path]],
            "providers": [REQUESTED[path]],
            "route": None,
            "pinned": False,
            "source": "requested",
        } == parsed
    assert (200, "application/json", "r1") == (
        first.status,
        first.header("content-type"),
        first.header("x-request-id"),
    )
    assert 0 == seen


async def test_each_model_comes_with_the_entry_that_is_tried_first():
    """Of a model with several accounts the pinned one, or the first in the config's order."""

    def two_accounts(url: str) -> dict[str, Any]:
        entry = {"access_key": "k", "base_url": url}
        return {
            "model_providers": [
                {"model": GPT, "name": "eu", **entry},
                {"model": GPT, "name": "us", **entry},
                {"model": MINI, "default": True, **entry},
            ],
            "routing_preferences": [PREFERENCES[1]],
        }

    async with routed(adapt=two_accounts) as sidecar:
        first = (await _decide(sidecar, CHAT, headers=SESSION)).json()
        sidecar.provider.script.next("529", model="gpt-4o")
        await sidecar.ask(TEXT, headers=SESSION)
        second = (await _decide(sidecar, CHAT, headers=SESSION)).json()

    assert [([GPT, MINI], ["eu", MINI]), ([GPT, MINI], ["us", MINI])] == [
        (reply["models"], reply["providers"]) for reply in (first, second)
    ]


async def test_the_source_of_every_other_decision():
    """A model that nobody named is the default's; a router model that is down is a fallback. Never
    a sentinel.
    """
    async with routed() as sidecar:
        default = (await _decide(sidecar, CHAT, "Xyzzy", model="none")).json()
        sidecar.router.script.always("500")
        fallback = (await _decide(sidecar, CHAT)).json()

    assert ([MINI], None, "default") == tuple(default[key] for key in ("models", "route", "source"))
    assert ([MINI], None, "fallback") == tuple(
        fallback[key] for key in ("models", "route", "source")
    )


BAD: dict[str, tuple[bytes, int, str]] = {
    "not JSON": (b"{", 400, "invalid_body"),
    "a model of a wrong type": (b'{"model": 3, "messages": []}', 400, "invalid_body"),
    "an unknown model": (b'{"model": "gpt-9", "messages": []}', 404, "model_not_found"),
    "bad preferences": (
        b'{"model": "MODEL", "routing_preferences": 3}',
        400,
        "invalid_routing_preferences",
    ),
}


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("case", BAD)
async def test_a_body_is_validated_also_where_the_session_is_pinned(case, path):
    """In the caller's dialect, with the code of the proxied path."""
    body, status, code = BAD[case]
    body = body.replace(b"MODEL", b"claude-demo" if path == MESSAGES else b"gpt-4o")
    async with routed(routing_preferences=[SHARED]) as sidecar:
        assert "routed" == (await _decide(sidecar, path, headers=SESSION)).json()["source"]
        refused = await exchange(
            sidecar.app.ports.data, raw_request("POST", f"/routing{path}", body, SESSION)
        )
        still = (await _decide(sidecar, path, headers=SESSION)).json()

    assert (status, code) == (refused.status, refused.header("x-plano-error"))
    assert ("error" if path == MESSAGES else None) == refused.json().get("type")
    assert "message" in refused.json()["error"]
    assert "pinned" == still["source"]


async def test_it_releases_nothing():
    """A pin that it made stands for the call that comes after, whatever becomes of that one's first
    attempt.
    """
    async with routed(routing_preferences=[SHARED]) as sidecar:
        await _decide(sidecar, CHAT, headers=SESSION)
        asked = sidecar.router.seen
        reply = await sidecar.ask("Xyzzy", headers=SESSION)

    assert (1, "pinned", GPT) == (
        asked,
        reply.header("x-plano-source"),
        reply.header("x-plano-model"),
    )
    assert 1 == sidecar.router.seen


@pytest.mark.parametrize("session", [{}, {"x-model-affinity": "s1"}])
@pytest.mark.parametrize("given", [[], None, [{**SHARED, "name": "mine"}]])
@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
async def test_the_bodys_list_never_reaches_a_provider(path, given, session):
    """Whatever it holds, and also where a pin decides; every other byte is the app's own."""
    async with routed(routing_preferences=[SHARED]) as sidecar:
        replies = [
            await sidecar.ask(path=path, headers=session, routing_preferences=given)
            for _ in range(2)
        ]
        bodies = [request.body for request in sidecar.provider.requests]

    assert ([200, 200], 2) == ([reply.status for reply in replies], len(bodies))
    assert [False, False] == [b"routing_preferences" in body or b"null" in body for body in bodies]


async def test_other_paths_have_no_decision():
    """404 for what is never routed; 405 with Allow for another method."""
    async with routed() as sidecar:
        none = await exchange(
            sidecar.app.ports.data, json_request("/routing/v1/embeddings", {"model": "gpt-4o"}, {})
        )
        wrong = await exchange(sidecar.app.ports.data, raw_request("GET", f"/routing{CHAT}"))

    assert (404, 405, "POST") == (none.status, wrong.status, wrong.header("allow"))

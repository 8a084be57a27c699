"""Agents that name their sessions as they do: each conversation has a pin of its own, and nobody
else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.net import RawReply, exchange, raw_request
from tests.support.redis_server import redis_server
from tests.support.routed import CHAT, MESSAGES, RESPONSES, Routed, routed

OPUS, SONNET, HAIKU = (
    "anthropic/claude-opus-5",
    "anthropic/claude-sonnet-5",
    "anthropic/claude-haiku-4-5",
)
GPT, MINI, NANO = "openai/gpt-5", "openai/gpt-5-mini", "openai/gpt-5-nano"
ROUTES = {"plan": (OPUS, SONNET, GPT), "write": (SONNET, MINI), "shorten": (HAIKU, NANO)}
SESSION = "d2e70091-3007-41a3-a916-cb8b0d3098de"
OTHER = "019a2c6e-7b3d-7f10-9c21-5e4a6b7c8d9e"
DEVICE = "5dd07c33da27e6d2968d94ea20bf47a7b090b6b158b82328d54da2909a108e84"
CLAUDE = {"x-claude-code-session-id": SESSION, "x-app": "cli"}
OPENCODE = "ses_6f2a1c3b4dffeAbCdEfGhIjKlM"


def _adapt(url: str) -> dict[str, Any]:
    dialects = {"anthropic": ["messages"], "openai": ["chat", "responses"]}
    return {
        "model_providers": [
            {
                "model": model,
                "access_key": "k",
                "base_url": url,
                "dialects": dialects[model.partition("/")[0]],
                "translate": False,  # each agent keeps to the models of its own maker
            }
            for model in (OPUS, SONNET, HAIKU, GPT, MINI, NANO)
        ],
        "routing_preferences": [
            {"name": name, "description": name, "models": models} for name, models in ROUTES.items()
        ],
    }


@contextlib.asynccontextmanager
async def agents_sidecar(store: str = "memory", **routing: Any) -> AsyncIterator[Routed]:
    """A sidecar before models of both makers, whose router model says what a test has it say."""
    async with contextlib.AsyncExitStack() as stack:
        cache: dict[str, Any] = {"type": store}
        if store == "redis":
            cache["url"] = (await stack.enter_async_context(redis_server())).url
            cache["call_budget_ms"] = 5000
        sidecar = await stack.enter_async_context(
            routed(adapt=_adapt, routing={"session_cache": cache, **routing})
        )
        while store == "redis" and not await sidecar.metrics("affinity_store_up"):
            await asyncio.sleep(0.02)  # sleep: the connection stands in its own time
        yield sidecar


async def ask(sidecar: Routed, route: str, path: str = MESSAGES, **more: Any) -> tuple[str, str]:
    """Make a call while the router model names ``route``. Returns: model and source."""
    sidecar.router.text = json.dumps({"route": route})
    own = {"model": OPUS if path == MESSAGES else GPT}
    reply: RawReply = await sidecar.ask("go on", path, **own | more)
    assert 200 == reply.status, reply
    return reply.header("x-plano-model") or "", reply.header("x-plano-source") or ""


@pytest.mark.parametrize("store", ["memory", "redis"])
async def test_claude_codes_main_loop_side_calls_and_sub_agents_have_pins_of_their_own(store):
    """All under one session id: titles by a small model are a lane, each sub-agent is a session;
    the main loop stays where it is whatever they do.
    """
    async with agents_sidecar(store) as sidecar:
        first = [
            await ask(sidecar, "plan", headers=CLAUDE),
            await ask(sidecar, "shorten", headers=CLAUDE, model=HAIKU),
            await ask(sidecar, "write", headers=CLAUDE | {"x-claude-code-agent-id": "a1"}),
            await ask(sidecar, "shorten", headers=CLAUDE | {"x-claude-code-agent-id": "a2"}),
            await ask(
                sidecar, "plan", headers=CLAUDE | {"x-claude-code-agent-id": "a1"}, model=HAIKU
            ),
        ]
        later = [
            await ask(sidecar, "write", headers=CLAUDE),
            await ask(sidecar, "write", headers=CLAUDE, model=HAIKU),
            await ask(sidecar, "plan", headers=CLAUDE | {"X-Claude-Code-Agent-Id": " a1 "}),
            await ask(sidecar, "plan", headers=CLAUDE | {"x-claude-code-agent-id": "a2"}),
            await ask(
                sidecar, "write", headers=CLAUDE | {"x-claude-code-agent-id": "a1"}, model=HAIKU
            ),
        ]

    assert [(model, "routed") for model in (OPUS, HAIKU, SONNET, HAIKU, OPUS)] == first
    assert [(model, "pinned") for model, _ in first] == later


async def test_a_sub_agents_move_does_not_move_the_main_loop():
    """Its model fails, and it follows to another one; the main loop's pin stays."""
    agent = CLAUDE | {"x-claude-code-agent-id": "a1"}
    async with agents_sidecar() as sidecar:
        await ask(sidecar, "plan", headers=CLAUDE)
        await ask(sidecar, "plan", headers=agent)
        sidecar.provider.script.next("529")
        moved = await ask(sidecar, "plan", headers=agent)
        target = f"/affinity/session?session={SESSION}"
        while True:  # the pin moves in a task of its own
            page = await exchange(sidecar.app.ports.operators, raw_request("GET", target))
            pins = {pin["agent"]: pin["model"] for pin in page.json()["pins"]}
            if pins["a1"] != OPUS:
                break

    assert (SONNET, "pinned") == moved
    assert {None: OPUS, "a1": SONNET} == pins


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        (MESSAGES, {"x-claude-code-session-id": SESSION}, {}),
        (MESSAGES, {}, {"metadata": {"user_id": f"user_{DEVICE}_account__session_{SESSION}"}}),
        (MESSAGES, {}, {"metadata": {"user_id": json.dumps({"device_id": DEVICE, "account_uuid": "", "session_id": SESSION})}}),
        (RESPONSES, {"session_id": OTHER}, {}),
        (RESPONSES, {"session-id": OTHER}, {"prompt_cache_key": SESSION}),
        (RESPONSES, {}, {"prompt_cache_key": OTHER}),
        (RESPONSES, {}, {"prompt_cache_key": f"{OTHER}:gpt-5"}),
        (CHAT, {"x-session-affinity": OPENCODE}, {}),
        (CHAT, {}, {"prompt_cache_key": OPENCODE}),
    ],
)  # fmt: skip
async def test_an_agents_own_session_id_pins_its_calls(path, headers, body):
    """Claude Code, Codex, Copilot, opencode: in the header or the member that each of them sends;
    the decision endpoint tells the session, and what names it reaches the provider as it came.
    """
    async with agents_sidecar() as sidecar:
        first = await ask(sidecar, "write", path, headers=headers, **body)
        later = await ask(sidecar, "shorten", path, headers=headers, **body)
        decision = (
            await sidecar.ask("go on", f"/routing{path}", model=HAIKU, headers=headers, **body)
        ).json()
        sent = sidecar.provider.requests[-1].json()

    assert ("routed", "pinned") == (first[1], later[1])
    assert first[0] == later[0]
    (named,) = {SESSION, OTHER, OPENCODE} & {
        *headers.values(),
        *(id_ for id_ in (SESSION, OTHER, OPENCODE) if not headers and id_ in json.dumps(body)),
    }
    assert named == decision["session_id"]
    assert body == {name: sent[name] for name in body}


@pytest.mark.parametrize(
    "body",
    [
        {"prompt_cache_key": "my-app"},
        {"metadata": {"user_id": "user-42"}},
        {"user": SESSION},
        {"metadata": {"session_id": SESSION}},
    ],
)
async def test_apps_that_group_similar_requests_are_not_pinned_together(body):
    """A constant cache key, or a user, is no session: each call is routed for itself."""
    async with agents_sidecar() as sidecar:
        asked = [await ask(sidecar, route, CHAT, **body) for route in ("plan", "write", "shorten")]

    assert [(GPT, "routed"), (MINI, "routed"), (NANO, "routed")] == asked


async def test_an_app_may_be_told_which_member_names_its_session():
    """And with an empty list no member does."""
    body = {"metadata": {"conversation": "c1"}, "prompt_cache_key": SESSION}
    async with agents_sidecar(session_body_keys=["metadata.conversation"]) as named:
        first = [await ask(named, route, CHAT, **body) for route in ("write", "plan")]
    async with agents_sidecar(session_body_keys=[]) as deaf:
        alone = [await ask(deaf, route, CHAT, **body) for route in ("write", "plan")]

    assert [(MINI, "routed"), (MINI, "pinned")] == first
    assert [(MINI, "routed"), (GPT, "routed")] == alone


async def test_a_call_can_stand_alone_although_its_body_names_a_session():
    """`x-model-affinity: off` is the app's last word."""
    body = {"prompt_cache_key": SESSION}
    async with agents_sidecar() as sidecar:
        await ask(sidecar, "write", CHAT, **body)
        alone = await ask(sidecar, "plan", CHAT, headers={"x-model-affinity": "off"}, **body)
        within = await ask(sidecar, "plan", CHAT, **body)

    assert [(GPT, "routed"), (MINI, "pinned")] == [alone, within]


async def test_other_agents_are_named_by_the_config():
    """Codex' threads, for one: each is a session beside the others of its session id."""
    headers = {"session-id": OTHER}
    async with agents_sidecar(agent_headers=["thread-id"]) as sidecar:
        first = [
            await ask(sidecar, route, RESPONSES, headers=headers | {"thread-id": thread})
            for route, thread in (("plan", "t1"), ("write", "t2"))
        ]
        later = [
            await ask(sidecar, "shorten", RESPONSES, headers=headers | {"thread-id": thread})
            for thread in ("t1", "t2")
        ]

    assert [GPT, MINI] == [model for model, _ in first]
    assert [(GPT, "pinned"), (MINI, "pinned")] == later


async def test_nothing_that_names_a_session_or_an_agent_leaves_the_pod_but_codexs_own():
    """Their ids say who works when."""
    headers = {
        "x-model-affinity": "s1",
        "x-claude-code-session-id": SESSION,
        "x-claude-code-agent-id": "a1",
        "x-claude-code-parent-agent-id": "a0",
        "x-session-affinity": OPENCODE,
        "session-id": OTHER,
        "session_id": OTHER,
    }
    async with agents_sidecar() as sidecar:
        seen = []
        for path in (MESSAGES, RESPONSES):
            await ask(sidecar, "plan", path, headers=headers)
            sent = {name.decode().lower() for name, _ in sidecar.provider.requests[-1].headers}
            seen.append(sent & set(headers))

    assert [set(), {"session_id", "session-id"}] == seen

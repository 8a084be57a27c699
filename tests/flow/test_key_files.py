"""A key that its provider refuses is read again from its file: secrets are rotated under a running
sidecar.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import Fault
from tests.support.refusals import refusals
from tests.support.routed import PREFERENCES, routed
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ALONE: dict[str, Any] = {
    "routing_preferences": [],
    "overrides": {},
    "model_aliases": {},
    "passthrough": [],
}


def _entries(url: str, key: Path, **more: Any) -> list[dict[str, Any]]:
    return [
        {"model": GPT, "access_key": f"${{file:{key}}}", "base_url": url, "default": True, **more}
    ]


async def test_a_rotated_key_serves_the_very_call_whose_old_key_was_refused(tmp_path):
    """One model alone, and one attempt allowed: the app notices nothing, and nothing is ejected;
    all that one line says is which entry it was.
    """
    key = tmp_path / "key"
    key.write_text("old\n")
    async with ScriptedProvider(keys=frozenset({"new"})) as provider:
        entries = _entries(provider.url, key)
        async with routed(**ALONE, model_providers=entries, limits={"attempts": 1}) as sidecar:
            refused = await sidecar.ask(model="gpt-4o")
            held = await sidecar.ejected()
            key.write_text("new\n")
            served = await sidecar.ask(model="gpt-4o")
            free = await sidecar.ejected()
            failovers = await sidecar.metrics("failovers_total")
            sent = [request.header("authorization") for request in provider.requests]

    assert (401, {(GPT, GPT): "our_credential"}) == (refused.status, held)
    assert (200, "2", {}, {}) == (
        served.status,
        served.header("x-plano-attempts"),
        free,
        failovers,
    )
    assert ["Bearer old", "Bearer old", "Bearer new"] == sent


async def test_a_key_that_is_refused_too_is_not_tried_again(tmp_path):
    """One more try for each call at the same entry, then the next candidate serves."""
    key = tmp_path / "key"
    key.write_text("old")
    refusing = ScriptedProvider(keys=frozenset({"other"}))
    async with refusing, ScriptedProvider() as second:
        entries = [
            *_entries(refusing.url, key, fallbacks=[MINI]),
            {"model": MINI, "access_key": "k", "base_url": second.url},
        ]
        async with routed(**ALONE, model_providers=entries) as sidecar:
            key.write_text("new")
            reply = await sidecar.ask(model="gpt-4o")
            held = await sidecar.ejected()
            sent = [request.header("authorization") for request in refusing.requests]
            key.write_text("other")
            await sidecar.ask(model="gpt-4o-mini")
            asked_by_name = await sidecar.ask(model="gpt-4o")

    assert (200, "3") == (reply.status, reply.header("x-plano-attempts"))
    assert {(GPT, GPT): "our_credential"} == held
    assert ["Bearer old", "Bearer new"] == sent
    assert 200 == asked_by_name.status


async def test_a_key_refused_with_a_400_is_read_again_too(tmp_path):
    """Gemini tells a bad key so."""
    key = tmp_path / "key"
    key.write_text("old")
    status, body = refusals("our_credential")[0].values
    async with ScriptedProvider() as provider:
        async with routed(**ALONE, model_providers=_entries(provider.url, key)) as sidecar:
            provider.script.next(Fault(status=status, body=body))
            key.write_text("new")
            served = await sidecar.ask(model="gpt-4o")
            sent = [request.header("authorization") for request in provider.requests]

    assert (200, ["Bearer old", "Bearer new"]) == (served.status, sent)


@pytest.mark.parametrize("how", ["environment", "caller"])
async def test_a_key_that_is_in_no_file_is_tried_once(how):
    """There is no other one: it came from the environment, or with the call."""
    entry: dict[str, Any] = {"model": GPT, "default": True}
    entry |= (
        {"access_key": "${SIDECAR_TEST_KEY:-old}"}
        if how == "environment"
        else {"passthrough_auth": True}
    )
    async with ScriptedProvider(keys=frozenset({"new"})) as provider:
        entries = [entry | {"base_url": provider.url}]
        async with routed(**ALONE, model_providers=entries) as sidecar:
            reply = await sidecar.ask(model="gpt-4o", headers={"authorization": "Bearer theirs"})

    assert (401, 1) == (reply.status, len(provider.requests))


async def test_headers_out_of_files_are_read_again_too(tmp_path):
    """Some providers want their key under a name of their own; what cannot stand in a header is not
    taken.
    """
    key, extra = tmp_path / "key", tmp_path / "extra"
    key.write_text("old")
    extra.write_text("a")
    async with ScriptedProvider(keys=frozenset({"new"})) as provider:
        entries = _entries(provider.url, key, headers={"x-team": f"${{file:{extra}}}"})
        async with routed(**ALONE, model_providers=entries) as sidecar:
            key.write_text("new\r\nx-evil: 1")
            replies = [await sidecar.ask(model="gpt-4o") for _ in range(5)]
            extra.write_text("b")
            key.write_text("new")
            served = await sidecar.ask(model="gpt-4o")
            last = provider.requests[-1]
            lines = [request.header("x-evil") for request in provider.requests]

    assert ({401}, 200) == ({reply.status for reply in replies}, served.status)
    assert ("Bearer new", "b") == (last.header("authorization"), last.header("x-team"))
    assert {None} == set(lines)


async def test_a_burst_that_left_with_the_old_key_is_served_with_the_new_one(tmp_path):
    """The last of it to be refused says nothing of the key that is used by then: nothing is ejected."""
    key = tmp_path / "key"
    key.write_text("old")
    async with ScriptedProvider() as provider:
        early, late = asyncio.Event(), asyncio.Event()
        provider.script.next(Fault(status=401, hold=early), model="gpt-4o")
        for _ in range(3):
            provider.script.next(Fault(status=401, hold=late), model="gpt-4o")
        entries = _entries(provider.url, key)
        async with routed(**ALONE, model_providers=entries) as sidecar:
            key.write_text("new")
            async with asyncio.TaskGroup() as group:
                burst = [group.create_task(sidecar.ask(model="gpt-4o")) for _ in range(4)]
                await provider.wait_for_requests(4)
                early.set()
                await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED)
                late.set()
            sent = [request.header("authorization") for request in provider.requests]
            ejected = await sidecar.ejected()

    assert ({200}, {}) == ({task.result().status for task in burst}, ejected)
    assert ["Bearer old"] * 4 + ["Bearer new"] * 4 == sent


async def test_the_router_models_key_is_read_again(tmp_path):
    """At once: a call falls back only while there is no key that is taken."""
    key = tmp_path / "key"
    key.write_text("old")
    async with ScriptedProvider() as provider, ScriptedRouterModel() as router:
        router.keys = frozenset({"new"})
        entries = [
            *(
                {"model": model, "access_key": "k", "base_url": provider.url}
                for model in (GPT, MINI)
            ),
            {"model": "plano/router", "access_key": f"${{file:{key}}}", "base_url": router.url},
        ]
        async with routed(routing_preferences=PREFERENCES[1:], model_providers=entries) as sidecar:
            first = await sidecar.ask("Make this long text short")
            key.write_text("new")
            second = await sidecar.ask("Make this long text short")

    assert ["fallback", "routed"] == [reply.header("x-plano-source") for reply in (first, second)]

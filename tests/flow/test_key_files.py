"""A key that its provider refuses is read again from its file: secrets are rotated under a running
sidecar.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.support.faults import Fault
from tests.support.refusals import refusals
from tests.support.routed import PREFERENCES, Routed, routed
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ALONE: dict[str, Any] = {
    "routing_preferences": [],
    "overrides": {},
    "model_aliases": {},
    "passthrough": [],
}
LIMIT_S = 10.0


def _entries(url: str, key: Path, **more: Any) -> list[dict[str, Any]]:
    return [
        {"model": GPT, "access_key": f"${{file:{key}}}", "base_url": url, "default": True, **more}
    ]


async def _until_served(sidecar: Routed) -> None:
    async with asyncio.timeout(LIMIT_S):
        while (await sidecar.ask(model="gpt-4o")).status != 200:
            await asyncio.sleep(0.02)  # sleep: the file is read beside the calls


async def test_a_rotated_key_is_used_as_soon_as_the_old_one_was_refused(tmp_path):
    """One model alone: the call that found out gets the refusal, later ones are served; nothing
    stays ejected.
    """
    key = tmp_path / "key"
    key.write_text("old\n")
    async with ScriptedProvider(keys=frozenset({"new"})) as provider:
        entries = _entries(provider.url, key)
        async with routed(**ALONE, model_providers=entries) as sidecar:
            refused = await sidecar.ask(model="gpt-4o")
            held = await sidecar.ejected()
            key.write_text("new\n")
            await _until_served(sidecar)
            sent = [request.header("authorization") for request in provider.requests]
            free = await sidecar.ejected()

    assert (401, {(GPT, GPT): "our_credential"}) == (refused.status, held)
    assert {} == free
    assert ("Bearer old", "Bearer new", {"Bearer old", "Bearer new"}) == (
        sent[0],
        sent[-1],
        set(sent),
    )


async def test_a_key_refused_with_a_400_is_read_again_too(tmp_path):
    """Gemini tells a bad key so."""
    key = tmp_path / "key"
    key.write_text("old")
    status, body = refusals("our_credential")[0].values
    async with ScriptedProvider() as provider:
        async with routed(**ALONE, model_providers=_entries(provider.url, key)) as sidecar:
            provider.script.next(Fault(status=status, body=body))
            key.write_text("new")
            refused = await sidecar.ask(model="gpt-4o")
            async with asyncio.timeout(LIMIT_S):
                while await sidecar.ejected():
                    await asyncio.sleep(0.02)  # sleep: the file is read beside the calls
            await sidecar.ask(model="gpt-4o")
            sent = [request.header("authorization") for request in provider.requests]

    assert (400, ["Bearer old", "Bearer new"]) == (refused.status, sent)


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
            await _until_served(sidecar)
            last = provider.requests[-1]
            lines = [request.header("x-evil") for request in provider.requests]

    assert {401} == {reply.status for reply in replies}
    assert ("Bearer new", "b") == (last.header("authorization"), last.header("x-team"))
    assert {None} == set(lines)


async def test_calls_that_left_with_the_old_key_do_not_eject_the_new_one(tmp_path):
    """A burst fails together; the last of it to be refused says nothing of the key that is used by
    then.
    """
    key = tmp_path / "key"
    key.write_text("old")
    async with ScriptedProvider() as provider:
        early, late = asyncio.Event(), asyncio.Event()
        provider.script.always(Fault(status=401, hold=late), model="gpt-4o")
        provider.script.next(Fault(status=401, hold=early), model="gpt-4o")
        entries = _entries(provider.url, key)
        async with routed(**ALONE, model_providers=entries) as sidecar:
            key.write_text("new")
            async with asyncio.TaskGroup() as group:
                burst = [group.create_task(sidecar.ask(model="gpt-4o")) for _ in range(4)]
                await provider.wait_for_requests(4)
                early.set()
                await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED)
                late.set()
            sent = {request.header("authorization") for request in provider.requests}
            async with asyncio.timeout(LIMIT_S):
                while await sidecar.ejected():
                    await asyncio.sleep(0.02)  # sleep: the file is read beside the calls

    assert ({401}, {"Bearer old"}) == ({task.result().status for task in burst}, sent)


async def test_the_router_models_key_is_read_again(tmp_path):
    """Its calls fall back until then."""
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
            third = await sidecar.ask("Make this long text short")

    assert ["fallback", "fallback", "routed"] == [
        reply.header("x-plano-source") for reply in (first, second, third)
    ]

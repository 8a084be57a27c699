"""A provider dies with calls on its kept connections: none is worked on twice, and none is lost
where another candidate is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.contract.http1.peer import Line, Peer
from tests.support.doomed_provider import DoomedProvider
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def entries(url: str, other_url: str | None = None) -> list[dict[str, Any]]:
    """A provider, and another one that its calls may go on to."""
    first = {"model": GPT, "access_key": "sk-a", "base_url": url}
    if other_url is None:
        return [first]
    other = {"model": MINI, "access_key": "sk-b", "base_url": other_url}
    return [{**first, "fallbacks": [MINI]}, other]


@pytest.mark.parametrize("waits_s", [0.0, 1.5])
@pytest.mark.parametrize("has_other", [True, False])
async def test_dead_connection(tmp_path: Path, waits_s: float, has_other: bool):
    """A provider answers one call; on the same connection it reads a second one whole, waits and
    resets. That call is not sent to it again: the next candidate serves, or without one the app
    hears that it may try again.
    """
    heard: list[bytes] = []

    async def script(line: Line) -> None:
        heard.append(await line.hear())
        await line.say(HELLO)
        heard.append(await line.hear())
        await asyncio.sleep(waits_s)  # sleep: how long the provider holds the request
        line.reset()

    async with Peer() as peer, ScriptedProvider() as other:
        peer.follows(script)
        urls = f"http://127.0.0.1:{peer.port}", other.url if has_other else None
        async with running_app({"model_providers": entries(*urls)}, tmp_path) as app:
            first, second = [await exchange(app.ports.data, json_request(CHAT, ASK)) for _ in "12"]

    assert (1, 2, 200) == (peer.connects, len(heard), first.status)
    if has_other:
        assert (200, MINI, "2") == seen(second)
    else:
        assert (503, None, "1") == seen(second)
        assert ("upstream_connect_failed", "true") == (
            second.header("x-plano-error"),
            second.header("x-should-retry"),
        )


def seen(reply: RawReply) -> tuple[int, str | None, str | None]:
    return reply.status, reply.header("x-plano-model"), reply.header("x-plano-attempts")


async def with_kills(
    provider: DoomedProvider, calls: Iterable[Coroutine[Any, Any, Any]], most: int
) -> list[Any]:
    """Make calls, twenty at a time, and kill the provider in the midst of them, ``most`` times."""
    permits = asyncio.Semaphore(20)

    async def one(call: Coroutine[Any, Any, Any]) -> Any:
        async with permits:
            return await call

    async def kill() -> None:
        for _ in range(most):
            await asyncio.sleep(random.uniform(0.03, 0.15))  # sleep: the times are what is tested
            await provider.kill()

    killing = asyncio.get_running_loop().create_task(kill())
    try:
        async with asyncio.timeout(120):
            return await asyncio.gather(*map(one, calls))
    finally:
        killing.cancel()


@contextlib.asynccontextmanager
async def sidecar_for(providers: list[dict[str, Any]], work: Path) -> AsyncIterator[SidecarProcess]:
    """A sidecar as it is run, on the loop that it chooses."""
    config = sidecar_config("http://127.0.0.1:1", model_providers=providers)
    config.pop("passthrough")
    config.pop("model_aliases")
    process = SidecarProcess(config, work)
    try:
        await process.wait_ready()
        yield process
    finally:
        await process.terminate()


async def test_kill_9_of_a_provider_repeats_no_post(tmp_path: Path):
    """Of 1,000 calls none is worked on twice; each is answered, or refused with leave to try again,
    or seen to be broken, where some of the answer had gone to the app.
    """
    async with (
        DoomedProvider(tmp_path / "worked-on") as provider,
        sidecar_for(entries(provider.url), tmp_path) as sidecar,
    ):

        def call(number: int) -> Coroutine[Any, Any, RawReply]:
            request = json_request(CHAT, ASK, {"x-request-id": f"call-{number}"})
            return exchange(sidecar.data_port, request)

        replies = await with_kills(provider, map(call, range(1000)), most=1000)
    worked_on = Counter(line.split()[0] for line in provider.worked_on())
    ends = Counter((reply.status, reply.is_complete) for reply in replies)

    assert {1} == set(worked_on.values())
    assert {(200, True), (503, True)} == set(ends) - {(200, False)}
    assert {"true"} == {each.header("x-should-retry") for each in replies if each.status == 503}


async def test_kill_9_of_a_provider_is_no_error_where_another_is_left(tmp_path: Path):
    """An SDK with two retries gets an answer to each call, as two deaths can cut off two of its
    answers. The dying provider works on a call again only where the SDK itself repeats it.
    """
    async with (
        DoomedProvider(tmp_path / "worked-on") as provider,
        ScriptedProvider() as other,
        sidecar_for(entries(provider.url, other.url), tmp_path) as sidecar,
        openai.AsyncOpenAI(
            base_url=f"{sidecar.data_url}/v1", api_key="sk-app", max_retries=2
        ) as sdk,
    ):

        def call(number: int) -> Coroutine[Any, Any, Any]:
            headers = {"x-request-id": f"call-{number}"}
            return sdk.chat.completions.create(**ASK, extra_headers=headers)

        answers = await with_kills(provider, map(call, range(200)), most=2)
    worked_on = Counter(provider.worked_on())

    assert 200 == sum(bool(answer.choices[0].message.content) for answer in answers)
    assert {1} == set(worked_on.values())

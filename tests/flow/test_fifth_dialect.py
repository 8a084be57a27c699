"""A fifth dialect, made in this module alone: it is served, streamed, routed, counted and
refused.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from aiohttp import web

from sidecar.app import App
from sidecar.config.load import load_config
from sidecar.config.providers import Provider
from sidecar.dialects.base import Problem, StreamRules, Turn
from sidecar.dialects.registry import DIALECTS, DialectRegistry
from sidecar.dialects.usage import UsageMembers, text_of
from sidecar.domain.call import BodyFacts, DialectName, Endpoint, Operation
from sidecar.domain.outcome import Served
from sidecar.wire.body import JsonBody
from sidecar.wire.patch import patch_body
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.routed import PREFERENCES, Routed, decision_of
from tests.support.scripted_provider import ScriptedRouterModel

TOY: Final = DialectName("toy")
BODY: Final = JsonBody(provider_state=(b"carries_on",), checked=(b"lines",))
USAGE: Final = UsageMembers("heard", "spoken", ("known", "words"))


class Toy:
    """An API of no provider: ``lines`` are said, an event ``over`` ends a stream."""

    name: Final = TOY
    endpoints: Final = (Endpoint("/toy/speak", TOY, Operation.GENERATE),)
    sdk_header: Final = "x-toy-version"
    home_prefix: Final = "toys"
    is_cache_apart: Final = False
    stream: Final = StreamRules(
        last_words=(b"event: over",),
        last_event=re.compile(rb"[\r\n]event: over"),
        telling=(b'"words"',),
    )
    peek = staticmethod(BODY.peek)
    peek_in_steps = staticmethod(BODY.peek_in_steps)
    usage_of = staticmethod(USAGE.read)
    error_signs: Final = (b'"oh_no"',)

    def patch(self, body: bytes, facts: BodyFacts, upstream_model: str) -> list[bytes | memoryview]:
        return patch_body(body, facts, upstream_model)

    def least_request(self) -> bytes:
        return b'{"lines":[["me","ping"]]}'

    def turns(
        self, body: bytes, facts: BodyFacts, room_bytes: int | None
    ) -> Generator[None, None, tuple[Turn, ...]]:
        yield
        lines: list[list[str]] = msgspec.json.decode(body)["lines"]
        return tuple(Turn("user" if who == "me" else "assistant", text) for who, text in lines)

    def without_signed_state(
        self, body: bytes, facts: BodyFacts, refusal: bytes
    ) -> Generator[None, None, bytes | None]:
        yield from ()
        return None

    def served_of_response(self, body: bytes) -> Served:
        said: dict[str, Any] = msgspec.json.decode(body)
        return Served(self.usage_of(said.get("words")), text_of(said.get("voice")), "over")

    def is_newest_turn_signed(self, body: bytes, facts: BodyFacts) -> bool:
        return b"sealed" in body

    def served_of_event(self, data: bytes) -> Served:
        return self.served_of_response(data)

    def is_error_response(self, body: bytes) -> bool:
        return "oh_no" in msgspec.json.decode(body)

    def error_body(self, problem: Problem) -> bytes:
        return msgspec.json.encode({"oh_no": problem.code, "because": problem.message})

    def error_event(self, problem: Problem) -> bytes:
        return b"event: oh_no\ndata: " + self.error_body(problem) + b"\n\n"


class ToyProvider:
    """Says every line of a call back, under the name of the model that it was asked for."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.says_over = True
        self.url = ""

    async def speak(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        said = {"voice": f"{body['model']}-1", "words": {"heard": 3, "spoken": 4}}
        if not body.get("stream"):
            return web.json_response(said)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _, text in body["lines"]:
            await response.write(b"data: %b\n\n" % json.dumps({"say": text}).encode())
        await response.write(b"data: %b\n\n" % json.dumps(said).encode())
        if self.says_over:
            await response.write(b"event: over\ndata: {}\n\n")
        return response


class House(NamedTuple):
    """A running sidecar that serves five dialects, its provider and its router model."""

    app: App
    provider: ToyProvider
    router: ScriptedRouterModel

    async def speak(self, path: str = "/toy/speak", **body: Any) -> RawReply:
        body = {"model": "gpt-4o-mini", "lines": [["me", "Write a function"]]} | body
        return await exchange(self.app.ports.data, json_request(path, body))

    async def metrics(self, name: str) -> dict[tuple[str, ...], float]:
        provider: Any = self.provider
        return await Routed(self.app, provider, self.router).metrics(name)


@contextlib.asynccontextmanager
async def _provider() -> AsyncIterator[ToyProvider]:
    provider, serving = ToyProvider(), web.Application()
    serving.router.add_post("/toy", provider.speak)
    runner = web.AppRunner(serving)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with _provider() as provider, ScriptedRouterModel() as router:
        entry = {"access_key": "k", "base_url": provider.url}
        config = {
            "version": "v0.4.0",
            "listeners": [{"type": "model", "name": "llm", "address": "127.0.0.1", "port": 0}],
            "admin": {"address": "127.0.0.1", "port": 0},
            "model_providers": [
                {"model": "openai/gpt-4o-mini", "default": True, **entry},
                {"model": "openai/gpt-4o", **entry},
                {"model": "anthropic/claude-demo", **entry},
                {"model": "plano/router", "base_url": router.url},
            ],
            "routing_preferences": PREFERENCES,
            "overrides": {"llm_routing_model": "plano/router"},
        }
        file = tmp_path / "sidecar.yaml"
        file.write_text(json.dumps(config))
        loaded = load_config(file, {})
        # The config's own list of dialects is not open: its names are checked against a table.
        speaking = [
            _speaking_toy(each) if not each.is_router else each for each in loaded.providers
        ]
        loaded = msgspec.structs.replace(loaded, providers=tuple(speaking))
        dialects = DialectRegistry((*DIALECTS.by_name.values(), Toy()))
        async with App(loaded, dialects=dialects) as app:
            yield House(app, provider, router)


def _speaking_toy(provider: Provider) -> Provider:
    by_dialect = {**provider.paths.by_dialect, TOY: "/toy"}
    paths = msgspec.structs.replace(provider.paths, by_dialect=by_dialect)
    return msgspec.structs.replace(provider, paths=paths)


async def test_a_call_is_routed_by_its_conversation_and_served(house):
    """The router model reads the dialect's own turns; the provider gets the routed model's name."""
    house.router.text = '{"route": "summaries"}'

    reply = await house.speak(lines=[["me", "Make this short"], ["you", "What?"], ["me", "A text"]])

    assert (200, "routed", "summaries", "openai/gpt-4o") == decision_of(reply)
    assert ({"voice": "gpt-4o-1", "words": {"heard": 3, "spoken": 4}}) == reply.json()
    assert "gpt-4o" == house.provider.bodies[0]["model"]
    prompt = house.router.requests[0].json()["messages"][-1]["content"]
    assert all(text in prompt for text in ("Make this short", "What?", "A text"))


async def test_a_stream_is_relayed_and_counted(house):
    """Its last event is known, and what it says about tokens is read."""
    reply = await house.speak(stream=True)

    assert (200, True) == (reply.status, reply.is_complete)
    assert reply.body.endswith(b"event: over\ndata: {}\n\n")
    tokens = await house.metrics("tokens_total")
    assert {3.0, 4.0} == set(tokens.values())
    assert {("toy", "ok"): 1.0} == await house.metrics("requests_total")


async def test_a_stream_without_its_last_event_ends_in_the_dialects_error_event(house):
    """And the connection breaks, as in any dialect."""
    house.provider.says_over = False

    reply = await house.speak(stream=True)

    event = reply.body.rpartition(b"event: oh_no\n")[2]
    assert "stream_incomplete" == json.loads(event.removeprefix(b"data: "))["oh_no"]
    assert not reply.is_complete


async def test_a_refusal_is_in_the_dialects_words(house):
    """Wherever it comes from: the body, the lookup, or a path that belongs to no API."""
    twice = await exchange(
        house.app.ports.data, raw_request("POST", "/toy/speak", b'{"lines":[],"lines":[]}')
    )
    unknown = await house.speak(model="openai/nothing")
    nowhere = await exchange(
        house.app.ports.data, raw_request("GET", "/toy/nowhere", headers={"x-toy-version": "1"})
    )

    refused = [(reply.status, reply.json()["oh_no"]) for reply in (twice, unknown, nowhere)]
    assert [(400, "invalid_body"), (404, "model_not_found"), (404, "path_not_found")] == refused
    assert 3.0 == (await house.metrics("requests_total"))["toy", "client_error"]


async def test_a_call_that_only_its_provider_can_serve_is_not_routed(house):
    """The dialect says which member names what a provider keeps."""
    reply = await house.speak(carries_on="conversation-1")

    assert (200, "requested", None, "openai/gpt-4o-mini") == decision_of(reply)


async def test_the_decision_endpoint_speaks_it_too(house):
    """Under the prefix that all generating paths have."""
    house.router.text = '{"route": "summaries"}'

    reply = await house.speak("/routing/toy/speak")

    assert ["openai/gpt-4o", "openai/gpt-4o-mini"] == reply.json()["models"]
    assert [] == house.provider.bodies

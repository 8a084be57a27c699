"""Errors of providers that speak another API than the app: its SDK raises what it always has."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import anthropic
import openai
import pytest

from tests.support.faults import Fault
from tests.support.net import exchange, json_request
from tests.support.tool_provider import Round, SaidText
from tests.support.translated import MODELS, PATHS, WAYS, House, body_of, open_house

LONG = Round((SaidText("One after the other, many words come. " * 9),))
LIBRARY: dict[str, Any] = {"chat": openai, "responses": openai, "messages": anthropic}


async def _raised(house: House, source: str, target: str, *, is_streamed: bool = False) -> Any:
    method = house.sdks.method(PATHS[source])
    ask = house.sdks.events if is_streamed else house.sdks.call
    with pytest.raises(LIBRARY[source].APIError) as raised:
        await ask(method, model=MODELS[target], **body_of(source))
    return raised.value


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
    ],
)
@pytest.mark.parametrize(("source", "target"), WAYS)
async def test_an_sdk_raises_what_it_raises_for_its_own_provider(
    source, target, status, name, is_streamed, tmp_path
):
    """With the provider's status, and its words inside an error of the app's API."""
    async with open_house(tmp_path) as house:
        house.provider.script.always(Fault(status=status, message="These are its own words."))
        error = await _raised(house, source, target, is_streamed=is_streamed)
        translated = error.response.headers["x-plano-translated"]

    assert (name, status) == (type(error).__name__, error.status_code)
    assert "These are its own words." in str(error)
    assert f"{source}>{target}" == translated
    body = json.loads(error.response.content)
    assert isinstance(body["error"]["message"], str)
    assert (source == "messages") == ("request_id" in body) == (body.get("type") == "error")


@pytest.mark.parametrize(("source", "target"), WAYS)
async def test_an_error_inside_a_stream_is_raised(source, target, tmp_path):
    """As the app's API tells it, and the connection is broken behind it; what it means for the
    provider is not lost on the way.
    """
    async with open_house(tmp_path, [LONG]) as house:
        house.provider.script.always("error-event after=8")
        error = await _raised(house, source, target, is_streamed=True)
        reply = await house.ask(source, target, stream=True)

    assert isinstance(error, LIBRARY[source].APIError)
    assert ("Overloaded" if target == "messages" else "had an error") in str(error)
    assert (200, False) == (reply.status, reply.is_complete)


CUTS = ("cut-stream after=9", "cut-inside after=9", "end-early after=9")


@pytest.mark.parametrize(
    ("source", "target", "wish"),
    [
        *((*way, wish) for way in WAYS for wish in CUTS),
        *((*way, "no-end") for way in WAYS if way[1] == "responses"),
    ],
)
async def test_a_stream_that_is_cut_never_looks_whole(source, target, wish, tmp_path):
    """Whatever the end of the connection looks like. A stream of chat or messages is whole once a
    reason was said why it ends; its last event is a formality.
    """
    async with open_house(tmp_path, [LONG]) as house:
        house.provider.script.always(wish)
        try:
            with pytest.raises(Exception) as raised:  # noqa: PT012 - either of the two reads it
                if source == "chat":
                    await house.sdks.events(
                        house.sdks.method(PATHS[source]), model=MODELS[target], **body_of(source)
                    )
                else:
                    await house.loop(source, target, is_streamed=True).ask("hi")
        finally:
            reply = await house.ask(source, target, stream=True)

    assert raised.value is not None
    assert (200, False) == (reply.status, reply.is_complete)
    assert b"[DONE]" not in reply.body
    assert b"message_stop" not in reply.body
    assert b"response.completed" not in reply.body


@pytest.mark.parametrize(("source", "target"), WAYS)
async def test_a_whole_response_that_is_cut_is_an_error(source, target, tmp_path):
    """Nothing of it has gone to the app: it gets a status."""
    async with open_house(tmp_path) as house:
        house.provider.script.always("cut-inside")
        reply = await house.ask(source, target)

    assert (503, True) == (reply.status, reply.is_complete)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wish", ["garbage", "html", "gzip"])
@pytest.mark.parametrize(("source", "target"), [("chat", "messages"), ("messages", "responses")])
async def test_what_cannot_be_read_is_malformed(source, target, wish, stream, tmp_path):
    """And no fault of the app's."""
    async with open_house(tmp_path) as house:
        house.provider.script.always(wish)
        reply = await house.ask(source, target, stream=stream)

    assert (502, "upstream_malformed") == (reply.status, reply.header("x-plano-error"))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("source", "target"), WAYS)
async def test_an_error_under_a_status_of_success_gets_its_own(source, target, stream, tmp_path):
    """No SDK would take it for one otherwise."""
    error = (
        b'{"error": {"message": "The engine is overloaded", "type": "server_error", "code": 503}}'
    )
    async with open_house(tmp_path) as house:
        house.provider.script.always(Fault(status=200, body=error))
        reply = await house.ask(source, target, stream=stream)

    assert (503, True) == (reply.status, b"The engine is overloaded" in reply.body)


class TestNothingIsLeft:
    """Whatever a call comes to, its memory, its connection and its permit are given back."""

    def _left(self, house: House) -> tuple[object, ...]:
        foundation = house.app.foundation
        shares = [(each.name, each.used_bytes) for each in foundation.memory.budget.shares]
        active = [pool.active for pool in foundation.pools._pools.values()]
        return foundation.drain.in_flight, active, [each for each in shares if each[0] != "pins"]

    @pytest.mark.parametrize("wish", ["", "429", "garbage", "cut-inside", "html"])
    async def test_by_calls_that_end(self, wish, tmp_path):
        """Served, refused, or broken."""
        async with open_house(tmp_path, [LONG]) as house:
            await house.ask("chat", "messages")
            before = self._left(house)
            if wish:
                house.provider.script.always(wish)
            for stream in (False, True):
                for source, target in WAYS:
                    await house.ask(source, target, stream=stream)
            after = self._left(house)

        assert before == after

    @pytest.mark.parametrize("stream", [False, True])
    async def test_by_an_app_that_leaves(self, stream, tmp_path):
        """The provider stops generating."""
        async with open_house(tmp_path, [LONG]) as house:
            await house.ask("chat", "messages")
            before = self._left(house)
            hold = asyncio.Event()
            house.provider.script.always(Fault(hold=hold, hold_after_events=5 if stream else 0))
            body = {"model": MODELS["messages"], **body_of("chat", stream=stream)}
            reader, writer = await asyncio.open_connection("127.0.0.1", house.app.ports.data)
            writer.write(json_request(PATHS["chat"], body, {}))
            await house.provider.wait_for_requests(2)
            if stream:
                await reader.readuntil(b"data: ")
            writer.close()
            await house.provider.requests[-1].when_closed.wait()
            async with asyncio.timeout(10):
                while self._left(house) != before:
                    await asyncio.sleep(
                        0.005
                    )  # sleep: sockets become readable in the kernel's time

    async def test_by_a_drain_that_runs_out_of_time(self, tmp_path):
        """The app reads why in its own API."""
        async with open_house(tmp_path, [LONG], drain={"quiet_s": 0, "grace_s": 0.3}) as house:
            hold = asyncio.Event()
            house.provider.script.always(Fault(hold=hold, hold_after_events=5))
            body = {"model": MODELS["messages"], **body_of("responses", stream=True)}
            call = asyncio.create_task(  # noqa: TID251
                exchange(house.app.ports.data, json_request(PATHS["responses"], body, {}))
            )
            await house.provider.wait_for_requests(1)
            await house.app.drain()
            reply = await call

        assert (200, False) == (reply.status, reply.is_complete)
        assert b"stream_incomplete" in reply.body
        assert b"shutting down" in reply.body

    async def test_conversations_are_let_go_once_they_were_sent(self, tmp_path):
        """While a long stream goes on, neither body nor what was read of it is kept."""
        async with open_house(tmp_path, [LONG]) as house:
            hold = asyncio.Event()
            house.provider.script.always(Fault(hold=hold, hold_after_events=5))
            body = {"model": MODELS["messages"], **body_of("chat", "x" * 300_000, stream=True)}
            call = asyncio.create_task(  # noqa: TID251
                exchange(house.app.ports.data, json_request(PATHS["chat"], body, {}))
            )
            await house.provider.wait_for_requests(1)
            bodies = house.app.foundation.memory.bodies
            async with asyncio.timeout(10):
                while bodies.buffered_bytes:
                    await asyncio.sleep(0.005)  # sleep: as above
            gc.collect()
            kept = [
                each for each in gc.get_objects() if isinstance(each, str) and len(each) > 200_000
            ]
            hold.set()
            reply = await call

        assert (200, True) == (reply.status, reply.is_complete)
        assert [] == [each for each in kept if each.startswith("xxx")]

"""Streams through the sidecar: bytes as the provider sent them, and no end that looks well where it
was not.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from typing import Any

import anthropic
import msgspec
import openai
import pytest

from tests.support import failing
from tests.support.failing import CHAT, GENERATING_PATHS, MESSAGES, RESPONSES
from tests.support.faults import Act, Fault, parse_fault
from tests.support.net import RawReply, exchange, json_request, raw_request, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sdks import KINDS, open_sdks
from tests.support.sidecar_process import SidecarProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERMINAL = {CHAT: b"[DONE]", RESPONSES: b"response.completed", MESSAGES: b"message_stop"}


async def ask(
    sidecar: SidecarProcess, path: str, *, model: str | None = None, streams: bool = True
) -> RawReply:
    body = failing.body_for(path, model or failing.good_model(path), stream=streams)
    return await exchange(sidecar.data_port, json_request(path, body))


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_the_request_keeps_its_bytes(
    shared_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str, streams: bool
) -> None:
    """Odd spacing, odd numbers, escapes, unknown fields: all reach the provider as written, but for
    the model's name.
    """
    bare = failing.good_model(path)
    full = f"{'anthropic' if failing.is_anthropic(path) else 'openai'}/{bare}"
    text = json.dumps(failing.body_for(path, "MODEL", stream=streams))
    odd = text.replace("{", '{ "seed" : 1.0e+2,\t"x":"\\u00e9\\/\\ud83d\\ude00 é",\r\n', 1) + " \n"
    await exchange(
        shared_sidecar.data_port, raw_request("POST", path, odd.replace("MODEL", full).encode())
    )
    assert shared_provider.requests[-1].body == odd.replace("MODEL", bare).encode()


@pytest.mark.parametrize(
    "act", [Act.PROPER, Act.DRIBBLE, Act.HUGE_LINE, Act.EARLY_HINTS, Act.CLOSE, Act.GZIP]
)
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_the_answer_keeps_its_bytes(
    shared_sidecar: SidecarProcess,
    shared_provider: ScriptedProvider,
    path: str,
    act: Act,
    streams: bool,
) -> None:
    """However the provider cuts or codes its answer, the app gets the same bytes, and a proper
    end.
    """
    shared_provider.script.next(Fault(act=act))
    reply = await ask(shared_sidecar, path, streams=streams)
    assert (reply.status, reply.is_complete) == (200, True)
    assert reply.body == bytes(shared_provider.requests[-1].sent)
    text = gzip.decompress(reply.body) if act is Act.GZIP else reply.body
    assert reply.header("content-encoding") == ("gzip" if act is Act.GZIP else None)
    assert (TERMINAL[path] in text) == streams


@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_the_first_event_does_not_wait_for_the_second(
    shared_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str
) -> None:
    """An event reaches the app while the provider is still thinking about the next one."""
    gate = asyncio.Event()
    shared_provider.script.next(Fault(hold=gate, hold_after_events=1))
    body = failing.body_for(path, failing.good_model(path), stream=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared_sidecar.data_port)
    try:
        writer.write(json_request(path, body))
        await reader.readuntil(b"data: ")
        assert not shared_provider.requests[-1].when_done.is_set()
        gate.set()
        assert TERMINAL[path] in await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("wish", ["hang", "hang-stream"])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_an_app_that_leaves_ends_the_providers_work(
    shared_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str, wish: str
) -> None:
    """When the app hangs up, before the first byte or after it, the provider's connection is closed
    at once.
    """
    shared_provider.script.next(wish)
    before = shared_provider.seen
    body = failing.body_for(path, failing.good_model(path), stream=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared_sidecar.data_port)
    writer.write(json_request(path, body))
    if wish == "hang-stream":
        await reader.readuntil(b"data: ")
    else:
        async with asyncio.timeout(5):
            await shared_provider.wait_for_requests(before + 1)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        await shared_provider.requests[-1].when_closed.wait()


DEATHS_AT_A_BOUNDARY = [
    "cut-stream after=3",
    "reset-stream after=3",
    "bad-chunk after=3",
    "end-early after=3",
]
DEATHS = [
    *[(path, wish) for path in GENERATING_PATHS for wish in DEATHS_AT_A_BOUNDARY],
    *[(path, "hang-stream after=3") for path in GENERATING_PATHS],
    # Of responses nothing but the last event says that it is over.
    (RESPONSES, "no-end"),
]


@pytest.mark.parametrize(("path", "wish"), DEATHS)
async def test_a_stream_that_dies_between_events(
    failing_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str, wish: str
) -> None:
    """What came is passed on, then one error event in the dialect, then the connection is aborted:
    no proper end.
    """
    reply = await ask_and_break(failing_sidecar, shared_provider, path, wish)
    sent = bytes(shared_provider.requests[-1].sent)
    assert (reply.status, reply.is_complete) == (200, False)
    assert reply.body.startswith(sent)
    assert_error_event(path, reply.body.removeprefix(sent))


async def ask_and_break(
    sidecar: SidecarProcess, provider: ScriptedProvider, path: str, wish: str
) -> RawReply:
    """Make a streamed call whose provider breaks it only after the app has the first event.

    Without that, a sidecar that sees events and death in one read could rightly answer with an
    error status.
    """
    gate, model = asyncio.Event(), failing.model_of(path, "idle")
    fault = msgspec.structs.replace(parse_fault(wish), hold=gate, hold_after_events=3)
    provider.script.next(fault, model=model)
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    received = asyncio.StreamReader()
    try:
        writer.write(json_request(path, failing.body_for(path, model, stream=True)))
        received.feed_data(await reader.readuntil(b"\n\n"))
        gate.set()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                received.feed_data(data)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    received.feed_eof()
    return await read_reply(received)


def assert_error_event(path: str, event: bytes) -> None:
    """Exactly one event, which says in the dialect that the stream is incomplete."""
    assert (event.count(b"\n\n"), event[-2:]) == (1, b"\n\n"), event
    lines = dict(line.split(": ", 1) for line in event.decode().splitlines() if line)
    parsed = json.loads(lines["data"])
    if path == MESSAGES:
        assert (lines["event"], parsed["type"], sorted(parsed["error"])) == (
            "error",
            "error",
            ["message", "type"],
        )
    else:
        assert parsed["error"]["code"] == "stream_incomplete"


@pytest.mark.parametrize("wish", ["cut-inside after=3"])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_a_stream_that_dies_inside_an_event(
    failing_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str, wish: str
) -> None:
    """A broken event is not made worse by another one inside it: the connection is aborted where it
    broke.
    """
    reply = await ask_and_break(failing_sidecar, shared_provider, path, wish)
    assert (reply.body, reply.is_complete) == (bytes(shared_provider.requests[-1].sent), False)


@pytest.mark.parametrize("wish", ["cut-inside", "reset-stream"])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_a_whole_answer_that_dies(
    failing_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str, wish: str
) -> None:
    """An answer that stops short of its length is aborted, never completed."""
    model = failing.model_of(path, "slow")
    shared_provider.script.next(wish, model=model)
    try:
        reply = await ask(failing_sidecar, path, model=model, streams=False)
    except ConnectionError:
        return  # aborted before the head was out
    assert not reply.is_complete or reply.status >= 500


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("path", "wish"), [*DEATHS, *[(path, "cut-inside after=3") for path in GENERATING_PATHS]]
)
async def test_the_sdks_raise(
    failing_sidecar: SidecarProcess,
    shared_provider: ScriptedProvider,
    path: str,
    wish: str,
    kind: str,
) -> None:
    """Whatever way a stream dies, the SDK raises; it never ends as if all were well."""
    model = failing.model_of(path, "idle")
    shared_provider.script.next(wish, model=model)
    async with open_sdks(failing_sidecar.data_url, kind) as sdks:
        method: Any = {
            CHAT: sdks.openai.chat.completions.create,
            RESPONSES: sdks.openai.responses.create,
            MESSAGES: sdks.anthropic.messages.create,
        }[path]
        body = failing.body_for(path, model)
        with pytest.raises(Exception, match=r".+") as caught:
            await sdks.events(method, **body)
    if not wish.startswith(
        "cut-inside"
    ):  # there it is the HTTP client's own error, not the same in every version
        assert isinstance(caught.value, anthropic.APIError if path == MESSAGES else openai.APIError)
        assert not isinstance(
            caught.value, openai.APIConnectionError | anthropic.APIConnectionError
        )

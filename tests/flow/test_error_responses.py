"""Errors that the sidecar itself makes, byte by byte: status line, headers, JSON in the caller's
dialect.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from tests.support import failing
from tests.support.failing import (
    CHAT,
    COUNT_TOKENS,
    DIALECT_PATHS,
    EMBEDDINGS,
    GENERATING_PATHS,
    MESSAGES,
    RESPONSES,
)
from tests.support.faults import Fault
from tests.support.fixtures import StartSidecar
from tests.support.net import RawReply, exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASONS = {
    400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    413: "(Content|Payload|Request Entity) Too Large", 415: "Unsupported Media Type", 426: "Upgrade Required",
    431: "Request Header Fields Too Large", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
ANTHROPIC_TYPES = {
    400: "invalid_request_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
    503: "overloaded_error", 504: "timeout_error",
}  # fmt: skip
RETRYABLE = {502, 503, 504}


def assert_error(reply: RawReply, path: str, status: int, code: str) -> dict[str, Any]:
    """Check all that every error of ours must have. Returns: the ``error`` object."""
    assert (reply.status, reply.header("x-plano-error")) == (status, code), reply
    assert re.fullmatch(f"HTTP/1.1 {status} {REASONS[status]}", reply.status_line)
    assert (reply.header("content-type") or "").partition(";")[0] == "application/json"
    assert reply.is_complete
    request_id = reply.header("x-request-id")
    assert request_id
    assert [name for name, _ in reply.headers].count("x-request-id") == 1
    assert (reply.header("x-should-retry") == "false") == (status not in RETRYABLE)
    parsed = reply.json()
    if failing.is_anthropic(path):
        assert sorted(parsed) == ["error", "request_id", "type"]
        assert (parsed["type"], parsed["request_id"], sorted(parsed["error"])) == (
            "error",
            request_id,
            ["message", "type"],
        )
        assert parsed["error"]["type"] == ANTHROPIC_TYPES.get(status, parsed["error"]["type"])
    else:
        assert sorted(parsed) == ["error"]
        assert sorted(parsed["error"]) == ["code", "message", "param", "type"]
        kind = "server_error" if status >= 500 else "invalid_request_error"
        assert (parsed["error"]["type"], parsed["error"]["code"]) == (kind, code)
    assert parsed["error"]["message"]
    error: dict[str, Any] = parsed["error"]
    return error


def text_of(path: str, model: str = "") -> str:
    return json.dumps(failing.body_for(path, model or failing.good_model(path)))


INVALID_BODIES = {
    "not JSON": lambda text: b"model=gpt-4o",
    "empty": lambda text: b"",
    "cut off": lambda text: text.encode()[:-1],
    "more than one value": lambda text: text.encode() * 2,
    "a list": lambda text: b"[" + text.encode() + b"]",
    "a string": lambda text: b'"hello"',
    "null": lambda text: b"null",
    "bad UTF-8": lambda text: text.replace("Hello", "@").encode().replace(b"@", b"\xff\xfe"),
    "model is a number": lambda text: re.sub(r'"model": "[^"]*"', '"model": 7', text).encode(),
    "model is a list": lambda text: re.sub(
        r'"model": "([^"]*)"', r'"model": ["\1"]', text
    ).encode(),
    "stream is a string": lambda text: text.replace("{", '{"stream": "yes", ', 1).encode(),
    "model twice": lambda text: text.replace("{", '{"model": "gpt-4o-mini", ', 1).encode(),
    "too deep": lambda text: text.replace(
        "{", '{"x": ' + "[" * 20_000 + "]" * 20_000 + ", ", 1
    ).encode(),
}


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("what", INVALID_BODIES)
async def test_invalid_body(failing_sidecar: SidecarProcess, path: str, what: str) -> None:
    """A body that is no JSON object, or whose fields that we read have wrong types, is refused and
    not forwarded.
    """
    body = INVALID_BODIES[what](text_of(path))
    request = raw_request("POST", path, body, {"content-length": str(len(body))})
    assert_error(await exchange(failing_sidecar.data_port, request), path, 400, "invalid_body")


@pytest.mark.parametrize("path", DIALECT_PATHS)
async def test_unknown_model(failing_sidecar: SidecarProcess, path: str) -> None:
    """An unknown model is a 404 in the caller's dialect that lists the known names."""
    reply = await exchange(
        failing_sidecar.data_port, json_request(path, failing.body_for(path, "gpt-99"))
    )
    message = assert_error(reply, path, 404, "model_not_found")["message"]
    assert ("gpt-99" in message, "openai/gpt-4o-mini" in message) == (True, True)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (MESSAGES, "openai/gpt-4o"),
        (COUNT_TOKENS, "openai/gpt-4o"),
        (RESPONSES, "anthropic/claude-demo"),
        (EMBEDDINGS, "anthropic/claude-demo"),
    ],
)
async def test_dialect_not_served(failing_sidecar: SidecarProcess, path: str, model: str) -> None:
    """A model whose provider does not speak the caller's dialect is a 400 that names both."""
    reply = await exchange(
        failing_sidecar.data_port, json_request(path, failing.body_for(path, model))
    )
    message = assert_error(reply, path, 400, "dialect_not_served")["message"]
    dialect = {RESPONSES: "responses", EMBEDDINGS: "embeddings"}.get(path, "messages")
    assert (model in message, dialect in message) == (True, True)


@pytest.mark.parametrize("path", DIALECT_PATHS)
async def test_body_too_large(failing_sidecar: SidecarProcess, path: str) -> None:
    """A body over the limit is a 413 whether its length is announced or it comes in chunks."""
    body = json.dumps(
        failing.body_for(path, failing.good_model(path), "x" * failing.BODY_LIMIT_BYTES)
    ).encode()
    announced = await exchange(failing_sidecar.data_port, raw_request("POST", path, body))
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = raw_request("POST", path, headers={"transfer-encoding": "chunked"})
    chunked = await exchange(failing_sidecar.data_port, head + chunks)
    for reply in (announced, chunked):
        assert_error(reply, path, 413, "body_too_large")


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, br"])
async def test_unsupported_encoding(
    failing_sidecar: SidecarProcess, path: str, encoding: str
) -> None:
    """A body in a coding that is not read is a 415."""
    request = raw_request("POST", path, b"\x1f\x8b\x08", {"content-encoding": encoding})
    assert_error(
        await exchange(failing_sidecar.data_port, request), path, 415, "unsupported_encoding"
    )


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_session_header_twice(failing_sidecar: SidecarProcess, path: str) -> None:
    """Two different session ids are a 400."""
    request = json_request(
        path, failing.body_for(path, failing.good_model(path)), {"x-model-affinity": "one"}
    )
    request = request.replace(b"\r\n\r\n", b"\r\nX-Model-Affinity: two\r\n\r\n", 1)
    assert_error(await exchange(failing_sidecar.data_port, request), path, 400, "invalid_header")


@pytest.mark.parametrize("is_anthropic", [False, True])
@pytest.mark.parametrize(
    "path", ["/v1/nowhere", "/v2/chat/completions", "/v1/chat/completions/", "//v1/messages"]
)
async def test_unknown_path(failing_sidecar: SidecarProcess, path: str, is_anthropic: bool) -> None:
    """An unknown path is a 404: Anthropic's where ``anthropic-version`` was sent, else OpenAI's."""
    request = raw_request(
        "POST", path, b"{}", {"anthropic-version": "2023-06-01"} if is_anthropic else {}
    )
    reply = await exchange(failing_sidecar.data_port, request)
    assert_error(reply, MESSAGES if is_anthropic else CHAT, 404, "path_not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", DIALECT_PATHS)
async def test_wrong_method(failing_sidecar: SidecarProcess, path: str, method: str) -> None:
    """A known path with a wrong method is a 405 that says which is right."""
    reply = await exchange(failing_sidecar.data_port, raw_request(method, path))
    assert_error(reply, path, 405, "method_not_allowed")
    assert "POST" in (reply.header("allow") or "")


@pytest.mark.parametrize("path", [RESPONSES, MESSAGES])
async def test_websocket(failing_sidecar: SidecarProcess, path: str) -> None:
    """A WebSocket upgrade is a 426."""
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    reply = await exchange(failing_sidecar.data_port, raw_request("GET", path, headers=headers))
    assert_error(reply, path, 426, "upgrade_not_served")


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
async def test_origin(failing_sidecar: SidecarProcess, path: str, origin: str) -> None:
    """A web page must not spend the pod's keys."""
    request = json_request(
        path, failing.body_for(path, failing.good_model(path)), {"origin": origin}
    )
    assert_error(await exchange(failing_sidecar.data_port, request), path, 403, "origin_refused")


TOO_MUCH = {
    "one long field": {"x-filler": "x" * 70_000},
    "long in sum": {f"x-filler-{n}": "x" * 7_000 for n in range(10)},
    "too many": {f"x-filler-{n}": "x" for n in range(129)},
}


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("what", TOO_MUCH)
async def test_headers_too_large(failing_sidecar: SidecarProcess, path: str, what: str) -> None:
    """Over 64 KiB of headers, or over 128 of them, is a 431."""
    request = json_request(path, failing.body_for(path, failing.good_model(path)), TOO_MUCH[what])
    reply = await exchange(failing_sidecar.data_port, request)
    assert (reply.status, reply.header("x-plano-error")) == (431, "headers_too_large")


async def test_not_http(failing_sidecar: SidecarProcess) -> None:
    """Bytes that are no request are a 400 with all that an error of ours has."""
    request = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n".encode()
    assert_error(await exchange(failing_sidecar.data_port, request), CHAT, 400, "invalid_request")


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_provider_port_closed(
    failing_sidecar: SidecarProcess, path: str, is_streamed: bool
) -> None:
    """A provider that cannot be reached is a 503, streamed or not."""
    body = failing.body_for(path, failing.model_of(path, "closed"), stream=is_streamed)
    reply = await exchange(failing_sidecar.data_port, json_request(path, body))
    assert_error(reply, path, 503, "upstream_connect_failed")


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_provider_hangs(
    failing_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str, is_streamed: bool
) -> None:
    """A provider that does not answer in time is a 504, streamed or not, and its connection is
    dropped.
    """
    model = failing.model_of(path, "slow")
    shared_provider.script.next("hang", model=model)
    body = failing.body_for(path, model, stream=is_streamed)
    reply = await exchange(failing_sidecar.data_port, json_request(path, body))
    assert_error(reply, path, 504, "upstream_timeout")
    async with asyncio.timeout(5):
        await shared_provider.requests[-1].when_closed.wait()


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_provider_talks_nonsense(
    failing_sidecar: SidecarProcess, shared_provider: ScriptedProvider, path: str, is_streamed: bool
) -> None:
    """A provider that does not speak HTTP is a 502."""
    model = failing.model_of(path, "garbage")
    shared_provider.script.next("garbage", model=model)
    body = failing.body_for(path, model, stream=is_streamed)
    reply = await exchange(failing_sidecar.data_port, json_request(path, body))
    assert_error(reply, path, 502, "upstream_malformed")


async def test_the_apps_request_id_is_kept(failing_sidecar: SidecarProcess) -> None:
    """An error carries the app's own request id, in the header and in Anthropic's body."""
    headers = {"x-request-id": "app~1:2/3"}
    reply = await exchange(
        failing_sidecar.data_port, json_request(MESSAGES, {"model": "gpt-99"}, headers)
    )
    assert (reply.header("x-request-id"), reply.json()["request_id"]) == ("app~1:2/3", "app~1:2/3")


async def test_a_refused_call_leaves_the_connection_usable(failing_sidecar: SidecarProcess) -> None:
    """After an error whose request was read to its end, the next request on the connection is
    served.
    """
    refused = raw_request("POST", CHAT, b"nonsense", close=False)
    good = json_request(CHAT, failing.body_for(CHAT, "gpt-4o"))
    reader, writer = await asyncio.open_connection("127.0.0.1", failing_sidecar.data_port)
    try:
        writer.write(refused)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))  # type: ignore[union-attr]
        await reader.readexactly(length)
        writer.write(good)
        assert (await reader.readline()).rstrip() == b"HTTP/1.1 200 OK"
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.asyncio(loop_scope="function")
async def test_overloaded(
    scripted_provider: ScriptedProvider, start_sidecar: StartSidecar, path: str
) -> None:
    """One call too many is a 503 with Retry-After; it is served once the first one is done."""
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url, limits={"in_flight": 1}))
    gate = asyncio.Event()
    scripted_provider.script.next(Fault(hold=gate))
    request = json_request(path, failing.body_for(path, failing.good_model(path)))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(exchange(sidecar.data_port, request))
        await scripted_provider.wait_for_requests(1)
        refused = await exchange(sidecar.data_port, request)
        gate.set()
    assert_error(refused, path, 503, "overloaded")
    assert 1 <= int(refused.header("retry-after") or 0) <= 60
    assert (first.result().status, (await exchange(sidecar.data_port, request)).status) == (
        200,
        200,
    )

"""What the log of a real sidecar says while a provider fails, and afterwards."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
from typing import Any

import pytest

from tests.support.certificates import CertificateAuthority
from tests.support.net import exchange, json_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
MARKS = {"session": "marked-session", "tenant": "marked-tenant", "prompt": "marked prompt"}
KEY = "sk-marked-key"
LIMIT_S = 30.0


def _config(first: dict[str, Any], second_url: str) -> dict[str, Any]:
    return sidecar_config(
        second_url,
        model_providers=[
            {"model": GPT, "access_key": KEY, "fallbacks": [MINI], **first},
            {"model": MINI, "access_key": KEY, "base_url": second_url},
        ],
        model_aliases={},
        passthrough=[],
        routing={"session_cache": {"tenant_header": "x-tenant"}},
    )


def _events(sidecar: SidecarProcess) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in sidecar.log().splitlines()]
    return [line for line in lines if line.get("event", "").startswith("provider_")]


async def _ask(sidecar: SidecarProcess, number: int) -> int:
    body = {"model": GPT, "messages": [{"role": "user", "content": f"{MARKS['prompt']} {number}"}]}
    headers = {"x-model-affinity": f"{MARKS['session']}-{number}", "x-tenant": MARKS["tenant"]}
    reply = await exchange(sidecar.data_port, json_request("/v1/chat/completions", body, headers))
    return reply.status


async def _ask_until(sidecar: SidecarProcess, event: str) -> None:
    """Make calls, all of which are served, until the log has an event."""
    async with asyncio.timeout(LIMIT_S):
        number = 0
        while event not in [each["event"] for each in _events(sidecar)]:
            assert 200 == await _ask(sidecar, number)
            number += 1
            await asyncio.sleep(0.1)  # sleep: the log's looks are a second apart


@pytest.fixture
async def spare():
    """The provider that serves what the first one does not."""
    async with ScriptedProvider() as provider:
        yield provider


async def _said(config: dict[str, Any], work: Any, *events: str) -> tuple[list[Any], str]:
    """The provider lines of a sidecar that was asked until it wrote the events, and its output."""
    sidecar = SidecarProcess(config, work)
    try:
        await sidecar.wait_ready()
        for event in events:
            await _ask_until(sidecar, event)
    finally:
        assert 0 == await sidecar.terminate()
    return _events(sidecar), sidecar.log()


def _assert_nothing_marked(log: str) -> None:
    assert [] == [each for each in (*MARKS.values(), KEY) if each in log]


async def test_a_provider_that_is_down_has_one_line_and_one_when_it_serves_again(tmp_path, spare):
    """With the cause, counts, and who served meanwhile."""
    provider = ScriptedProvider()
    await provider.start()
    url = provider.url
    await provider.aclose()
    sidecar = SidecarProcess(_config({"base_url": url}, spare.url), tmp_path)
    try:
        await sidecar.wait_ready()
        await _ask_until(sidecar, "provider_fails")
        await provider.start("127.0.0.1", int(url.rpartition(":")[2]))
        await _ask_until(sidecar, "provider_serves_again")
    finally:
        assert 0 == await sidecar.terminate()
        await provider.aclose()
    fails, serves = _events(sidecar)

    assert "provider_fails" == fails["event"]
    assert ("connection refused", GPT, MINI) == (
        fails["cause"],
        fails["account"],
        fails["served_by"],
    )
    assert f"{GPT} at {url.removeprefix('http://')} fails: connection refused" in fails["message"]
    assert ("provider_serves_again", True) == (serves["event"], serves["calls"] >= fails["calls"])
    _assert_nothing_marked(sidecar.log())


async def test_a_key_that_is_refused_has_one_line_that_says_what_to_do(tmp_path, spare):
    """With the status, the provider's code, and both request ids; the key itself is nowhere."""
    async with ScriptedProvider(keys=frozenset({"another"})) as provider:
        config = _config({"base_url": provider.url}, spare.url)
        (line,), log = await _said(config, tmp_path, "provider_fails")

    assert ("error", "credential refused", 401) == (line["level"], line["cause"], line["status"])
    assert ("invalid_api_key", True) == (line["code"], "access_key" in line["to_do"])
    assert line["request_id"]
    assert line["provider_request_id"]
    _assert_nothing_marked(log)


@pytest.mark.parametrize(
    ("names", "days", "cause"),
    [
        ("DNS:localhost", -1, "certificate expired on {yesterday}"),
        ("DNS:other.example", 2, "certificate for another name"),
    ],
)
async def test_a_certificate_that_is_not_accepted_is_told_why(tmp_path, spare, names, days, cause):
    """In words that say what has to be renewed."""
    authority = CertificateAuthority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.sign("bad", names, common_name="x", days=days))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    tls = {"ca_file": str(authority.ca), "server_name": "localhost"}
    config = _config({"base_url": f"https://127.0.0.1:{port}", "tls": tls}, spare.url)
    (line,), log = await _said(config, tmp_path, "provider_fails")
    server.close()

    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    assert cause.format(yesterday=yesterday.isoformat()) == line["cause"]
    _assert_nothing_marked(log)


async def test_streams_that_break_off_are_told(tmp_path, spare):
    """Each of them began well, so that the entry counts as one that serves; the apps have halves."""
    spare.script.always("cut-stream after=3")
    sidecar = SidecarProcess(_config({"base_url": spare.url}, spare.url), tmp_path)
    body = {
        "model": GPT,
        "stream": True,
        "messages": [{"role": "user", "content": MARKS["prompt"]}],
    }
    try:
        await sidecar.wait_ready()
        async with asyncio.timeout(LIMIT_S):
            while "responses_break_off" not in sidecar.log():
                await exchange(sidecar.data_port, json_request("/v1/chat/completions", body))
                await asyncio.sleep(0.1)  # sleep: the log's looks are a second apart
    finally:
        assert 0 == await sidecar.terminate()
    lines = [json.loads(line) for line in sidecar.log().splitlines()]
    (line,) = [each for each in lines if each.get("event") == "responses_break_off"]

    assert ("warning", GPT, GPT) == (line["level"], line["account"], line["model"])
    assert f"responses of {GPT} break off before their end" in line["message"]
    assert line["request_id"]
    _assert_nothing_marked(sidecar.log())


async def test_a_port_without_tls_is_told_as_that(tmp_path, spare):
    """The usual mistake of an http:// that should not be an https://."""
    config = _config({"base_url": spare.url.replace("http:", "https:")}, spare.url)
    (line,), _ = await _said(config, tmp_path, "provider_fails")

    assert "no TLS there" == line["cause"]

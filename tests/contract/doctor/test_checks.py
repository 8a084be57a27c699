"""A whole check-up against real parts: providers that follow a script, a router model, TLS."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.doctor.checks import AT_ONCE
from sidecar.doctor.findings import Verdict
from sidecar.runtime.lifecycle import Tasks
from tests.contract.doctor.examined import examined, facts, steps
from tests.support.certificates import CertificateAuthority
from tests.support.faults import Fault
from tests.support.net import closed_port
from tests.support.redis_server import redis_server
from tests.support.routed import PREFERENCES
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel

GOOD = "sk-good-marked"
ROUTER: dict[str, Any] = {
    "overrides": {"llm_routing_model": "plano/router"},
    "routing_preferences": PREFERENCES,
}


@contextlib.asynccontextmanager
async def guarded() -> AsyncIterator[ScriptedProvider]:
    """A provider that takes one key."""
    async with ScriptedProvider(keys=frozenset({GOOD})) as provider:
        yield provider


def entry(model: str, url: str, key: str | None = GOOD, **more: object) -> dict[str, object]:
    keys = {} if key is None else {"access_key": key}
    return {"model": model, "name": model, "base_url": url, **keys, **more}


def asked(provider: ScriptedProvider) -> list[tuple[str, str]]:
    return [(each.method, each.path) for each in provider.requests]


async def test_a_list_that_is_refused_without_the_key_proves_it(tmp_path):
    """Nothing else is asked, so nothing is spent; entries with one key are asked once."""
    async with guarded() as provider:
        entries = [entry(f"openai/{name}", provider.url) for name in ("gpt-4o", "gpt-4o-mini")]
        found = await examined(tmp_path, [*entries, entry("openai/*", provider.url)])

    assert [("GET", "/v1/models")] * 2 == asked(provider)
    assert ("ok", "ok", "known") == facts(found["openai/gpt-4o"])
    assert ("ok", "ok", "unchecked") == facts(found["openai/*"])
    assert ("ok", "ok", None, "ok") == steps(found["openai/*"])
    assert (found["openai/*"].took_ms or 0) > 0


async def test_a_wrong_key_is_refused_beside_a_right_one(tmp_path):
    """Each account is asked; the key stands in no finding."""
    async with guarded() as provider:
        found = await examined(
            tmp_path,
            [
                entry("openai/gpt-4o", provider.url, "sk-bad-marked"),
                entry("openai/gpt-4o-mini", provider.url),
            ],
        )

    bad = found["openai/gpt-4o"]
    assert ("failed", "refused") == (bad.verdict, bad.credential)
    assert "credential refused (401, invalid_api_key)" == bad.cause
    assert "access_key" in bad.to_do
    assert Verdict.OK is found["openai/gpt-4o-mini"].verdict
    assert "marked" not in repr(found)


async def test_a_model_that_is_not_listed_is_called_once(tmp_path):
    """A provider may serve what its list leaves out: only a call can tell."""
    async with guarded() as provider:
        provider.script.always("model_not_found", model="gpt-4o-minni")
        found = await examined(
            tmp_path,
            [entry("openai/gpt-4o-minni", provider.url), entry("openai/unlisted", provider.url)],
        )
        calls = [each.path for each in provider.requests if each.method == "POST"]

    assert ("failed", "ok", "not known") == facts(found["openai/gpt-4o-minni"])
    assert "did you mean 'gpt-4o-mini'?" in found["openai/gpt-4o-minni"].to_do
    assert ("ok", "ok", "known") == facts(found["openai/unlisted"])
    assert ["/v1/chat/completions"] * 2 == calls


async def test_where_nothing_may_be_spent_no_call_is_made(tmp_path):
    """What only a call can tell is not known then, and said so."""
    async with guarded() as provider:
        found = await examined(tmp_path, [entry("openai/unlisted", provider.url)], may_spend=False)
        calls = [each.path for each in provider.requests if each.method == "POST"]

    assert ([], "warning") == (calls, found["openai/unlisted"].verdict)
    assert "'unlisted' is not on its list of models" == found["openai/unlisted"].cause


@pytest.mark.parametrize(
    ("fault", "verdict", "cause"),
    [
        ("429", "warning", "rate limit reached (429, rate_limit_exceeded)"),
        ("insufficient_quota", "failed", "quota or credit used up (429, insufficient_quota)"),
        ("500", "failed", "status 500 (server_error)"),
        ("400", "ok", ""),
        ("cut", "failed", "connection closed before a response"),
        (Fault(status=302, body=b"{}"), "failed", "a redirect in the place of a response"),
        ("html", "failed", "a response that is no HTTP/1.1, or a page for a browser"),
    ],
)
async def test_what_a_call_would_meet_is_what_is_said(tmp_path, fault, verdict, cause):
    """A refusal of the test's own parameters is none of key or model."""
    async with ScriptedProvider() as provider:
        provider.script.always(fault)
        found = (await examined(tmp_path, [entry("openai/gpt-4o", provider.url)]))["openai/gpt-4o"]

    assert (verdict, cause) == (found.verdict, found.cause)
    assert bool(cause) == bool(found.to_do)


async def test_a_path_that_nothing_serves_is_the_base_urls_fault(tmp_path):
    """The most usual mistake: the path of the API in the base URL."""
    async with ScriptedProvider() as provider:
        url = f"{provider.url}/v1/chat"
        provider.script.always(Fault(status=404, body=b'{"detail":"Not Found"}'))
        found = (await examined(tmp_path, [entry("openai/gpt-4o", url)]))["openai/gpt-4o"]

    assert "nothing serves /v1/chat/chat/completions there (404)" == found.cause
    assert "base_url" in found.to_do


async def test_a_provider_that_hangs_costs_the_timeout_once(tmp_path):
    """All its entries are told of it, and no more is asked."""
    async with ScriptedProvider() as provider:
        provider.script.always("hang")
        entries = [entry(f"openai/m{number}", provider.url) for number in range(60)]
        began_s = asyncio.get_running_loop().time()
        found = await examined(tmp_path, entries, timeout_s=0.5)
        took_s = asyncio.get_running_loop().time() - began_s
        count = len(provider.requests)

    entries_found = [each for name, each in found.items() if name != "memory"]
    assert ({"no reply within 0.5 s (--timeout)"}, 60, 1) == (
        {each.cause for each in entries_found}, len(entries_found), count,
    )  # fmt: skip
    assert ("ok", "ok", None, "failed") == steps(entries_found[0])
    print(f"60 entries of a hanging provider: {took_s:.2f} s")


async def test_no_more_is_asked_at_a_time_than_is_fit(tmp_path):
    """Sixty accounts of one provider, each with its own key."""
    now, most = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.05)  # sleep: so that they meet
        now -= 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    entries = [entry(f"openai/m{number}", url, f"sk-{number}") for number in range(60)]
    found = await examined(tmp_path, entries)
    server.close()

    assert 61 == len(found)
    assert 1 < most <= AT_ONCE


async def test_an_end_from_outside_leaves_nothing_open(tmp_path):
    """Ctrl-C cancels: the connection is closed before the check-up ends."""
    tasks = Tasks()
    async with ScriptedProvider() as provider:
        provider.script.always("hang")
        work = tasks.spawn(examined(tmp_path, [entry("openai/a", provider.url)]), name="doctor")
        await provider.wait_for_requests(1)
        await tasks.aclose()
        async with asyncio.timeout(10):
            await provider.requests[0].when_closed.wait()

    assert work.cancelled()


async def test_a_credential_of_the_callers_is_not_judged(tmp_path):
    """Without a caller there is none: that the provider asks for it is as it should be."""
    async with guarded() as provider:
        found = await examined(
            tmp_path, [entry("openai/gpt-4o", provider.url, None, passthrough_auth=True)]
        )

    assert ("ok", "caller's") == (found["openai/gpt-4o"].verdict, found["openai/gpt-4o"].credential)


async def test_a_server_without_keys_needs_none(tmp_path):
    """One's own: vLLM, Ollama."""
    async with ScriptedProvider() as provider:
        found = await examined(tmp_path, [entry("vllm/gpt-4o", provider.url, None)])

    assert ("ok", "none", "known") == facts(found["vllm/gpt-4o"])


async def test_a_key_that_is_missing_is_told_apart_from_a_wrong_one(tmp_path):
    """An entry without access_key at a server that asks for one."""
    async with guarded() as provider:
        found = await examined(tmp_path, [entry("vllm/gpt-4o", provider.url, None)])

    assert found["vllm/gpt-4o"].cause.startswith("it asks for a key, and none is configured")


async def test_a_wildcard_whose_list_is_open_is_tried_with_no_such_model(tmp_path):
    """A key that is wrong is refused for it too."""
    async with ScriptedProvider() as provider:
        provider.script.always("model_not_found", model="no-such-model")
        good = await examined(tmp_path, [entry("openai/*", provider.url)])
        provider.script.always("401", model="no-such-model")
        bad = await examined(tmp_path, [entry("openai/*", provider.url)])

    assert ("ok", "ok", "unchecked") == facts(good["openai/*"])
    assert ("failed", "refused", "unchecked") == facts(bad["openai/*"])


async def test_an_entry_that_is_left_out_is_told_of(tmp_path):
    """It is no failure: the config allows it."""
    async with guarded() as provider:
        found = await examined(
            tmp_path,
            [
                entry("openai/gpt-4o", provider.url),
                {"model": "groq/*", "access_key": "${NOPE:-}", "optional": True},
            ],
        )

    assert "skipped" == found["groq/*"].verdict


@pytest.mark.parametrize(
    ("names", "days", "cause", "advice"),
    [
        ("DNS:localhost", -1, "certificate expired on {yesterday}", "renewed"),
        ("DNS:other.example", 2, "certificate for another name", "tls.server_name"),
    ],
)
async def test_a_certificate_that_is_refused_is_told_why(tmp_path, names, days, cause, advice):
    """With the day, or where to write the name."""
    authority = CertificateAuthority(tmp_path)
    pem = authority.sign("bad", names, common_name="x", days=days)
    async with tls_server(pem) as port:
        tls = {"ca_file": str(authority.ca), "server_name": "localhost"}
        url = f"https://127.0.0.1:{port}"
        found = (await examined(tmp_path, [entry("openai/m", url, tls=tls)]))["openai/m"]

    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    assert cause.format(yesterday=yesterday) == found.cause
    assert advice in found.to_do
    assert ("ok", "ok", "failed", None) == steps(found)


async def test_a_certificate_that_soon_ends_is_a_warning(tmp_path):
    """Served today; with the TLS version and the days that are left."""
    authority = CertificateAuthority(tmp_path)
    pem = authority.sign("good", "DNS:localhost", common_name="x", days=5)
    async with tls_server(pem) as port:
        tls = {"ca_file": str(authority.ca), "server_name": "localhost"}
        url = f"https://127.0.0.1:{port}"
        found = (await examined(tmp_path, [entry("openai/m", url, tls=tls)]))["openai/m"]

    assert ("warning", "its certificate ends in 4 days") == (found.verdict, found.cause)
    assert ("TLSv1.3", 4) == (found.reach.tls_version, found.reach.certificate_days)


@contextlib.asynccontextmanager
async def tls_server(pem: Path) -> AsyncIterator[int]:
    """A server that lists one model over TLS, and refuses nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    body = b'{"data":[{"id":"m"}],"choices":[]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"content-length: " in head.lower():
                    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                    await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_nobody_there_and_no_such_name_are_told_apart(tmp_path):
    """By the step that failed, and by what to do."""
    found = await examined(
        tmp_path,
        [
            entry("vllm/a", f"http://127.0.0.1:{closed_port()}"),
            entry("vllm/b", "http://no-such-host.invalid"),
        ],
    )

    assert ("connection refused", "ok", "failed") == (
        found["vllm/a"].cause,
        *steps(found["vllm/a"])[:2],
    )
    assert "start the server" in found["vllm/a"].to_do
    assert ("failed", None) == steps(found["vllm/b"])[:2]


@pytest.mark.parametrize(
    ("text", "verdict", "cause"),
    [
        (None, "ok", "says 'code generation'"),
        ('{"route": "other"}', "ok", "says that no route fits"),
        ("Sure! I would love to help you with that.", "warning", "it chats"),
        ('{"route": "poetry"}', "warning", "a route that is not configured"),
    ],
)
async def test_a_router_model_has_to_answer_readably(tmp_path, text, verdict, cause):
    """Read as calls read it. None of its faults fails a call."""
    async with ScriptedProvider() as provider, ScriptedRouterModel() as router:
        router.text = text
        names = ("openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-demo")
        entries = [entry(name, provider.url) for name in names]
        entries.append({"model": "plano/router", "name": "small", "base_url": router.url})
        config: dict[str, Any] = ROUTER | {"overrides": {"llm_routing_model": "small"}}
        file_findings = await examined(tmp_path, entries, **config)

    found = file_findings["small"]  # the router's own comes behind its entry's
    assert verdict == found.verdict
    assert cause in found.cause


async def test_a_router_that_is_down_is_a_warning(tmp_path):
    """In both rows: of its entry, and of what it is for."""
    async with ScriptedProvider() as provider:
        names = ("openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-demo")
        entries = [entry(name, provider.url) for name in names]
        router = {"model": "plano/router", "base_url": f"http://127.0.0.1:{closed_port()}"}
        found = await examined(tmp_path, [*entries, router], **ROUTER)

    assert {"ok": 4, "warning": 1} == collections.Counter(
        str(each.verdict) for each in found.values()
    )
    assert "connection refused" == found["plano/router"].cause


async def test_redis_and_sources_are_looked_at_too(tmp_path):
    """A user who lacks a right, and a source that is dead; its URL's password is nowhere."""
    async with guarded() as provider, redis_server("7") as server:
        await server.client.execute_command(
            "ACL", "SETUSER", "half", "on", ">secret-marked", "~*", "+@all", "-pexpire"
        )
        cache = {
            "type": "redis",
            "url": server.url,
            "username": "half",
            "password": "secret-marked",
        }
        source = {
            "type": "latency",
            "provider": "prometheus",
            "url": f"http://me:word-marked@127.0.0.1:{closed_port()}",
            "query": "x",
        }
        found = await examined(
            tmp_path,
            [entry("openai/gpt-4o", provider.url)],
            routing={"session_cache": cache},
            model_metrics_sources=[source],
        )

    assert ("warning", "the user lacks +pexpire") == (found["redis"].verdict, found["redis"].cause)
    source_found = found["latency: prometheus"]
    assert ("warning", "connection refused") == (source_found.verdict, source_found.cause)
    assert "marked" not in repr(found)

"""Whatever clients send, the series of routing and of attempts stay those of the config."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.net import exchange, json_request, raw_request, read_reply
from tests.support.routed import CHAT, PREFERENCES, Routed, routed
from tests.support.sidecar_process import SidecarProcess, sidecar_config

MINI = "openai/gpt-4o-mini"
SOURCES = {"pinned", "routed", "requested", "default", "fallback"}
ROUTER = {
    "matched",
    "other",
    "unknown_route",
    "unreadable",
    "http_error",
    "timeout",
    "breaker_open",
    "busy",
}
ATTEMPTS = {
    "ok", "rate_limited", "server_error", "credential_refused", "client_error", "connect_failed", "timeout", "malformed",
    "cut", "cancelled",
}  # fmt: skip
REASONS = {
    "callers_fault", "swapped", "callers_patience", "signed_state", "refused", "too_long", "our_credential",
    "callers_credential", "quota", "model_gone", "busy", "failing", "content_policy",
}  # fmt: skip
OPERATIONS = {"get", "claim", "replace", "release", "refresh", "write_back", "bypass"}
OPERATION_OUTCOMES = {
    "near_hit", "hit", "miss", "claimed", "adopted", "replaced", "released", "lost", "stale_value", "error", "timeout",
    "skipped", "dialect", "inline_list", "no_tenant", "unknown_model",
}  # fmt: skip
MODELS = {MINI, "openai/gpt-4o", "anthropic/claude-demo", "groq/*"}
PLACE = {"provider": {"openai", "anthropic", "groq"}, "account": MODELS, "model": MODELS}
VOCABULARY = {
    "routing_decisions": {"source": SOURCES, "model": MODELS, "route": {"code generation", "summaries", "none", "other"}},
    "routing_duration_seconds": {"source": SOURCES},
    "router_requests": {"outcome": ROUTER},
    "router_duration_seconds": {},
    "affinity_operations": {"operation": OPERATIONS, "outcome": OPERATION_OUTCOMES},
    "affinity_operation_duration_seconds": {"operation": OPERATIONS},
    "upstream_attempts": {**PLACE, "outcome": ATTEMPTS},
    "upstream_first_byte_seconds": PLACE,
    "upstream_duration_seconds": PLACE,
    "failovers": {"from_model": MODELS, "to_model": MODELS, "reason": REASONS},
    "candidate_state": {**PLACE, "state": {"serving", "cooling", "ejected"}, "reason": {"", *REASONS}},
}  # fmt: skip


def _adapt(url: str) -> dict[str, Any]:
    models = ("openai/gpt-4o", "anthropic/claude-demo", "groq/*")
    default = {"model": MINI, "access_key": "k", "base_url": url, "default": True}
    return {
        "model_providers": [
            default,
            *({"model": model, "access_key": "k", "base_url": url} for model in models),
        ]
    }


async def _families(sidecar: Routed) -> dict[str, list[dict[str, str]]]:
    """Metric -> the labels of its samples; fails where two samples are one series."""
    body = (await exchange(sidecar.app.ports.admin, raw_request("GET", "/metrics"))).body.decode()
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(body):
        series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(series) == len(set(series))
        labels = [
            {k: v for k, v in sample.labels.items() if k != "le"} for sample in family.samples
        ]
        found[family.name.removeprefix("plano_sidecar_")] = labels
    return found


async def test_no_label_grows_by_what_clients_send():
    """Route names of their own, models of a wildcard, sessions, tenants, answers of every kind."""
    async with routed(adapt=_adapt, routing_preferences=PREFERENCES) as sidecar:
        for number in range(12):
            mine = [
                {
                    "name": f"mine {number}",
                    "description": "writing poems",
                    "models": [f"groq/m{number}"],
                }
            ]
            headers = {"x-model-affinity": f"s{number}", "x-request-id": f"r{number}"}
            sidecar.provider.script.next(
                ("401", "402", "model_not_found", "429", "500", "400")[number % 6]
            )
            await sidecar.ask("writing poems", routing_preferences=mine, headers=headers)
            await sidecar.ask("Xyzzy", model=f"groq/n{number}", headers=headers)
            sidecar.router.text = None if number % 3 else f'{{"route": "theirs {number}"}}'
            await sidecar.ask(
                f"Make this long text short {number}", headers={"x-model-affinity": f"t{number}"}
            )
            await sidecar.ask("x", model=f"unknown-{number}", path=CHAT)
        families = await _families(sidecar)
        ejected = await sidecar.ejected()

    unknown = {
        (name, label, value)
        for name, labels in VOCABULARY.items()
        for sample in families[name]
        for label, value in sample.items()
        if value not in labels.get(label, ())
    }
    assert set() == unknown
    assert {"groq/*"} == {model for _, model in ejected}


MANY, A_FEW, AT_ONCE = 10_000, 300, 8
REPLY = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"route": "own"}'}}],
}  # fmt: skip


async def _provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider, and a router model, that says the same to all."""
    body = json.dumps(REPLY).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    try:
        while asked := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(
                int(asked.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            )
            writer.write(head % len(body) + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _hostile(number: int) -> bytes:
    """A call with a model, a tenant, a session, an agent and an id that no other call has; a tenth
    of them bring a route of their own, another tenth ask for a model of a provider without wildcard.
    """
    body: dict[str, Any] = {
        "model": f"groq/model-{number}",
        "user": f"user-{number}",
        "messages": [{"role": "user", "content": f"hello {number}"}],
    }
    if number % 10 == 0:
        body["model"] = f"openai/model-{number}"
    elif number % 10 == 1:
        mine = {"name": "own", "description": f"work {number}", "models": [f"groq/own-{number}"]}
        other = {**mine, "name": f"route-{number}"}
        body["routing_preferences"] = [mine, other]
    headers = {
        "x-tenant": f"tenant-{number}",
        "x-model-affinity": f"session-{number}",
        "x-claude-code-agent-id": f"agent-{number}",
        "x-request-id": f"request-{number}",
        "connection": "keep-alive",
    }
    return json_request(CHAT, body, headers)


async def _call(port: int, numbers: range) -> set[int]:
    """Make the calls of these numbers on one connection. Returns: the statuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    statuses = set()
    for number in numbers:
        writer.write(_hostile(number))
        statuses.add((await read_reply(reader)).status)
    writer.close()
    return statuses


async def _series(sidecar: SidecarProcess) -> set[str]:
    page = (await exchange(sidecar.admin_port, raw_request("GET", "/metrics"))).body.decode()
    return {line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")}


async def _call_all(sidecar: SidecarProcess, numbers: range) -> set[int]:
    parts = [numbers[at::AT_ONCE] for at in range(AT_ONCE)]
    found = await asyncio.gather(*(_call(sidecar.data_port, part) for part in parts))
    return set().union(*found)


async def test_ten_thousand_models_tenants_sessions_and_agents_make_no_series(tmp_path: Path):
    """After the first few hundred calls, which are of all kinds, there is no new one."""
    server = await asyncio.start_server(_provide, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = sidecar_config(url) | _adapt(url)
    config["model_providers"].append({"model": "plano/router", "base_url": url})
    config |= {
        "model_aliases": {},
        "passthrough": [],
        "overrides": {"llm_routing_model": "plano/router"},
        "routing": {"session_cache": {"tenant_header": "x-tenant"}},
    }
    sidecar = SidecarProcess(config, tmp_path)
    try:
        await sidecar.wait_ready()
        await _call_all(sidecar, range(A_FEW))
        before = await _series(sidecar)
        statuses = await _call_all(sidecar, range(A_FEW, A_FEW + MANY))
        after = await _series(sidecar)
    finally:
        await sidecar.terminate()
        server.close()

    assert {200} == statuses
    assert set() == after - before


async def test_requests_count_from_zero_before_the_first_call():
    """A series that begins at 20 failures has had none, as Prometheus counts: the calls of a job's
    pod may all fail between its first scrape and its second.
    """
    async with routed(adapt=_adapt) as sidecar:
        requests = (await _families(sidecar))["requests"]

    outcomes = {"ok", "client_error", "upstream_error", "sidecar_error", "cancelled", "incomplete"}
    dialects = {"chat", "responses", "embeddings", "messages"}
    assert sorted(itertools.product(dialects, outcomes)) == sorted(
        (each["dialect"], each["outcome"]) for each in requests
    )

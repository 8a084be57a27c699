"""Whatever clients send, the series of routing and of attempts stay those of the config."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.net import exchange, raw_request
from tests.support.routed import CHAT, PREFERENCES, Routed, routed

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
    "ok", "rate_limited", "server_error", "client_error", "connect_failed", "timeout", "malformed", "cut", "cancelled",
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

"""The config files of the scene: that of the sidecars, and Prometheus'."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

MINI: Final = "openai/gpt-4o-mini"
GPT: Final = "openai/gpt-4o"
CLAUDE: Final = "anthropic/claude-sonnet-5"
LABELS: Final = {"namespace": "shop", "app": "checkout", "container": "plano-sidecar"}
"""What Kubernetes' service discovery would say of the pods."""
JOB: Final = "plano-sidecar"
SCRAPE_S: Final = 1


class Places(NamedTuple):
    """Where everything listens, and the files that configs name."""

    us_url: str
    eu_url: str
    anthropic_url: str
    router_url: str
    redis_url: str
    prometheus_url: str
    ca_file: Path
    key_file: Path
    """Holds the key of the account openai-us."""
    prices_file: Path


class Ports(NamedTuple):
    """Of one sidecar."""

    data: int
    admin: int
    operators: int

    @property
    def variables(self) -> dict[str, str]:
        """What the config refers to: pods of one app have one config file."""
        ports = {"DATA_PORT": self.data, "ADMIN_PORT": self.admin, "OPERATOR_PORT": self.operators}
        return {name: str(port) for name, port in ports.items()}


_LATENCY_QUERY: Final = (
    "label_replace(sum by (model) (rate(plano_sidecar_upstream_first_byte_seconds_sum[30s]))"
    " / sum by (model) (rate(plano_sidecar_upstream_first_byte_seconds_count[30s])),"
    " 'model_name', '$1', 'model', '(.+)')"
)


def sidecar_settings(places: Places) -> dict[str, Any]:
    """Three models in two dialects, one of them at two accounts, three routes, pins in Redis."""
    loopback, operators = {"address": "127.0.0.1"}, "127.0.0.1:$OPERATOR_PORT"
    return {
        "version": "v0.4.0",
        "listeners": [{"type": "model", "name": "llm", **loopback, "port": "$DATA_PORT"}],
        "admin": {**loopback, "port": "$ADMIN_PORT", "operator_address": operators},
        "model_providers": _entries(places),
        "model_aliases": {"fast": {"target": MINI}},
        "overrides": {"llm_routing_model": "plano/router"},
        "routing_preferences": [
            _route("code", "writing new functions, scripts, tests", "none", GPT, CLAUDE),
            _route("summaries", "summarizing notes, mails, documents", "cheapest", MINI, CLAUDE),
            _route("translations", "translating into another language", "fastest", CLAUDE, MINI),
        ],
        "model_metrics_sources": [
            {"type": "cost", "provider": "file", "path": str(places.prices_file),
             "refresh_interval": 20},
            {"type": "latency", "provider": "prometheus", "url": places.prometheus_url,
             "query": _LATENCY_QUERY, "refresh_interval": 10},
        ],
        "routing": {
            "router_timeout_ms": 500,
            "session_cache": {"type": "redis", "url": places.redis_url,
                              "tenant_header": "x-org-id", "call_budget_ms": 100},
        },
        "access_log": {"mode": "all"},
        "logging": {"format": "logfmt"},
        "drain": {"quiet_s": 0, "grace_s": 10},
    }  # fmt: skip


def _entries(places: Places) -> list[dict[str, Any]]:
    us = {"access_key": f"${{file:{places.key_file}}}", "base_url": places.us_url}
    eu = {"access_key": "sk-eu", "base_url": places.eu_url}
    mini = {"input": 0.15, "output": 0.6, "cached_input": 0.075}
    gpt = {"input": 2.5, "output": 10.0, "cached_input": 1.25}
    anthropic = {"access_key": "sk-ant", "base_url": places.anthropic_url}
    return [
        {"model": MINI, "default": True, "price": mini, **us},
        {"model": GPT, "name": "openai-us", "price": gpt, **us},
        {"model": GPT, "name": "openai-eu", "price": gpt, **eu},
        {"model": CLAUDE, "tls": {"ca_file": str(places.ca_file)}, **anthropic},
        {"model": "plano/router", "base_url": places.router_url},
    ]


def _route(name: str, description: str, prefer: str, *models: str) -> dict[str, Any]:
    policy = {"prefer": prefer}
    route = {"name": name, "description": description, "models": list(models)}
    return route | {"selection_policy": policy}


PRICES: Final = {CLAUDE: {"input": 3.0, "output": 15.0, "cached_input": 0.3}}
"""What the file of prices says; the other models' are in the config."""


def prometheus_settings(admin_ports: dict[str, int], rules: Path) -> dict[str, Any]:
    """Scrape each sidecar as a pod, once a second, and evaluate what ``rules/`` holds as often."""
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {**LABELS, "pod": pod}}
        for pod, port in admin_ports.items()
    ]
    interval = f"{SCRAPE_S}s"
    times = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    return {
        "global": dict.fromkeys(times, interval),
        "rule_files": [f"{rules}/*.yaml"],
        "scrape_configs": [{"job_name": JOB, "static_configs": targets}],
    }

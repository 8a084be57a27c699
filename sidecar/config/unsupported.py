"""Keys that load and do nothing, and keys that are refused: a table each. A key that comes to be
served loses its line.
"""

from __future__ import annotations

from typing import Final

from sidecar.config.report import Path, Report

_AGENTS: Final = (
    "is not served: this sidecar serves model listeners, not agents, prompts or filters"
)

REFUSED: Final = {
    "agents": _AGENTS,
    "filters": _AGENTS,
    "prompt_targets": _AGENTS,
    "prompt_guards": _AGENTS,
    "endpoints": _AGENTS,
    "system_prompt": _AGENTS,
    "state_storage": "is not served: no conversation is stored here",
    "listeners.ingress_traffic": _AGENTS,
    "listeners[].type=agent": _AGENTS,
    "listeners[].type=prompt": _AGENTS,
    "listeners[].agents": _AGENTS,
    "listeners[].router": _AGENTS,
    "listeners[].input_filters": _AGENTS,
    "listeners[].output_filters": _AGENTS,
}
"""Plano's keys that cannot be accepted, since an operator counts on what they do."""

NOT_SERVED: Final = {
    "ratelimits": "is accepted but not served",
    "prompt_caching": "is accepted but not served",
    "routing.routing_budget": "is accepted but not served",
    "routing.route_on_user_only": "is accepted but not served",
    "routing.llm_provider": "is accepted but not served",
    "routing.model": "is accepted but not served",
    "listeners[].timeout": "is accepted but not served; see timeouts",
    "listeners[].max_retries": "is accepted but not served; see limits.attempts",
    "model_providers[].rate_limits": "is accepted but not served",
    "model_providers[].usage": "is accepted but not served",
    "overrides.upstream_connect_timeout": "is accepted but not served; see timeouts.connect_s",
    "overrides.upstream_tls_ca_path": "is accepted but not served; set SSL_CERT_FILE",
    "overrides.agent_orchestration_model": "is accepted but not served; see "
    "overrides.llm_routing_model",
    "overrides.orchestrator_model_context_length": "is accepted but not served; see "
    "routing.router_context_tokens",
    "overrides.prompt_target_intent_matching_threshold": "is accepted but not served",
    "overrides.optimize_context_window": "is accepted but not served",
    "overrides.use_agent_orchestrator": "is accepted but not served",
    "overrides.disable_signals": "is accepted but not served",
    "tracing.trace_arch_internal": "is accepted but not served",
    "tracing.opentracing_grpc_endpoint": "is accepted but not served; see tracing.otlp_endpoint",
    "tracing.span_attributes": "is accepted but not served",
    "tracing.exporters": "is accepted but not served",
}
"""Plano's keys that may be ignored: without them a call is still served as it should be."""

NOT_BUILT_YET: Final = {
    "tracing.random_sampling": "is not built yet: no span is made",
    "tracing.otlp_endpoint": "is not built yet: no span is made",
    "access_log": "is not built yet: no access log is written",
}
"""Keys of this project that are not built yet."""


def why_refused(path: Path, value: str | None = None) -> str | None:
    """Return why a key, or one value of it, is refused by name; None where it is not."""
    pattern = _pattern(path)
    return REFUSED.get(pattern if value is None else f"{pattern}={value}")


def warn_of_unserved(report: Report) -> None:
    """Warn of every key that does nothing, once for each kind of key, at its first place."""
    seen: set[str] = set()
    for path in report.given:
        pattern = _pattern(path)
        message = NOT_SERVED.get(pattern) or NOT_BUILT_YET.get(pattern)
        if message is not None and pattern not in seen:
            seen.add(pattern)
            report.warn(path, message)


def _pattern(path: Path) -> str:
    parts = ["[]" if isinstance(key, int) else f".{key}" for key in path]
    return "".join(parts).removeprefix(".")

"""The objectives, and what is recorded for them and for dashboards over many pods."""

from __future__ import annotations

from typing import Final

from deploy.prometheus.alert import BY, Runbook
from deploy.prometheus.burn_rate import Slo, rates

REQUESTS: Final = rates("plano_sidecar_requests_total", "outcome")
DECISION_TIMES: Final = rates("plano_sidecar_routing_duration_seconds_bucket", "source, le")
OVERHEAD: Final = rates("plano_sidecar_overhead_seconds_bucket", "le")
ROUTER: Final = rates("plano_sidecar_router_requests_total", "outcome")
RECORDED: Final = (
    REQUESTS,
    DECISION_TIMES,
    OVERHEAD,
    ROUTER,
    rates("plano_sidecar_routing_decisions_total", "source, route, model"),
    rates("plano_sidecar_affinity_operations_total", "operation, outcome"),
    rates("plano_sidecar_upstream_attempts_total", "account, model, outcome"),
    rates("plano_sidecar_upstream_first_byte_seconds_bucket", "model, le"),
    rates("plano_sidecar_failovers_total", "from_model, to_model, reason"),
    rates("plano_sidecar_tokens_total", "model, kind"),
    rates("plano_sidecar_cost_usd_total", "account, model"),
)
"""Over all pods, for dashboards of fleets in which a query of every pod's series is slow."""

_VALID: Final = (
    f'sum by ({BY}) ({REQUESTS.name}{{outcome=~"ok|upstream_error|sidecar_error|incomplete"}})'
)


def _decisions(sources: str, le: str) -> str:
    return f'sum by ({BY}) ({DECISION_TIMES.name}{{source=~"{sources}", le="{le}"}})'


def _slower_than(sources: str, le: str) -> str:
    return f"{_decisions(sources, '+Inf')}\n- {_decisions(sources, le)}"


SUCCESS: Final = Slo(
    slo="success",
    alert="PlanoSidecarRequestsFail",
    objective=0.999,
    bad_share="of the requests failed",
    bad=f'sum by ({BY}) ({REQUESTS.name}{{outcome=~"upstream_error|sidecar_error|incomplete"}})\n'
    f"or 0 * {_VALID}",
    valid=_VALID,
    fast_severity="critical",
    summary="An app's calls to language models fail, by the sidecar's or a provider's fault.",
    runbook=Runbook(
        "More calls failed than the objective of 99.9 % allows: no candidate served them, the"
        " response broke off, or the sidecar refused or failed. What the app did wrong or cancelled"
        " is not counted.",
        "The dashboard's `Failures by side` says whose they are. Provider: `Attempts by outcome`,"
        " `Failed attempts by account`, `State of candidates`; the log's provider_fails has"
        " cause, status and code. Sidecar: `In flight`, `Event loop lag`, and the log.",
        "Provider: see its status page; add a second candidate to the route, or take the failing"
        " one out of the config. A refused key or a spent quota has an alert of its own. Sidecar:"
        " if it refuses for overload, add pods or raise limits.in_flight; if it fails, go back to"
        " the version before.",
    ),
)
PINNED: Final = Slo(
    slo="pinned_latency",
    alert="PlanoSidecarPinnedDecisionsSlow",
    objective=0.99,
    bad_share="of the pinned decisions took over 1 ms",
    bad=_slower_than("pinned", "0.001"),
    valid=_decisions("pinned", "+Inf"),
    fast_severity="warning",
    summary="Choosing the pinned model of a session takes over 1 ms too often.",
    runbook=Runbook(
        "More than 1 % of the calls whose session has a pin waited over 1 ms for it. Calls are"
        " served, each a little later.",
        "`Where pins are found`: a fall of near means that pins are read from Redis each time,"
        " since sessions move between pods or tracking is down. `Time of look-ups and claims`:"
        " Redis is far or slow. `Event loop lag`: the process gets no CPU.",
        "Route a session's calls to one pod where you can. Bring Redis nearer, or give it CPU."
        " Remove the sidecar's CPU limit.",
    ),
)
ROUTED: Final = Slo(
    slo="routed_latency",
    alert="PlanoSidecarRoutedDecisionsSlow",
    objective=0.99,
    bad_share="of the routed decisions took over 1 s",
    bad=_slower_than("routed|fallback", "1.0"),
    valid=_decisions("routed|fallback", "+Inf"),
    fast_severity="warning",
    summary="Choosing a model with the router model takes over 1 s too often.",
    runbook=Runbook(
        "More than 1 % of the calls that needed the router model waited over 1 s for a decision,"
        " those among them that were served without its answer. Only first calls of a session"
        " wait.",
        "`Router model's time` and `Router model by outcome`: is it slow, does it time out?"
        " `Decision time by source, p99`.",
        "Give the router model more replicas or a faster machine, or a smaller model. Lower"
        " routing.router_timeout_ms so that calls fall back sooner.",
    ),
)
OBJECTIVES: Final = (SUCCESS, PINNED, ROUTED)

"""Which model calls get, why, and how long choosing it takes."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Panel, Query, Row, quantile, quantiles, rate, red_from

_DURATION: Final = "routing_duration_seconds"
_DECISIONS: Final = rate("routing_decisions_total")
_SOURCE_COLORS: Final = (
    ("pinned", "green"), ("routed", "blue"), ("requested", "purple"), ("default", "yellow"),
    ("fallback", "red"),
)  # fmt: skip

_OUTCOME_COLORS: Final = (
    ("matched", "green"), ("other", "blue"), ("timeout", "orange"), ("http_error", "red"),
    ("breaker_open", "purple"), ("busy", "yellow"), ("unreadable", "dark-red"),
    ("unknown_route", "dark-orange"),
)  # fmt: skip


def _decision_times(name: str, rank: float) -> Panel:
    return Panel(
        f"Decision time by source, {name}",
        f"How long choosing a model took for {name} of the calls, Redis and the router model"
        " included. Pinned ones belong under 1 ms: look at Redis and at the event loop's lag when"
        " they are not. Routed ones belong under 1 s: look at the router model's time.",
        "s",
        (Query(quantile(rank, _DURATION, "source"), "{{source}}"),),
        logarithmic=True,
        colors=_SOURCE_COLORS,
        thresholds=((None, "green"), (0.001, "yellow"), (1, "red")),
    )


ROUTING: Final = Row(
    "Routing",
    (
        Panel(
            "Decisions by source",
            "Why models were chosen. A rise of fallback: the router model fails. A rise of routed"
            " without new sessions: pins are lost (row Affinity). Default: apps name models that"
            " are not configured.",
            "ops",
            (Query(rate("routing_decisions_total", by="source"), "{{source}}"),),
            stacked=True,
            colors=_SOURCE_COLORS,
        ),
        Panel(
            "Routes by share",
            "Which routes calls took. A route that swallows the others: are the descriptions of the"
            " routes still apart? `other` came in a request's own list; `none` is without a route.",
            "percentunit",
            (
                Query(
                    f"{rate('routing_decisions_total', by='route')}"
                    f" / ignoring (route) group_left () ({_DECISIONS} > 0)",
                    "{{route}}",
                ),
            ),
            stacked=True,
            maximum=1,
        ),
        Panel(
            "Models by share",
            "Which models were chosen, before any failover. A share that moves without a change of"
            " the config: prices or latencies rank the candidates anew, or one of them cools.",
            "percentunit",
            (
                Query(
                    f"{rate('routing_decisions_total', by='model')}"
                    f" / ignoring (model) group_left () ({_DECISIONS} > 0)",
                    "{{model}}",
                ),
            ),
            stacked=True,
            maximum=1,
        ),
        _decision_times("p50", 0.5),
        _decision_times("p95", 0.95),
        _decision_times("p99", 0.99),
        Panel(
            "Router model by outcome",
            "Questions to the router model. http_error, timeout and breaker_open: calls are served"
            " without it, by the model that they ask for; look at its server. unreadable and"
            " unknown_route: is it the right model, with the right prompt template?",
            "ops",
            (Query(rate("router_requests_total", by="outcome"), "{{outcome}}"),),
            width=12,
            stacked=True,
            colors=_OUTCOME_COLORS,
        ),
        Panel(
            "Router model's time",
            "How long calls waited for the router model. The line is the default of"
            " routing.router_timeout_ms, after which a call falls back. Near it: give the router"
            " model more replicas or a faster machine, or the call more time.",
            "s",
            quantiles("router_duration_seconds"),
            width=12,
            thresholds=red_from(1),
        ),
        Panel(
            "Translated calls",
            "Calls whose model does not speak the app's API, by the way of the translation. A rise"
            " at the same load: calls fail over to another vendor's models, or a route names them"
            " first.",
            "reqps",
            (
                Query(
                    rate("translated_calls_total", by="dialect, upstream_dialect"),
                    "{{dialect}} > {{upstream_dialect}}",
                ),
            ),
            stacked=True,
            width=12,
        ),
        Panel(
            "Fields lost in translation",
            "What translated calls were sent without, or their responses lost: none of it is"
            " decisive. `unknown` are fields that the sidecar does not know: look for a newer one."
            " `translate: strict` refuses what is more than harmless.",
            "ops",
            (Query(rate("translation_losses_total", by="field"), "{{field}}"),),
            stacked=True,
            width=12,
        ),
    ),
)

"""What calls take and cost, and what pins save."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Panel, Query, Row, rate, share

COST: Final = Row(
    "Tokens and cost",
    (
        Panel(
            "Tokens per second by kind",
            "As providers count them; cached input is a part of the input at some of them. A fall"
            " of cached_input at the same load: prompt caches are missed, look at replaced pins.",
            "short",
            (Query(rate("tokens_total", by="kind"), "{{kind}}"),),
        ),
        Panel(
            "Tokens per second by model",
            "Input and output. It shows which model a bill or a rate limit comes from.",
            "short",
            (
                Query(
                    rate("tokens_total", 'kind=~"input|output"', "model"),
                    "{{model}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Responses without usage",
            "Share of responses that did not say how many tokens they took: neither tokens nor cost"
            " count them. Usual for streams of some servers, unless the app asks for usage in the"
            " stream's options, or the sidecar does (usage: ask).",
            "percentunit",
            (
                Query(
                    share(
                        rate("usage_missing_total"),
                        rate("requests_total", 'outcome="ok"'),
                    ),
                    "without usage",
                ),
            ),
        ),
        Panel(
            "USD per hour by model",
            "At the prices of the config, or of model_metrics_sources; what has no price is left"
            " out. A rise at the same load: failovers to a dearer model, or longer prompts.",
            "currencyUSD",
            (Query(f"3600 * {rate('cost_usd_total', by='model')}", "{{model}}"),),
            stacked=True,
        ),
        Panel(
            "USD per hour by account",
            "Which account pays. Compare it with the account's limit at the provider.",
            "currencyUSD",
            (Query(f"3600 * {rate('cost_usd_total', by='account')}", "{{account}}"),),
            stacked=True,
        ),
        Panel(
            "USD per hour saved by pins",
            "What pinned calls did not cost, since the provider read a part of the prompt from its"
            " cache. A fall at the same load: sessions lose their pins, or move to other models.",
            "currencyUSD",
            (Query(f"3600 * {rate('affinity_saved_usd_total', by='model')}", "{{model}}"),),
            stacked=True,
        ),
    ),
)

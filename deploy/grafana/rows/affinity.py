"""Do sessions keep their models: pins, and the store that holds them."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Panel, Query, Row, quantile, rate, red_from, series, share

_GETS: Final = rate("affinity_operations_total", 'operation="get"')
_TIMES: Final = "affinity_operation_duration_seconds"
_WAITED_FOR: Final = 'operation=~"get|claim"'
_PIN_COLORS: Final = (
    ("claimed", "green"), ("adopted", "blue"), ("replaced", "orange"), ("released", "purple"),
    ("lost", "red"),
)  # fmt: skip

AFFINITY: Final = Row(
    "Affinity",
    (
        Panel(
            "Where pins are found",
            "Share of look-ups that were answered from memory (near) and from Redis. A fall of"
            " near: sessions move between pods, or tracking is down. A rise of neither: new"
            " sessions, an emptied Redis, or one that is down.",
            "percentunit",
            (
                Query(
                    share(
                        rate("affinity_operations_total", 'operation="get", outcome="near_hit"'),
                        _GETS,
                    ),
                    "near",
                ),
                Query(
                    share(
                        rate("affinity_operations_total", 'operation="get", outcome="hit"'), _GETS
                    ),
                    "Redis",
                ),
                Query(
                    share(
                        rate(
                            "affinity_operations_total",
                            'operation="get", outcome!~"near_hit|hit"',
                        ),
                        _GETS,
                    ),
                    "neither",
                ),
            ),
            stacked=True,
            maximum=1,
            colors=(("near", "green"), ("Redis", "blue"), ("neither", "orange")),
        ),
        Panel(
            "Adopted and replaced pins",
            "adopted: pods met at a new session and agreed on one model; many of them, and the load"
            " balancer scatters first calls. replaced: sessions moved to another model, which costs"
            " the provider's prompt cache; look at failovers. lost: another pod moved it first.",
            "ops",
            (
                Query(
                    rate(
                        "affinity_operations_total",
                        'outcome=~"claimed|adopted|replaced|released|lost"',
                        "outcome",
                    ),
                    "{{outcome}}",
                ),
            ),
            colors=_PIN_COLORS,
        ),
        Panel(
            "Adopted share of claims",
            "Of sessions that were about to be pinned, the share that another pod had pinned first."
            " Near zero is usual. A rise: first calls of one session come to several pods at once.",
            "percentunit",
            (
                Query(
                    share(
                        rate("affinity_operations_total", 'operation="claim", outcome="adopted"'),
                        rate("affinity_operations_total", 'operation="claim"'),
                    ),
                    "adopted",
                ),
            ),
        ),
        Panel(
            "Time of look-ups and claims",
            "How long calls waited for a pin, and for one to be made. Above a few milliseconds:"
            " Redis is far, busy or slow; calls stop waiting for it after"
            " routing.session_cache.call_budget_ms.",
            "s",
            (
                Query(quantile(0.5, _TIMES, "operation", _WAITED_FOR), "p50 {{operation}}"),
                Query(quantile(0.99, _TIMES, "operation", _WAITED_FOR), "p99 {{operation}}"),
            ),
            logarithmic=True,
        ),
        Panel(
            "Operations that failed",
            "error, timeout and skipped: Redis cannot be used, calls go on without it; the log has"
            " the cause (redis_fails). stale_value: something else writes to its keys.",
            "ops",
            (
                Query(
                    rate(
                        "affinity_operations_total",
                        'outcome=~"error|timeout|skipped|stale_value"',
                        "outcome",
                    ),
                    "{{outcome}}",
                ),
            ),
        ),
        Panel(
            "Pins passed over",
            "Calls that were served without their session's pin, and why. no_tenant: the app leaves"
            " out the tenant's header. unknown_model: pods have different configs. inline_list and"
            " dialect: the app asks for what the pinned model is not.",
            "ops",
            (
                Query(
                    rate("affinity_operations_total", 'operation="bypass"', "outcome"),
                    "{{outcome}}",
                ),
            ),
        ),
        Panel(
            "Pods without Redis, without tracking",
            "Pods that leave Redis alone since it fails, and pods that are not told when others"
            " change pins, and believe one for a second only. Zero is right. Else: the log's"
            " redis_fails, and the rights of its user (CLIENT TRACKING).",
            "short",
            (
                Query(f"sum (1 - {series('affinity_store_up')})", "store down"),
                Query(f"sum (1 - {series('affinity_tracking_up')})", "tracking down"),
            ),
            width=12,
            thresholds=red_from(1),
            colors=(("store down", "red"), ("tracking down", "orange")),
        ),
        Panel(
            "Pins in memory",
            "near: read from Redis and kept. shadow: made while Redis was away, to be written back;"
            " it falls to zero within minutes of its return, else pods are still without it.",
            "short",
            (
                Query(f"sum ({series('affinity_near_entries')})", "near"),
                Query(f"sum ({series('affinity_shadow_entries')})", "shadow"),
            ),
            width=12,
            colors=(("near", "green"), ("shadow", "orange")),
        ),
    ),
)

"""Is it well: rate, failures, duration, and what the sidecar itself adds."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import Panel, Query, Row, quantile, quantiles, rate, red_from, share

_ALL: Final = rate("requests_total")
_FAILED: Final = 'outcome=~"upstream_error|sidecar_error|incomplete"'
_VALID: Final = rate("requests_total", 'outcome=~"ok|upstream_error|sidecar_error|incomplete"')
"""All that could have been served: neither cancelled nor left unread by the app, nor its own
mistake.
"""
_DURATION: Final = "routing_duration_seconds"
_ROUTED: Final = 'source=~"routed|fallback"'
_GETS: Final = rate("affinity_operations_total", 'operation="get"')
_OUTCOME_COLORS: Final = (
    ("ok", "green"), ("client_error", "blue"), ("upstream_error", "orange"),
    ("sidecar_error", "red"), ("cancelled", "text"), ("downstream_idle", "semi-dark-blue"),
    ("incomplete", "purple"),
)  # fmt: skip
_GOOD_SHARE: Final = ((None, "red"), (0.95, "orange"), (0.99, "green"))


def _decisions_within(seconds: str, matchers: str) -> str:
    part = rate(f"{_DURATION}_bucket", f'{matchers}, le="{seconds}"')
    return f"{part} / ({rate(f'{_DURATION}_count', matchers)} > 0)"


GOLDEN: Final = Row(
    "Golden signals",
    (
        Panel(
            "Success",
            "Share of requests that were served, of those that the app neither cancelled nor got"
            " wrong. Objective: 99.9 %. Below it, the panel of failures says whose they are.",
            "percentunit",
            (Query(f"1 - {share(rate('requests_total', _FAILED), _VALID)}", "success"),),
            kind="stat",
            width=4,
            height=4,
            thresholds=((None, "red"), (0.99, "orange"), (0.999, "green")),
        ),
        Panel(
            "Requests per second",
            "All requests of the apps. None at all while the apps work: are they configured to call"
            " the sidecar, and is it ready?",
            "reqps",
            (Query(_ALL, "requests"),),
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Overhead, p99",
            "What the sidecar itself added to 99 of 100 calls, at most. Objective: 10 ms. Above it:"
            " is its CPU limited or starved (row Sidecar)?",
            "s",
            (Query(quantile(0.99, "overhead_seconds"), "p99"),),
            kind="stat",
            width=4,
            height=4,
            thresholds=((None, "green"), (0.005, "orange"), (0.01, "red")),
        ),
        Panel(
            "Pinned decisions within 1 ms",
            "Objective: 99 %. Below it, pins are read from Redis instead of memory, or the event"
            " loop is late: rows Affinity and Sidecar.",
            "percentunit",
            (Query(_decisions_within("0.001", 'source="pinned"'), "within 1 ms"),),
            kind="stat",
            width=4,
            height=4,
            thresholds=_GOOD_SHARE,
        ),
        Panel(
            "Routed decisions within 1 s",
            "Objective: 99 %, those included that fell back since the router model did not answer."
            " Below it, the router model is slow or fails: row Routing.",
            "percentunit",
            (Query(_decisions_within("1.0", _ROUTED), "within 1 s"),),
            kind="stat",
            width=4,
            height=4,
            thresholds=_GOOD_SHARE,
        ),
        Panel(
            "Pins found",
            "Share of look-ups of a session's pin that found one, in memory or in Redis. New"
            " sessions find none. A fall without more new sessions: Redis evicts, or was emptied.",
            "percentunit",
            (
                Query(
                    share(
                        rate(
                            "affinity_operations_total",
                            'operation="get", outcome=~"near_hit|hit"',
                        ),
                        _GETS,
                    ),
                    "found",
                ),
            ),
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Requests by outcome",
            "Orange is a provider's, red the sidecar's own, purple broke off in mid-stream, blue"
            " the app's own mistake. For orange and purple go on to the row Upstreams, for red to"
            " the sidecar's log.",
            "reqps",
            (Query(rate("requests_total", by="outcome"), "{{outcome}}"),),
            width=12,
            stacked=True,
            colors=_OUTCOME_COLORS,
        ),
        Panel(
            "Failures by side",
            "Share of all requests that failed, by whose side it was. Provider: row Upstreams, and"
            " the provider's status page. Sidecar: overload or draining, see in flight and the log."
            " App: its own log has the message; the sidecar sent it.",
            "percentunit",
            (
                Query(share(rate("requests_total", 'outcome="sidecar_error"'), _ALL), "sidecar"),
                Query(
                    share(rate("requests_total", 'outcome=~"upstream_error|incomplete"'), _ALL),
                    "provider",
                ),
                Query(
                    share(
                        rate("requests_total", 'outcome=~"client_error|cancelled|downstream_idle"'),
                        _ALL,
                    ),
                    "app",
                ),
            ),
            width=12,
            thresholds=red_from(0.001),
            colors=(("sidecar", "red"), ("provider", "orange"), ("app", "blue")),
        ),
        Panel(
            "Duration of requests",
            "From admission to the last byte. It is the provider's unless overhead or decision time"
            " rose too: compare it with the first byte of the models in the row Upstreams.",
            "s",
            quantiles("request_duration_seconds", "streamed", "streamed={{streamed}}"),
            width=12,
            logarithmic=True,
        ),
        Panel(
            "Overhead",
            "What the sidecar itself added: the total less all waiting for others. The line is the"
            " objective for p99, 10 ms. Above it: CPU, event loop lag, and how much is in flight.",
            "s",
            (
                Query(quantile(0.5, "overhead_seconds"), "p50"),
                Query(quantile(0.99, "overhead_seconds"), "p99"),
            ),
            width=12,
            logarithmic=True,
            thresholds=red_from(0.01),
        ),
    ),
)

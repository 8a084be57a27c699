"""The process itself: what it uses, and what runs where."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panel import (
    INTERVAL,
    SELECTOR,
    Panel,
    Query,
    Row,
    quantiles,
    rate,
    red_from,
    series,
)

_PODS_AT_MOST: Final = 10
"""Lines in a graph of single pods."""

_NONE: Final = f"0 * sum ({series('in_flight')})"
"""Zero, where a metric is there only with what it counts, such as tracing."""
_KEPT: Final = (
    f"max by (share) ({series('memory_used_bytes')}"
    f" / on (instance) group_left () {series('memory_limit_bytes')})"
)


def _of_process(metric: str) -> str:
    """Return the pods with the most of a metric of the sidecar's process. The app in a pod may
    export the same name: what counts is the scrape that has the sidecar's build too.
    """
    return f"topk({_PODS_AT_MOST}, {metric} and on (instance) {series('build_info')})"


SIDECAR: Final = Row(
    "Sidecar",
    (
        Panel(
            "Resident memory",
            "Of the ten largest sidecars. The chart's limit is 192 MiB. Steady growth at the same"
            " load is a leak: restart that pod, and report it with the version.",
            "bytes",
            (Query(_of_process(f"process_resident_memory_bytes{{{SELECTOR}}}"), "{{pod}}"),),
        ),
        Panel(
            "Memory kept, by purpose",
            "Shares of limits.memory_bytes in the sidecar that keeps the most for each: bodies,"
            " pins, heads, replies, price lists. At 100 % together, large bodies wait, then get"
            " 503; small ones and pins have room of their own. Steadily full: raise the limit.",
            "percentunit",
            (Query(_KEPT, "{{share}}"),),
            thresholds=red_from(1.0),
        ),
        Panel(
            "CPU",
            "Of the ten busiest sidecars, in shares of a core. The hot path runs on one: near"
            " 100 %, add pods. A plateau below it is a CPU limit, which delays calls: remove it.",
            "percentunit",
            (
                Query(
                    _of_process(f"rate(process_cpu_seconds_total{{{SELECTOR}}}[{INTERVAL}])"),
                    "{{pod}}",
                ),
            ),
            thresholds=red_from(0.8),
        ),
        Panel(
            "Event loop lag",
            "How late the event loop wakes, over all pods. The line is 100 ms. Above it, everything"
            " in that pod is late: CPU limit, a starved node, or very large bodies.",
            "s",
            quantiles("event_loop_lag_seconds"),
            logarithmic=True,
            thresholds=red_from(0.1),
        ),
        Panel(
            "In flight",
            "Calls admitted whose response has not ended. At limits.in_flight new ones are refused."
            " A rise at the same rate: providers got slower.",
            "short",
            (
                Query(f"sum ({series('in_flight')})", "all pods"),
                Query(f"max ({series('in_flight')})", "busiest pod"),
            ),
        ),
        Panel(
            "Age of prices and latencies",
            "Time since a source of prices or latencies was last read, the worst pod. Older than"
            " its refresh interval: the log's source_fails has the cause; ranks and costs are out"
            " of date meanwhile.",
            "s",
            (Query(f"max by (source) ({series('price_age_seconds')})", "{{source}}"),),
        ),
        Panel(
            "Open files",
            "Sockets and files of the ten sidecars with the most. Steady growth at the same load is"
            " a leak of connections.",
            "short",
            (Query(_of_process(f"process_open_fds{{{SELECTOR}}}"), "{{pod}}"),),
        ),
        Panel(
            "Versions",
            "What runs, and in how many pods. More than one line outside of a rollout: some pods"
            " were not restarted. compiled=false: the hot path is slower than it could be.",
            "short",
            (
                Query(
                    "count by (version, python, loop, compiled, listener_path)"
                    f" ({series('build_info')})",
                    "{{version}} {{python}} {{loop}}",
                ),
            ),
            kind="table",
            width=12,
            columns=("version", "python", "loop", "compiled", "listener_path"),
            value="pods",
        ),
        Panel(
            "Configs",
            "Which configs serve, by the hash of the file, and in how many pods of each app. More"
            " than one an app outside of a rollout: some pods still have the old one.",
            "short",
            (
                Query(
                    f"count by (namespace, app, hash) ({series('config_info')})",
                    "{{namespace}} {{app}} {{hash}}",
                ),
            ),
            kind="table",
            width=12,
            columns=("namespace", "app", "hash"),
            value="pods",
        ),
        Panel(
            "Apps' connections",
            "To the data port. Closed by the sidecar: idle and crowded cost nobody a call, and many"
            " of them say that an app opens connections without using them; unread is an app that"
            " has stopped reading responses.",
            "short",
            (
                Query(f"sum by (state) ({series('downstream_connections')})", "{{state}}"),
                Query(
                    rate("downstream_closed_total", by="reason"),
                    "{{reason}}, closed per second",
                ),
            ),
            width=24,
            height=6,
        ),
        Panel(
            "Dropped log lines and spans",
            "Zero is right; calls go on. Log lines: nothing reads stderr (the log) or stdout (the"
            " access log), look at the container's log driver. Spans: the collector is down, slow"
            " or refuses them; the log has the exporter's cause.",
            "ops",
            (
                Query(f"{rate('log_lines_dropped_total')} or {_NONE}", "log lines"),
                Query(f"{rate('spans_dropped_total')} or {_NONE}", "spans"),
            ),
            width=24,
            height=6,
            thresholds=red_from(0.001),
        ),
        Panel(
            "Reloads",
            "Zero is right. Pods whose last reload failed serve by the config before; the"
            " log says why, and so does `plano-sidecar check`. Older configs serve the calls that"
            " began with them, until these end.",
            "short",
            (
                Query(
                    f"sum (1 - {series('config_last_reload_successful')})",
                    "last reload failed",
                ),
                Query(f"sum ({series('config_generations')} - 1)", "older configs with calls"),
            ),
            width=24,
            height=6,
            thresholds=red_from(1),
        ),
    ),
)

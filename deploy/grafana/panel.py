"""What a panel of the dashboard is, and the queries that panels are made of.

All queries read the sidecar's own metrics, not recorded ones, so the dashboard works wherever the
sidecars are scraped with the labels ``namespace`` and ``pod`` (and ``app``, where there is one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SELECTOR: Final = 'namespace=~"$namespace", app=~"$app", pod=~"$pod"'
"""Of the pods that the dashboard's variables choose."""
INTERVAL: Final = "$__rate_interval"

Thresholds = tuple[tuple[float | None, str], ...]
"""(lower bound, colour), ascending; None is the bound of the first colour."""


@dataclass(frozen=True)
class Query:
    """One PromQL expression and the name of its series in the legend."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel of the dashboard, without its place."""

    title: str
    description: str
    """What it shows, and what to do when it looks bad."""
    unit: str
    """Grafana's id of the unit."""
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    """``timeseries``, ``stat`` or ``table``, whose one query is read at the end of the range."""
    width: int = 8
    """Of the 24 columns of Grafana's grid."""
    height: int = 8
    """In Grafana's grid units of 30 pixels."""
    thresholds: Thresholds = ()
    """Lines in a graph, colours of a number."""
    stacked: bool = False
    logarithmic: bool = False
    maximum: float | None = None
    colors: tuple[tuple[str, str], ...] = ()
    """(legend, colour) of series, or (text, colour) of a table's cells."""
    columns: tuple[str, ...] = ()
    """Labels that a table shows, in this order; its last column is the query's value."""
    value: str = ""
    """Title of a table's last column."""


@dataclass(frozen=True)
class Row:
    """Panels below one heading."""

    title: str
    panels: tuple[Panel, ...]


def red_from(bound: float) -> Thresholds:
    """Return thresholds with one line, from which on it is red."""
    return (None, "green"), (bound, "red")


def series(name: str, matchers: str = "") -> str:
    """Return a selector of the chosen pods' series of a metric of the sidecar."""
    return f"plano_sidecar_{name}{{{SELECTOR}{', ' * bool(matchers)}{matchers}}}"


def rate(name: str, matchers: str = "", by: str = "") -> str:
    """Return how often a second a counter counts, over all chosen pods."""
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} (rate({series(name, matchers)}[{INTERVAL}]))"


def share(part: str, whole: str) -> str:
    """Return the share of events; 0 where the part has never happened, nothing without any."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(rank: float, histogram: str, by: str = "", matchers: str = "") -> str:
    """Return what a share ``rank`` of the observations are below, over all chosen pods."""
    buckets = rate(f"{histogram}_bucket", matchers, f"{by}, le" if by else "le")
    return f"histogram_quantile({rank}, {buckets})"


def quantiles(histogram: str, by: str = "", legend: str = "") -> tuple[Query, ...]:
    """Return queries for p50, p95 and p99."""
    return tuple(
        Query(quantile(rank, histogram, by), f"{name} {legend}".strip())
        for name, rank in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    )

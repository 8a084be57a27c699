"""Alerts on objectives: how fast the budget of failures for 30 days is being spent.

Each objective has four alerts: a fast burn wakes somebody within minutes, a slow one is told of by
day. Each asks a long window, which says that it matters, and a short one, which says that it goes
on. Counted is what the sidecar or a provider did wrong; what the app did wrong, or gave up, is left
out on both sides. Where little is called, one failure is a large share: an alert needs so many
failures in its long window that it is no accident.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from deploy.prometheus.alert import BY, INTERVAL_S, Alert, Recording, Runbook

FAILURES_AT_LEAST: Final = 10
BAD: Final = "namespace_app:plano_sidecar_slo_bad"
VALID: Final = "namespace_app:plano_sidecar_slo_valid"
_BUDGET_DAYS: Final = 30


@dataclass(frozen=True)
class Burn:
    """How much faster than allowed, seen over which windows."""

    factor: float
    long: str
    short: str
    waits: str
    is_fast: bool


BURNS: Final = (
    Burn(14.4, "1h", "5m", "2m", is_fast=True),
    Burn(6, "6h", "30m", "15m", is_fast=True),
    Burn(3, "1d", "2h", "1h", is_fast=False),
    Burn(1, "3d", "6h", "3h", is_fast=False),
)
"""Of the SRE workbook's chapter on alerting on SLOs."""


@dataclass(frozen=True)
class Slo:
    """An objective over 30 days."""

    slo: str
    """Its name, as a label."""
    alert: str
    objective: float
    bad_share: str
    """What is counted as a failure, in words that follow a percentage."""
    bad: str
    """Failures a second, by namespace and app; 0 rather than nothing."""
    valid: str
    """All that counts, a second, by namespace and app."""
    fast_severity: str
    summary: str
    runbook: Runbook


def recordings(slo: Slo) -> Iterator[Recording]:
    """Yield what the objective's alerts read: failures, all that counts, and their ratios."""
    labels = {"slo": slo.slo}
    selected = f'{{slo="{slo.slo}"}}'
    yield Recording(f"{BAD}:rate5m", slo.bad, labels)
    yield Recording(f"{VALID}:rate5m", slo.valid, labels)
    windows = dict.fromkeys(
        window for burn in reversed(BURNS) for window in (burn.short, burn.long)
    )
    for window in windows:
        # Sums of rates, so that a pause without traffic weighs nothing.
        yield Recording(
            f"{BAD}:ratio{window}",
            f"sum_over_time({BAD}:rate5m{selected}[{window}])\n"
            f"/ (sum_over_time({VALID}:rate5m{selected}[{window}]) > 0)",
            labels,
        )


def alerts(slo: Slo) -> Iterator[Alert]:
    """Yield an alert for each speed of `BURNS`."""
    selected = f'{{slo="{slo.slo}"}}'
    budget = round(1 - slo.objective, 6)
    for burn in BURNS:
        days = round(_BUDGET_DAYS / burn.factor)
        yield Alert(
            slo.alert,
            f"{BAD}:ratio{burn.long}{selected} > {burn.factor} * {budget}\n"
            f"and {BAD}:ratio{burn.short}{selected} > {burn.factor} * {budget}\n"
            f"and {INTERVAL_S} * sum_over_time({BAD}:rate5m{selected}[{burn.long}])"
            f" >= {FAILURES_AT_LEAST}",
            burn.waits,
            slo.fast_severity if burn.is_fast else "warning",
            slo.summary,
            f"{{{{ $value | humanizePercentage }}}} {slo.bad_share} of {{{{ $labels.namespace }}}}/"
            f"{{{{ $labels.app }}}} in the last {burn.long}; the objective allows"
            f" {100 * budget:g}%. At this rate the budget of {_BUDGET_DAYS} days is spent in"
            f" {days} days.",
            slo.runbook,
            {"window": burn.long},
        )


def rates(metric: str, by: str) -> Recording:
    """Return a counter's rate over all pods of an app, by some of its labels besides."""
    level = "_".join(f"{BY}, {by}".split(", "))
    stem = metric.removesuffix("_total")
    return Recording(f"{level}:{stem}:rate5m", f"sum by ({BY}, {by}) (rate({metric}[5m]))")

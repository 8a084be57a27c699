"""Metrics of operations on pins."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from sidecar.domain.events import AffinityOperation, Listeners
from sidecar.telemetry.families import (
    CounterFamily,
    CounterSeries,
    HistogramFamily,
    HistogramSeries,
)

AFFINITY_BOUNDS_S: Final[tuple[float, ...]] = (1e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 5e-2, 0.25)


class AffinityMetrics:
    """Counts operations on pins, and how long calls waited for them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = CounterFamily(
            registry,
            "plano_sidecar_affinity_operations",
            "Operations on pins, by what came of them.",
            ("operation", "outcome"),
        )
        self._durations = HistogramFamily(
            registry,
            "plano_sidecar_affinity_operation_duration_seconds",
            "How long calls waited for the affinity store.",
            ("operation",),
            AFFINITY_BOUNDS_S,
        )
        self._series: dict[tuple[str, str], tuple[CounterSeries, HistogramSeries]] = {}

    def listeners(self) -> Listeners:
        """Hear operations on pins."""
        return {AffinityOperation: self._affinity_operation}

    def _affinity_operation(self, event: AffinityOperation) -> None:
        key = event.operation, event.outcome
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = (
                self._operations.with_labels(*key),
                self._durations.with_labels(event.operation),
            )
        series[0].value += 1
        if event.waited_s:
            # Operations that no call waited for would hide those that calls waited for.
            series[1].observe(event.waited_s, event.trace_id)

"""What Prometheus is told of the affinity store."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar.domain.events import AffinityOperation, Listeners
from sidecar.telemetry.decisions import ROUTING_BUCKETS_S
from sidecar.telemetry.gauges import StoreSnapshot
from sidecar.telemetry.histogram import Buckets, Counter, CounterFamily, HistogramFamily


class AffinityMetrics:
    """An observer that counts operations on the shared store. ``holdings`` is asked at each
    scrape.
    """

    def __init__(
        self, registry: CollectorRegistry, holdings: Callable[[], StoreSnapshot | None]
    ) -> None:
        self._operations = CounterFamily(
            "plano_sidecar_affinity_operations",
            "What the store was asked, by what came of it.",
            ("operation", "outcome"),
        )
        self._durations = HistogramFamily(
            "plano_sidecar_affinity_operation_duration_seconds",
            "How long calls waited for the store.",
            ("operation",),
            ROUTING_BUCKETS_S,
        )
        self._series: dict[tuple[str, str], tuple[Counter, Buckets]] = {}
        for collector in (self._operations, self._durations, _HoldingsCollector(holdings)):
            registry.register(collector)

    def listeners(self) -> Listeners:
        """See `Observer.listeners`."""
        return {AffinityOperation: self._affinity_operation}

    def _affinity_operation(self, event: AffinityOperation) -> None:
        key = event.operation, event.outcome
        series = self._series.get(key)
        if series is None:
            pair = self._operations.with_labels(*key), self._durations.with_labels(event.operation)
            series = self._series[key] = pair
        series[0].value += 1
        if event.waited_s:
            # Operations that no call waited for would hide those that calls waited for.
            series[1].observe(event.waited_s)


class _HoldingsCollector(Collector):
    def __init__(self, holdings: Callable[[], StoreSnapshot | None]) -> None:
        self._holdings = holdings

    def collect(self) -> list[Metric]:
        now = self._holdings()
        if now is None:
            return []
        gauges = (
            (
                "near_entries",
                "Pins that were read from the store and are kept here.",
                now.near_entries,
            ),
            ("shadow_entries", "Pins that were made while the store was gone.", now.shadow_entries),
            ("store_up", "Whether the store is asked.", now.is_up),
            ("tracking_up", "Whether the store tells of foreign writes.", now.is_tracking),
        )
        return [
            GaugeMetricFamily(f"plano_sidecar_affinity_{name}", text, value=float(value))
            for name, text, value in gauges
        ]

"""Metrics of the exporter of spans."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sidecar.domain.vocabulary import SpanDrop
from sidecar.telemetry.families import CounterFamily


class SpanMetrics:
    """Counts spans that were exported, and those that were dropped.

    Series that the exporter's thread counts in are not those of the event loop's.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.exported = CounterFamily(
            registry,
            "plano_sidecar_spans_exported",
            "Spans of sampled calls that the collector took. Only with tracing.",
            (),
        ).with_labels()
        dropped = CounterFamily(
            registry,
            "plano_sidecar_spans_dropped",
            "Spans of sampled calls that no collector got, by why. Only with tracing.",
            ("reason",),
        )
        self.queue_full = dropped.with_labels(SpanDrop.QUEUE_FULL)
        """Counted by the event loop's thread."""
        self.not_exported = dropped.with_labels(SpanDrop.NOT_EXPORTED)
        """Counted by the exporter's thread, as is ``exported``."""

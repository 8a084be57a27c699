"""Tracing as the rest of the process sees it; without it no module of OpenTelemetry is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from sidecar.config.tracing import TracingSettings
from sidecar.domain.clock import Clock
from sidecar.domain.ids import TraceContext
from sidecar.runtime.installation import ZSTD, as_if_missing
from sidecar.telemetry.span_facts import CalledServer, Span
from sidecar.telemetry.span_metrics import SpanMetrics
from sidecar.telemetry.spans import SpanMaker

if TYPE_CHECKING:
    from sidecar.telemetry.otlp import OtlpExporter


class CallTracer:
    """Makes spans of sampled calls, and exports them once it was started.

    Args: ``server_of`` as of `SpanMaker`.
    """

    def __init__(
        self,
        settings: TracingSettings,
        clock: Clock,
        server_of: Callable[[str], CalledServer | None],
    ) -> None:
        self.observer = SpanMaker(clock, self._take, server_of)
        self._settings = settings
        self._clock = clock
        self._exporter: OtlpExporter | None = None

    def start(self, registry: CollectorRegistry) -> None:
        """Begin to export, and to count spans in metrics."""
        with as_if_missing(*ZSTD):
            from sidecar.telemetry.otlp import OtlpExporter  # a quarter of a second, and 20 MiB

        self._exporter = OtlpExporter(self._settings, SpanMetrics(registry), self._clock)

    async def aclose(self) -> None:
        """Export what waits, for a second at most."""
        if self._exporter is not None:
            await self._exporter.aclose()

    def _take(self, trace: TraceContext, spans: list[Span]) -> None:
        if self._exporter is not None:
            self._exporter.take(trace, spans)

"""The page `/metrics`: metrics that count events, and gauges that are read at each scrape."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar.domain.call import DialectName
from sidecar.domain.events import Observer
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry.affinity_metrics import AffinityMetrics
from sidecar.telemetry.build_facts import build_facts
from sidecar.telemetry.cost_metrics import CostMetrics, Pricing, UsageMetrics
from sidecar.telemetry.event_metrics import (
    CallMetrics,
    DownstreamMetrics,
    RoutingMetrics,
    UpstreamMetrics,
)
from sidecar.telemetry.exposition import SharedPages, written
from sidecar.telemetry.families import CounterFamily, HistogramFamily
from sidecar.telemetry.gauges import GAUGES, STORE_GAUGES, ScrapeSnapshot
from sidecar.telemetry.translation_metrics import TranslationMetrics

_PREFIX: Final = "plano_sidecar_"
LAG_BOUNDS_S: Final[tuple[float, ...]] = (1e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1)


class Metrics:
    """Everything that Prometheus can read about one sidecar.

    Args: ``snapshot`` is called at each scrape; ``listener_path`` is
        `listener.server.listener_path`; ``cache_apart`` is that of `Pricing`.
    """

    def __init__(
        self,
        snapshot: Callable[[], ScrapeSnapshot],
        listener_path: str = "fast",
        cache_apart: frozenset[DialectName] = frozenset(),
    ) -> None:
        self.pricing = pricing = Pricing(cache_apart)
        self.registry = registry = _Registry()
        self.observers: tuple[Observer, ...] = (
            CallMetrics(registry),
            DownstreamMetrics(registry),
            RoutingMetrics(registry),
            UpstreamMetrics(registry),
            AffinityMetrics(registry),
            CostMetrics(registry, pricing),
            UsageMetrics(registry),
            TranslationMetrics(registry),
        )
        self.loop_lag: Final = HistogramFamily(
            registry,
            "plano_sidecar_event_loop_lag_seconds",
            "How much later than asked for the event loop woke a sleeper, once a second.",
            (),
            LAG_BOUNDS_S,
        ).with_labels()
        registry.register(_GaugeCollector(snapshot, listener_path))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.pages: Final = SharedPages(registry.parts)

    def begin(self, dialects: Iterable[DialectName]) -> None:
        """Show what counts requests of these dialects from zero on: to Prometheus a series that
        begins at 20 failures has had none, and a job's pod may live no longer than them. An app
        that stops reading is rare, and no alert counts it.
        """
        requests = self.counter("requests")
        for dialect, outcome in itertools.product(dialects, CallOutcome):
            if outcome is not CallOutcome.DOWNSTREAM_IDLE:
                requests.with_labels(dialect, outcome)

    def counter(self, name: str) -> CounterFamily:
        """Return the counter of this name, without prefix and suffix. Raises: KeyError."""
        return self.registry.counters[_PREFIX + name]

    def histogram(self, name: str) -> HistogramFamily:
        """Return the histogram of this name, without its prefix. Raises: KeyError."""
        return self.registry.histograms[_PREFIX + name]

    async def render(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition that an Accept header asks for, and its content type."""
        return await written(self.registry.parts(), accept)


class _Registry(CollectorRegistry):
    """A registry whose large families come in parts."""

    def __init__(self) -> None:
        super().__init__()
        self._collectors: Final[list[Collector]] = []

        self.counters: Final[dict[str, CounterFamily]] = {}
        self.histograms: Final[dict[str, HistogramFamily]] = {}

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self._collectors.append(collector)
        if isinstance(collector, CounterFamily):
            self.counters[collector.name] = collector
        elif isinstance(collector, HistogramFamily):
            self.histograms[collector.name] = collector

    def parts(self) -> Iterator[Metric]:
        """Yield all families, as `exposition.written` takes them."""
        for collector in self._collectors:
            if isinstance(collector, CounterFamily | HistogramFamily):
                yield from collector.parts()
            else:
                yield from collector.collect()


class _GaugeCollector(Collector):
    def __init__(self, snapshot: Callable[[], ScrapeSnapshot], listener_path: str) -> None:
        self._snapshot = snapshot
        self._listener_path = listener_path

    def collect(self) -> Iterator[Metric]:
        now = self._snapshot()
        for gauge in GAUGES if now.store is None else GAUGES + STORE_GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.documentation, labels=gauge.labels)
            for labels, value in gauge.read(now):
                family.add_metric(labels, value)
            yield family
        dropped = CounterMetricFamily(
            "plano_sidecar_log_lines_dropped",
            "Lines of the log (stderr) and the access log (stdout) that nothing read in time.",
            labels=("stream",),
        )
        for stream, lines in now.dropped_lines:
            dropped.add_metric((stream,), lines)
        yield dropped
        build = InfoMetricFamily(
            "plano_sidecar_build",
            "Versions of the sidecar and of its Python, and what serves: loop, listener, hot path.",
        )
        facts = msgspec.structs.asdict(build_facts(self._listener_path))
        build.add_metric((), facts | {"compiled": "true" if facts["compiled"] else "false"})
        yield build
        config = InfoMetricFamily(
            "plano_sidecar_config", "The config that serves new calls, by the hash of its file."
        )
        config.add_metric((), {"hash": now.config_hash})
        yield config

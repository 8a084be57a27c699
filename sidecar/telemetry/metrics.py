"""The page `/metrics`: metrics that count events, and gauges that are read at each scrape."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar.domain.call import DialectName
from sidecar.domain.events import Observer
from sidecar.domain.ports import CandidateSnapshot, StoreSnapshot
from sidecar.domain.vocabulary import CallOutcome, CandidateCondition, ConnectionState
from sidecar.telemetry.affinity_metrics import AffinityMetrics
from sidecar.telemetry.build_facts import build_facts
from sidecar.telemetry.cost_metrics import CostMetrics, Pricing
from sidecar.telemetry.event_metrics import (
    CallMetrics,
    DownstreamMetrics,
    RoutingMetrics,
    UpstreamMetrics,
)
from sidecar.telemetry.exposition import SharedPages, written
from sidecar.telemetry.families import CounterFamily, HistogramFamily

_PREFIX: Final = "plano_sidecar_"
LAG_BOUNDS_S: Final[tuple[float, ...]] = (1e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1)


class ScrapeSnapshot(msgspec.Struct, frozen=True):
    """What the gauges show, as it is at the moment of a scrape."""

    in_flight: int = 0
    connections: Sequence[tuple[str, int, int]] = ()
    """(provider family, connections in use, connections kept for the next call), for each pool."""
    candidates: Sequence[CandidateSnapshot] = ()
    """All that are configured, each once."""
    price_ages_s: Sequence[tuple[str, float]] = ()
    """(source, seconds since its numbers were last read)."""
    store: StoreSnapshot | None = None
    """None where pins are kept in this process alone."""
    config_hash: str = ""
    generations: int = 1
    """Configs by which calls are served: the one in effect, and older ones whose calls go on."""
    is_reload_successful: bool = True
    """Whether the last reload was good, or the start if there was none."""
    reload_success_unix_s: float = 0.0
    """When the config was last read and found good."""
    routes: Sequence[tuple[str, int]] = ()
    """(route, candidates that have their usual place in plans), for each route in effect."""
    dropped_lines: Sequence[tuple[str, int]] = ()
    """(stream, lines of it that were dropped since nothing read them)."""
    downstream: tuple[int, int] = (0, 0)
    """Connections of apps with a request, and without."""


class _Gauge(msgspec.Struct, frozen=True):
    """A gauge: ``read`` returns its label values and numbers."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    read: Callable[[ScrapeSnapshot], Sequence[tuple[tuple[str, ...], float]]]


def _connections(
    pools: Sequence[tuple[str, int, int]],
) -> list[tuple[tuple[str, ...], float]]:
    counts: collections.Counter[tuple[str, ...]] = collections.Counter()
    for provider, active, idle in pools:
        counts[provider, ConnectionState.ACTIVE] += active
        counts[provider, ConnectionState.IDLE] += idle
    return list(counts.items())


_CONNECTION_STATES: Final = ((ConnectionState.ACTIVE,), (ConnectionState.IDLE,))


def _candidate_states(
    candidate: CandidateSnapshot,
) -> Iterator[tuple[tuple[str, ...], float]]:
    family = candidate.model.partition("/")[0]
    for state in CandidateCondition:
        is_so = state is candidate.condition
        reason = candidate.reason if is_so and candidate.reason is not None else ""
        yield (family, candidate.account, candidate.model, state, reason), float(is_so)


def _store_gauge(name: str, documentation: str, read: Callable[[StoreSnapshot], float]) -> _Gauge:
    return _Gauge(
        f"plano_sidecar_affinity_{name}",
        documentation,
        (),
        lambda now: () if now.store is None else [((), float(read(now.store)))],
    )


_GAUGES: Final = (
    _Gauge(
        "plano_sidecar_in_flight",
        "Calls admitted whose response has not ended.",
        (),
        lambda now: [((), now.in_flight)],
    ),
    _Gauge(
        "plano_sidecar_upstream_connections",
        "Connections to providers; what two families share counts under the first one of them.",
        ("provider", "state"),
        lambda now: _connections(now.connections),
    ),
    _Gauge(
        "plano_sidecar_downstream_connections",
        "Connections of apps to the data port: with a request, or idle.",
        ("state",),
        lambda now: list(zip(_CONNECTION_STATES, now.downstream, strict=True)),
    ),
    _Gauge(
        "plano_sidecar_candidate_state",
        "1 for the state in which a configured candidate is, 0 for the others.",
        ("provider", "account", "model", "state", "reason"),
        lambda now: [
            sample for candidate in now.candidates for sample in _candidate_states(candidate)
        ],
    ),
    _Gauge(
        "plano_sidecar_route_candidates_serving",
        "How many of a route's candidates have their usual place: neither cooling nor ejected.",
        ("route",),
        lambda now: [((route,), serving) for route, serving in now.routes],
    ),
    _Gauge(
        "plano_sidecar_config_last_reload_successful",
        "1 if the config that was read last serves; 0 if it was refused and the one before does.",
        (),
        lambda now: [((), float(now.is_reload_successful))],
    ),
    _Gauge(
        "plano_sidecar_config_last_reload_success_timestamp_seconds",
        "When a config was last read and found good, at the start or by a reload, since 1970.",
        (),
        lambda now: [((), now.reload_success_unix_s)],
    ),
    _Gauge(
        "plano_sidecar_config_generations",
        "Configs by which calls are served: 1, and one for each older one whose calls go on.",
        (),
        lambda now: [((), now.generations)],
    ),
    _Gauge(
        "plano_sidecar_price_age_seconds",
        "Time since a source's prices or latencies were last read.",
        ("source",),
        lambda now: [((source,), age_s) for source, age_s in now.price_ages_s],
    ),
)
_STORE_GAUGES: Final = (
    _store_gauge(
        "near_entries",
        "Pins that were read from Redis and are kept in this process. Only with Redis.",
        lambda store: store.near_entries,
    ),
    _store_gauge(
        "shadow_entries",
        "Pins made while Redis was away, to be written back. Only with Redis.",
        lambda store: store.shadow_entries,
    ),
    _store_gauge(
        "store_up",
        "1 while Redis is asked, 0 while it is left alone. Only with Redis.",
        lambda store: store.is_up,
    ),
    _store_gauge(
        "tracking_up",
        "1 while Redis tells this process when others change pins. Only with Redis.",
        lambda store: store.is_tracking,
    ),
)


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
        begins at 20 failures has had none, and a job's pod may live no longer than them.
        """
        requests = self.counter("requests")
        for dialect, outcome in itertools.product(dialects, CallOutcome):
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
        for gauge in _GAUGES if now.store is None else _GAUGES + _STORE_GAUGES:
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

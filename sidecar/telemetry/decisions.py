"""What Prometheus is told of decisions, the router model and attempts at providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar.domain.events import AttemptEnded, CallDecided, FailedOver, Listeners, RouterAsked
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.histogram import Buckets, Counter, CounterFamily, HistogramFamily

ROUTING_BUCKETS_S: Final[tuple[float, ...]] = (
    5e-5,
    1e-4,
    2.5e-4,
    5e-4,
    1e-3,
    2.5e-3,
    5e-3,
    1e-2,
    2.5e-2,
    5e-2,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
)
FIRST_BYTE_BUCKETS_S: Final[tuple[float, ...]] = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
DURATION_BUCKETS_S: Final[tuple[float, ...]] = (
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
)


class DecisionMetrics:
    """An observer that counts decisions and attempts. ``book`` is asked at each scrape."""

    def __init__(self, registry: CollectorRegistry, book: Callable[[], ScrapeSnapshot]) -> None:
        self._decisions = CounterFamily(
            "plano_sidecar_routing_decisions",
            "Models chosen, and why.",
            ("source", "route", "model"),
        )
        self._routing = HistogramFamily(
            "plano_sidecar_routing_duration_seconds",
            "From admission to a finished plan, the store and the router model included.",
            ("source",),
            ROUTING_BUCKETS_S,
        )
        self._router_requests = CounterFamily(
            "plano_sidecar_router_requests",
            "Calls that needed the router model, by what came of it.",
            ("outcome",),
        )
        self._router = HistogramFamily(
            "plano_sidecar_router_duration_seconds",
            "How long calls waited for the router model.",
            (),
            ROUTING_BUCKETS_S,
        )
        self._attempts = CounterFamily(
            "plano_sidecar_upstream_attempts",
            "Tries at providers, by how they ended.",
            ("provider", "model", "outcome"),
        )
        self._first_byte = HistogramFamily(
            "plano_sidecar_upstream_first_byte_seconds",
            "From sending to the first bytes of the answer, to those of its body where it has one.",
            ("provider", "model"),
            FIRST_BYTE_BUCKETS_S,
        )
        self._duration = HistogramFamily(
            "plano_sidecar_upstream_duration_seconds",
            "From sending to the end of the answer.",
            ("provider", "model"),
            DURATION_BUCKETS_S,
        )
        self._failovers = CounterFamily(
            "plano_sidecar_failovers",
            "Calls that went on to another candidate.",
            ("from_model", "to_model", "reason"),
        )
        self._router_series = self._router.with_labels()
        # Found by identity of what is kept anyway, so that a call costs one look-up each.
        self._decision_series: dict[tuple[str, str, str], tuple[Counter, Buckets]] = {}
        self._attempt_series: dict[tuple[str, str, str], tuple[Counter, Buckets, Buckets]] = {}
        families = (
            self._decisions, self._routing, self._router_requests, self._router,
            self._attempts, self._first_byte, self._duration, self._failovers,
        )  # fmt: skip
        for collector in (*families, _BookCollector(book)):
            registry.register(collector)

    def listeners(self) -> Listeners:
        """See `Observer.listeners`."""
        return {
            CallDecided: self._call_decided,
            RouterAsked: self._router_asked,
            AttemptEnded: self._attempt_ended,
            FailedOver: self._failed_over,
        }

    def _call_decided(self, event: CallDecided) -> None:
        decision = event.decision
        key = (decision.source, decision.metric_route, decision.candidates[0].metric_model)
        series = self._decision_series.get(key)
        if series is None:
            pair = self._decisions.with_labels(*key), self._routing.with_labels(decision.source)
            series = self._decision_series[key] = pair
        series[0].value += 1
        series[1].observe(event.routing_s)

    def _router_asked(self, event: RouterAsked) -> None:
        self._router_requests.with_labels(event.outcome).add()
        if event.waited_s:
            # Calls that did not wait say nothing about how long the router model takes.
            self._router_series.observe(event.waited_s)

    def _attempt_ended(self, event: AttemptEnded) -> None:
        attempt = event.attempt
        candidate = attempt.candidate
        key = (candidate.provider, candidate.metric_model, attempt.outcome)
        series = self._attempt_series.get(key)
        if series is None:
            place = key[:2]
            series = self._attempt_series[key] = (
                self._attempts.with_labels(*key),
                self._first_byte.with_labels(*place),
                self._duration.with_labels(*place),
            )
        series[0].value += 1
        if attempt.first_byte_s is not None:
            series[1].observe(attempt.first_byte_s)
        series[2].observe(attempt.total_s)

    def _failed_over(self, event: FailedOver) -> None:
        models = event.failed.metric_model, event.following.metric_model
        self._failovers.with_labels(*models, event.reason).add()


class _BookCollector(Collector):
    def __init__(self, book: Callable[[], ScrapeSnapshot]) -> None:
        self._book = book

    def collect(self) -> list[Metric]:
        now = self._book()
        ejected = GaugeMetricFamily(
            "plano_sidecar_ejected",
            "Candidates that go last until somebody mends them.",
            labels=("provider", "model"),
        )
        for provider, model in now.ejected:
            ejected.add_metric((provider, model), 1)
        ages = GaugeMetricFamily(
            "plano_sidecar_price_age_seconds",
            "Since a source's numbers were last read.",
            labels=("source",),
        )
        for source, age_s in now.price_ages_s:
            ages.add_metric((source,), age_s)
        return [ejected, ages]

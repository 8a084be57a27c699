"""What Prometheus is told. Names, labels and buckets are an API: see the table in the README."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar import __version__
from sidecar.domain.call import Call, Operation
from sidecar.domain.events import CallEnded, Listeners, RequestRefused
from sidecar.domain.outcome import Usage
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry.gauges import Gauges
from sidecar.telemetry.histogram import Buckets, Counter, CounterFamily, HistogramFamily

OVERHEAD_BUCKETS_S: Final[tuple[float, ...]] = (
    50e-6,
    1e-4,
    2.5e-4,
    5e-4,
    1e-3,
    2.5e-3,
    5e-3,
    1e-2,
    2.5e-2,
    0.1,
)
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

TOKEN_KINDS: Final = ("input", "output", "cached_input", "cache_write", "reasoning")

_PASSTHROUGH: Final = "passthrough"
_RESULT_OF_REFUSAL: Final = {4: CallOutcome.CLIENT_ERROR, 5: CallOutcome.SIDECAR_ERROR}


class Metrics:
    """An observer that counts. Implements `domain.events.Observer`; ``gauges`` is asked at each
    scrape.
    """

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._requests = CounterFamily(
            "plano_sidecar_requests",
            "Requests of the app, by how they ended.",
            ("dialect", "outcome"),
        )
        self._duration = HistogramFamily(
            "plano_sidecar_request_duration_seconds",
            "From admission to the last byte of the answer.",
            ("dialect", "streamed"),
            DURATION_BUCKETS_S,
        )
        self._overhead = HistogramFamily(
            "plano_sidecar_overhead_seconds",
            "What the sidecar itself added to a call: its total less all waiting for others.",
            (),
            OVERHEAD_BUCKETS_S,
        )
        self._overhead_series = self._overhead.with_labels()
        self._tokens = CounterFamily(
            "plano_sidecar_tokens",
            "Tokens as the providers counted them, by kind.",
            ("model", "kind"),
        )
        self._usage_missing = CounterFamily(
            "plano_sidecar_usage_missing",
            "Answers that did not say how many tokens they took.",
            ("model",),
        )
        self._token_series: dict[str, tuple[Counter, ...]] = {}
        # Found by what tells them apart, so that a call costs one look-up.
        self._series: dict[tuple[str, CallOutcome, bool], tuple[Counter, Buckets]] = {}
        self.registry = CollectorRegistry()
        collectors = (
            self._requests,
            self._duration,
            self._overhead,
            self._tokens,
            self._usage_missing,
        )
        for collector in (*collectors, _GaugeCollector(gauges)):
            self.registry.register(collector)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def listeners(self) -> Listeners:
        """See `Observer.listeners`."""
        return {CallEnded: self._call_ended, RequestRefused: self._request_refused}

    def _call_ended(self, event: CallEnded) -> None:
        call, outcome = event.call, event.outcome
        key = (_dialect_label(call), outcome.result, outcome.streamed)
        series = self._series.get(key)
        if series is None:
            dialect, result, streamed = key
            duration = self._duration.with_labels(dialect, "true" if streamed else "false")
            series = self._series[key] = (self._requests.with_labels(dialect, result), duration)
        requests, duration = series
        requests.value += 1
        duration.observe(outcome.timing.total_s)
        self._overhead_series.observe(outcome.timing.overhead_s)
        if outcome.served is not None and outcome.candidate is not None and _has_usage(call):
            self._count_tokens(outcome.candidate.metric_model, outcome.served.usage)

    def _count_tokens(self, model: str, usage: Usage | None) -> None:
        if usage is None:
            self._usage_missing.with_labels(model).add()
            return
        series = self._token_series.get(model)
        if series is None:
            series = self._token_series[model] = tuple(
                self._tokens.with_labels(model, kind) for kind in TOKEN_KINDS
            )
        series[0].value += usage.input_tokens or 0
        series[1].value += usage.output_tokens or 0
        series[2].value += usage.cached_input_tokens or 0
        series[3].value += usage.cache_write_tokens or 0
        series[4].value += usage.reasoning_tokens or 0

    def _request_refused(self, event: RequestRefused) -> None:
        result = _RESULT_OF_REFUSAL.get(event.status // 100, CallOutcome.SIDECAR_ERROR)
        self._requests.with_labels(event.dialect, result).add()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition that an Accept header asks for, and its content type. Safe in another
        thread.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _GaugeCollector(Collector):
    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges

    def collect(self) -> list[Metric]:
        now = self._gauges()
        in_flight = GaugeMetricFamily(
            "plano_sidecar_in_flight", "Calls admitted whose answer has not ended."
        )
        in_flight.add_metric((), now.in_flight)
        connections = GaugeMetricFamily(
            "plano_sidecar_upstream_connections",
            "Connections to providers; entries that share an address count under the first.",
            labels=("provider", "state"),
        )
        for provider, active, idle in now.connections:
            connections.add_metric((provider, "active"), active)
            connections.add_metric((provider, "idle"), idle)
        build = InfoMetricFamily("plano_sidecar_build", "Version of the sidecar and of its Python.")
        build.add_metric((), {"version": __version__, "python": platform.python_version()})
        return [in_flight, connections, build]


def _has_usage(call: Call) -> bool:
    return call.endpoint.operation in (Operation.GENERATE, Operation.EMBED)


def _dialect_label(call: Call) -> str:
    return _PASSTHROUGH if call.endpoint.operation is Operation.PASSTHROUGH else call.dialect

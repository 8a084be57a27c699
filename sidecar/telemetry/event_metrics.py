"""Metrics that count events of calls: one observer for each group, with its metrics at its head.

Names, labels, label values and buckets are an API; README.md beside this file lists them all. A
call finds its series with one look-up in a dict by what tells them apart, and never twice.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from sidecar.domain.call import Endpoint, Operation
from sidecar.domain.events import (
    AttemptEnded,
    CallDecided,
    CallEnded,
    DownstreamClosed,
    FailedOver,
    Listeners,
    RequestRefused,
    RouterAsked,
)
from sidecar.domain.ids import FLAG_SAMPLED
from sidecar.domain.outcome import Outcome
from sidecar.domain.vocabulary import CallOutcome, ConnectionEnd, RouterOutcome, TokenKind
from sidecar.telemetry.families import (
    CounterFamily,
    CounterSeries,
    HistogramFamily,
    HistogramSeries,
)

OVERHEAD_BOUNDS_S: Final[tuple[float, ...]] = (
    5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1,
)  # fmt: skip
ROUTING_BOUNDS_S: Final[tuple[float, ...]] = (
    5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5,
)  # fmt: skip
ROUTER_BOUNDS_S: Final[tuple[float, ...]] = (5e-2, 0.1, 0.25, 0.5, 1, 2.5)
FIRST_BYTE_BOUNDS_S: Final[tuple[float, ...]] = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
DURATION_BOUNDS_S: Final[tuple[float, ...]] = (
    0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600,
)  # fmt: skip

PASSTHROUGH: Final = "passthrough"
"""The dialect of a call whose bytes are passed on unread."""


class CallMetrics:
    """Counts requests of the app, where their time went, and tokens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = CounterFamily(
            registry,
            "plano_sidecar_requests",
            "Requests of the app, by how they ended.",
            ("dialect", "outcome"),
        )
        self._duration = HistogramFamily(
            registry,
            "plano_sidecar_request_duration_seconds",
            "From admission to the last byte of the response.",
            ("dialect", "streamed"),
            DURATION_BOUNDS_S,
        )
        self._overhead = HistogramFamily(
            registry,
            "plano_sidecar_overhead_seconds",
            "What the sidecar itself added to a call: its total less all waiting for others.",
            (),
            OVERHEAD_BOUNDS_S,
        ).with_labels()
        self._tokens = CounterFamily(
            registry,
            "plano_sidecar_tokens",
            "Tokens as the providers counted them, by kind.",
            ("model", "kind"),
        )
        self._usage_missing = CounterFamily(
            registry,
            "plano_sidecar_usage_missing",
            "Responses that did not say how many tokens they took.",
            ("model",),
        )
        self._call_series: dict[
            tuple[Operation, str, CallOutcome, bool], tuple[CounterSeries, HistogramSeries, bool]
        ] = {}
        self._token_series: dict[str, tuple[CounterSeries, ...]] = {}

    def listeners(self) -> Listeners:
        """Hear how calls end, and requests that never became calls."""
        return {CallEnded: self._call_ended, RequestRefused: self._request_refused}

    def _call_ended(self, event: CallEnded) -> None:
        outcome, endpoint = event.outcome, event.call.endpoint
        key = endpoint.operation, endpoint.dialect, outcome.result, outcome.streamed
        series = self._call_series.get(key)
        if series is None:
            series = self._call_series[key] = self._series_of(outcome, endpoint)
        requests, duration, has_usage = series
        timing, served, candidate = outcome.timing, outcome.served, outcome.candidate
        requests.value += 1
        trace = event.call.trace
        trace_id = trace.trace_id if trace.flags & FLAG_SAMPLED else ""
        duration.observe(timing.total_s, trace_id)
        self._overhead.observe(timing.overhead_s, trace_id)
        if not has_usage or served is None or candidate is None:
            return
        model, usage = candidate.metric_model, served.usage
        if usage is None:
            self._usage_missing.with_labels(model).value += 1
            return
        tokens = self._token_series.get(model)
        if tokens is None:
            tokens = self._token_series[model] = tuple(
                self._tokens.with_labels(model, kind) for kind in TokenKind
            )
        tokens[0].value += usage.input_tokens or 0
        tokens[1].value += usage.output_tokens or 0
        tokens[2].value += usage.cached_input_tokens or 0
        tokens[3].value += usage.cache_write_tokens or 0
        tokens[4].value += usage.reasoning_tokens or 0

    def _series_of(
        self, outcome: Outcome, endpoint: Endpoint
    ) -> tuple[CounterSeries, HistogramSeries, bool]:
        is_passthrough = endpoint.operation is Operation.PASSTHROUGH
        dialect = PASSTHROUGH if is_passthrough else endpoint.dialect
        for each in CallOutcome:
            # From zero on: Prometheus does not see the step from nothing to the first ones.
            self._requests.with_labels(dialect, each)
        return (
            self._requests.with_labels(dialect, outcome.result),
            self._duration.with_labels(dialect, "true" if outcome.streamed else "false"),
            endpoint.operation in (Operation.GENERATE, Operation.EMBED),
        )

    def _request_refused(self, event: RequestRefused) -> None:
        self._requests.with_labels(event.dialect, event.result).value += 1


class DownstreamMetrics:
    """Counts the connections of apps that the sidecar closed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._closed = CounterFamily(
            registry,
            "plano_sidecar_downstream_closed",
            "Connections of apps that the sidecar closed of its own accord, by why.",
            ("reason",),
        )
        for each in ConnectionEnd:
            self._closed.with_labels(each)

    def listeners(self) -> Listeners:
        """Hear of each."""
        return {DownstreamClosed: self._downstream_closed}

    def _downstream_closed(self, event: DownstreamClosed) -> None:
        self._closed.with_labels(event.reason).value += 1


class RoutingMetrics:
    """Counts which models were chosen and why, and what the router model contributed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = CounterFamily(
            registry,
            "plano_sidecar_routing_decisions",
            "Models chosen for calls, by why.",
            ("source", "route", "model"),
        )
        self._duration = HistogramFamily(
            registry,
            "plano_sidecar_routing_duration_seconds",
            "From admission to the chosen model, Redis and the router model included.",
            ("source",),
            ROUTING_BOUNDS_S,
        )
        self._router_requests = CounterFamily(
            registry,
            "plano_sidecar_router_requests",
            "Calls that needed the router model, by what came of it.",
            ("outcome",),
        )
        self._router_duration = HistogramFamily(
            registry,
            "plano_sidecar_router_duration_seconds",
            "How long calls waited for the router model.",
            (),
            ROUTER_BOUNDS_S,
        ).with_labels()
        self._router_series: dict[RouterOutcome, CounterSeries] = {}
        self._decision_series: dict[
            tuple[str, str, str], tuple[CounterSeries, HistogramSeries]
        ] = {}

    def listeners(self) -> Listeners:
        """Hear decisions, and what came of asking the router model."""
        return {CallDecided: self._call_decided, RouterAsked: self._router_asked}

    def _call_decided(self, event: CallDecided) -> None:
        decision = event.decision
        key = decision.source, decision.metric_route, decision.candidates[0].metric_model
        series = self._decision_series.get(key)
        if series is None:
            series = self._decision_series[key] = (
                self._decisions.with_labels(*key),
                self._duration.with_labels(decision.source),
            )
        series[0].value += 1
        trace = event.call.trace
        trace_id = trace.trace_id if trace.flags & FLAG_SAMPLED else ""
        series[1].observe(event.routing_s, trace_id)

    def _router_asked(self, event: RouterAsked) -> None:
        series = self._router_series.get(event.outcome)
        if series is None:
            for each in RouterOutcome:
                self._router_series[each] = self._router_requests.with_labels(each)
            series = self._router_series[event.outcome]
        series.value += 1
        if event.waited_s:
            # Calls that did not wait say nothing about how long the router model takes.
            self._router_duration.observe(event.waited_s, event.trace_id)


class UpstreamMetrics:
    """Counts attempts at providers, their times, and the steps from one candidate to the next."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = CounterFamily(
            registry,
            "plano_sidecar_upstream_attempts",
            "Attempts at providers, by how they ended.",
            ("provider", "account", "model", "outcome"),
        )
        self._first_byte = HistogramFamily(
            registry,
            "plano_sidecar_upstream_first_byte_seconds",
            "From sending to the first byte of the response's body, or of its head without a body.",
            ("provider", "account", "model"),
            FIRST_BYTE_BOUNDS_S,
        )
        self._duration = HistogramFamily(
            registry,
            "plano_sidecar_upstream_duration_seconds",
            "From sending to the end of the response.",
            ("provider", "account", "model"),
            DURATION_BOUNDS_S,
        )
        self._failovers = CounterFamily(
            registry,
            "plano_sidecar_failovers",
            "Calls that went on to another candidate.",
            ("from_model", "to_model", "reason"),
        )
        self._attempt_series: dict[
            tuple[str, str, str], tuple[CounterSeries, HistogramSeries, HistogramSeries]
        ] = {}

    def listeners(self) -> Listeners:
        """Hear how attempts end, and failovers."""
        return {AttemptEnded: self._attempt_ended, FailedOver: self._failed_over}

    def _attempt_ended(self, event: AttemptEnded) -> None:
        attempt = event.attempt
        candidate = attempt.candidate
        key = candidate.provider, candidate.metric_model, attempt.outcome
        series = self._attempt_series.get(key)
        if series is None:
            place = candidate.family, *key[:2]
            series = self._attempt_series[key] = (
                self._attempts.with_labels(*place, attempt.outcome),
                self._first_byte.with_labels(*place),
                self._duration.with_labels(*place),
            )
        series[0].value += 1
        trace = event.call.trace
        trace_id = trace.trace_id if trace.flags & FLAG_SAMPLED else ""
        if attempt.first_byte_s is not None:
            series[1].observe(attempt.first_byte_s, trace_id)
        series[2].observe(attempt.total_s, trace_id)

    def _failed_over(self, event: FailedOver) -> None:
        models = event.failed.metric_model, event.following.metric_model
        self._failovers.with_labels(*models, event.reason).value += 1

"""Every pod has all series of its own: they are few, and nothing that clients send adds one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

from prometheus_client import CollectorRegistry

from sidecar.domain.call import CHAT, MESSAGES, Call, Endpoint, Operation
from sidecar.domain.decision import Candidate, Decision, Price, Source
from sidecar.domain.events import (
    AffinityOperation,
    AttemptEnded,
    CallDecided,
    CallEnded,
    Event,
    FailedOver,
    RouterAsked,
)
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.ports import CandidateSnapshot, StoreSnapshot
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    FailureClass,
    PinOperation,
    PinOutcome,
    RouterOutcome,
)
from sidecar.routing.table import ModelTable
from sidecar.telemetry.families import MOST_SERIES, CounterFamily, HistogramFamily
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.metrics import Metrics
from tests.support.providers import a_provider
from tests.support.values import a_call

MODELS = [
    Candidate(name, name, name.partition("/")[2], name, frozenset(), price=Price(1.0, 2.0, 0.5))
    for name in ("openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude")
]
ENDPOINTS = [Endpoint("/v1/x", dialect, Operation.GENERATE) for dialect in (CHAT, MESSAGES)]
PIN_OPERATIONS = {
    PinOperation.GET: (PinOutcome.NEAR_HIT, PinOutcome.HIT, PinOutcome.MISS, PinOutcome.TIMEOUT),
    PinOperation.CLAIM: (PinOutcome.CLAIMED, PinOutcome.ADOPTED),
    PinOperation.REPLACE: (PinOutcome.REPLACED, PinOutcome.LOST),
    PinOperation.RELEASE: (PinOutcome.RELEASED,),
    PinOperation.REFRESH: (PinOutcome.REPLACED,),
}


def _series(metrics: Metrics) -> int:
    body, _ = asyncio.run(metrics.render(""))
    return sum(not line.startswith(b"#") for line in body.splitlines())


def _of_a_call(call: Call, candidate: Candidate, source: Source, route: str) -> Iterator[Event]:
    yield CallDecided(call, Decision(source, (candidate,), route, metric_route=route), 0.001)
    yield AttemptEnded(call, Attempt(candidate, AttemptOutcome.OK, 200, 0.1, 0.2))
    served = Served(Usage(10, 1, 5, 1, 1))
    decision = Decision(source, (candidate,))
    for streamed in (True, False):
        outcome = Outcome(CallOutcome.OK, 200, Timing(1.0), streamed, served, candidate)
        yield CallEnded(call, decision, outcome)


def _of_a_usual_pod() -> Iterator[Event]:
    """Two dialects, three models, two routes, Redis, and its share of trouble."""
    for endpoint, model in itertools.product(ENDPOINTS, MODELS):
        call = a_call(endpoint=endpoint)
        for source, route in (
            (Source.PINNED, "code"),
            (Source.PINNED, "chat"),
            (Source.ROUTED, "code"),
            (Source.ROUTED, "chat"),
            (Source.REQUESTED, "none"),
            (Source.FALLBACK, "none"),
        ):
            yield from _of_a_call(call, model, source, route)
        for result in CallOutcome:
            yield CallEnded(call, None, Outcome(result, 500, Timing(1.0)))
    call = a_call()
    for model in MODELS:
        for outcome in (
            AttemptOutcome.RATE_LIMITED,
            AttemptOutcome.SERVER_ERROR,
            AttemptOutcome.CUT,
        ):
            yield AttemptEnded(call, Attempt(model, outcome, 500, 0.1, 0.2))
        yield FailedOver(call, model, MODELS[0], FailureClass.BUSY)
        yield FailedOver(call, model, MODELS[1], FailureClass.FAILING)
    for answer in (RouterOutcome.MATCHED, RouterOutcome.OTHER, RouterOutcome.TIMEOUT):
        yield RouterAsked(answer, 0.1)
    for operation, outcomes in PIN_OPERATIONS.items():
        for came_of_it in outcomes:
            yield AffinityOperation(operation, came_of_it, 0.001)


def test_a_usual_pod_has_fewer_than_500_series():
    """Three models, two dialects, Redis: what the process itself adds is counted."""
    snapshot = ScrapeSnapshot(
        connections=[("openai", 1, 1), ("anthropic", 1, 1)],
        candidates=[CandidateSnapshot(each.provider, each.model_name) for each in MODELS],
        price_ages_s=[("models.dev", 1.0)],
        store=StoreSnapshot(1, 1, is_up=True, is_tracking=True),
        routes=[("code", 3), ("chat", 3)],
    )
    metrics = Metrics(lambda: snapshot)
    observers = Observers(metrics.observers)
    for event in _of_a_usual_pod():
        observers.emit(event)

    assert 400 < _series(metrics) < 500


def test_ten_thousand_models_tenants_sessions_and_agents_add_no_series():
    """A wildcard serves whatever model its callers name."""
    table = ModelTable([a_provider("openai/*")], {}, unknown_uses_default=False)
    metrics = Metrics(ScrapeSnapshot)
    observers = Observers(metrics.observers)
    counts = []
    for number in range(10_000):
        (candidate,) = table.entries_of(f"openai/model-{number}")
        call = a_call(
            tenant=f"tenant-{number}", session_id=f"session-{number}", agent=f"agent-{number}"
        )
        for event in _of_a_call(call, candidate, Source.REQUESTED, "none"):
            observers.emit(event)
        observers.emit(FailedOver(call, candidate, candidate, FailureClass.BUSY))
        if number in (0, 9_999):
            counts.append(_series(metrics))

    assert counts[0] == counts[1]


def test_a_family_that_is_full_counts_what_is_new_as_other():
    """Whatever else goes wrong, memory and Prometheus are safe, and no count is lost."""
    registry = CollectorRegistry()
    counter = CounterFamily(registry, "c", "help", ("a", "b"))
    histogram = HistogramFamily(registry, "h", "help", ("a",), (1.0,))
    for number in range(MOST_SERIES + 10):
        counter.with_labels(f"{number}", "x").value += 1
        histogram.with_labels(f"{number}").observe(0.5)

    assert 10 == registry.get_sample_value("c_total", {"a": "other", "b": "other"})
    assert 10 == registry.get_sample_value("h_count", {"a": "other"})
    assert 1 == registry.get_sample_value("h_count", {"a": "0"})
    assert MOST_SERIES + 1 == sum(len(each.samples) for each in counter.collect())

"""What each event adds to which series, as a table."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from sidecar.domain.call import CHAT, MESSAGES, Endpoint, Operation
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import (
    AffinityOperation,
    AttemptEnded,
    CallDecided,
    CallEnded,
    DownstreamClosed,
    Event,
    FailedOver,
    RequestRefused,
    RouterAsked,
)
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    ConnectionEnd,
    FailureClass,
    PinOperation,
    PinOutcome,
    RouterOutcome,
)
from sidecar.telemetry.affinity_metrics import AFFINITY_BOUNDS_S
from sidecar.telemetry.event_metrics import (
    DURATION_BOUNDS_S,
    FIRST_BYTE_BOUNDS_S,
    OVERHEAD_BOUNDS_S,
    ROUTER_BOUNDS_S,
    ROUTING_BOUNDS_S,
)
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.metrics import Metrics
from tests.support.values import a_call

OPENAI = Candidate("openai", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
GROQ = Candidate("groq-eu", "groq/llama", "llama", "groq/*", frozenset())
EMBEDDED = Endpoint("/v1/embeddings", CHAT, Operation.EMBED)
COUNTED = Endpoint("/v1/messages/count_tokens", MESSAGES, Operation.COUNT_TOKENS)
PASSED = Endpoint("/v1/files", CHAT, Operation.PASSTHROUGH)


class Case(NamedTuple):
    """An event, and what it adds: ``metric label value label value ...`` -> how much."""

    name: str
    event: Event
    adds: dict[str, float]


def _ended(
    result: CallOutcome = CallOutcome.OK,
    endpoint: Endpoint | None = None,
    served: Served | None = None,
    streamed: bool = False,
) -> CallEnded:
    call = a_call() if endpoint is None else a_call(endpoint=endpoint)
    timing = Timing(total_s=3.0, upstream_s=2.5, router_s=0.25, affinity_s=0.125)
    outcome = Outcome(result, 200, timing, streamed, served, None if served is None else GROQ)
    return CallEnded(call, None, outcome)


def _counts(outcome: str, dialect: str = "chat", streamed: str = "false") -> dict[str, float]:
    return {
        f"requests_total dialect {dialect} outcome {outcome}": 1,
        f"request_duration_seconds_count dialect {dialect} streamed {streamed}": 1,
        f"request_duration_seconds_sum dialect {dialect} streamed {streamed}": 3.0,
        "overhead_seconds_count": 1,
        "overhead_seconds_sum": 0.125,
    }


CASES = [
    *(Case(f"ended {each}", _ended(each), _counts(each)) for each in CallOutcome),
    Case("ended, streamed", _ended(streamed=True), _counts("ok", streamed="true")),
    Case("ended, bytes of any API", _ended(endpoint=PASSED), _counts("ok", "passthrough")),
    Case(
        "ended, with usage",
        _ended(served=Served(Usage(1, 2, None, 4, 5))),
        {
            **_counts("ok"),
            "tokens_total kind input model groq/*": 1,
            "tokens_total kind output model groq/*": 2,
            "tokens_total kind cache_write model groq/*": 4,
            "tokens_total kind reasoning model groq/*": 5,
        },
    ),
    Case(
        "ended, embeddings without usage",
        _ended(endpoint=EMBEDDED, served=Served()),
        {**_counts("ok"), "usage_missing_total model groq/*": 1},
    ),
    Case(
        "ended, a count of tokens, which itself takes none",
        _ended(endpoint=COUNTED, served=Served()),
        _counts("ok", "messages"),
    ),
    *(
        Case(
            f"closed {each}", DownstreamClosed(each), {f"downstream_closed_total reason {each}": 1}
        )
        for each in ConnectionEnd
    ),
    Case(
        "refused, the app's fault",
        RequestRefused(MESSAGES, 404, "model_not_found"),
        {"requests_total dialect messages outcome client_error": 1},
    ),
    Case(
        "refused, the sidecar's fault",
        RequestRefused(CHAT, 503, "overloaded"),
        {"requests_total dialect chat outcome sidecar_error": 1},
    ),
    Case(
        "decided",
        CallDecided(a_call(), Decision(Source.ROUTED, (GROQ,), "code", metric_route="code"), 0.5),
        {
            "routing_decisions_total model groq/* route code source routed": 1,
            "routing_duration_seconds_count source routed": 1,
            "routing_duration_seconds_sum source routed": 0.5,
        },
    ),
    Case(
        "router model asked",
        RouterAsked(RouterOutcome.MATCHED, 0.5),
        {
            "router_requests_total outcome matched": 1,
            "router_duration_seconds_count": 1,
            "router_duration_seconds_sum": 0.5,
        },
    ),
    Case(
        "router model not waited for",
        RouterAsked(RouterOutcome.BREAKER_OPEN, 0.0),
        {"router_requests_total outcome breaker_open": 1},
    ),
    Case(
        "attempt ended",
        AttemptEnded(a_call(), Attempt(GROQ, AttemptOutcome.OK, 200, 0.5, 2.0)),
        {
            "upstream_attempts_total account groq-eu model groq/* outcome ok provider groq": 1,
            "upstream_first_byte_seconds_count account groq-eu model groq/* provider groq": 1,
            "upstream_first_byte_seconds_sum account groq-eu model groq/* provider groq": 0.5,
            "upstream_duration_seconds_count account groq-eu model groq/* provider groq": 1,
            "upstream_duration_seconds_sum account groq-eu model groq/* provider groq": 2.0,
        },
    ),
    Case(
        "attempt ended without a byte",
        AttemptEnded(a_call(), Attempt(GROQ, AttemptOutcome.TIMEOUT, None, None, 2.0)),
        {
            "upstream_attempts_total account groq-eu model groq/* outcome timeout provider groq": 1,
            "upstream_duration_seconds_count account groq-eu model groq/* provider groq": 1,
            "upstream_duration_seconds_sum account groq-eu model groq/* provider groq": 2.0,
        },
    ),
    Case(
        "failed over",
        FailedOver(a_call(), OPENAI, GROQ, FailureClass.QUOTA),
        {"failovers_total from_model openai/gpt-4o reason quota to_model groq/*": 1},
    ),
    Case(
        "operation on a pin",
        AffinityOperation(PinOperation.CLAIM, PinOutcome.ADOPTED, 0.5),
        {
            "affinity_operations_total operation claim outcome adopted": 1,
            "affinity_operation_duration_seconds_count operation claim": 1,
            "affinity_operation_duration_seconds_sum operation claim": 0.5,
        },
    ),
    Case(
        "operation on a pin that no call waited for",
        AffinityOperation(PinOperation.GET, PinOutcome.NEAR_HIT),
        {"affinity_operations_total operation get outcome near_hit": 1},
    ),
]


def _samples(metrics: Metrics) -> dict[str, float]:
    """``metric label value ...`` -> value, of all that is not zero; buckets and other names left
    out.
    """
    return {
        " ".join(
            (
                sample.name.removeprefix("plano_sidecar_"),
                *(f"{label} {value}" for label, value in sorted(sample.labels.items())),
            )
        ): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if family.type in ("counter", "histogram") and "le" not in sample.labels
        if sample.name.startswith("plano_sidecar_") and sample.value
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_event_adds_this_and_nothing_else(case):
    """And the same once more when it happens again, when its series are known."""
    metrics = Metrics(ScrapeSnapshot)
    observers = Observers(metrics.observers)
    for times in (1, 2):
        observers.emit(case.event)
        assert {name: times * value for name, value in case.adds.items()} == _samples(metrics)


@pytest.mark.parametrize(
    ("event", "metric", "vocabulary"),
    [
        (_ended(), "plano_sidecar_requests_total", CallOutcome),
        (RouterAsked(RouterOutcome.MATCHED, 0.1), "plano_sidecar_router_requests_total", RouterOutcome),
    ],
)  # fmt: skip
def test_what_did_not_happen_yet_is_zero(event, metric, vocabulary):
    """Prometheus does not see the step from no series to the first failures."""
    metrics = Metrics(ScrapeSnapshot)
    Observers(metrics.observers).emit(event)
    family = next(each for each in metrics.registry.collect() if f"{each.name}_total" == metric)

    assert set(vocabulary) == {sample.labels["outcome"] for sample in family.samples}
    assert 1 == sum(sample.value for sample in family.samples)


@pytest.mark.parametrize(
    ("bounds", "objectives_s"),
    [
        (OVERHEAD_BOUNDS_S, {0.001, 0.01}),
        (ROUTING_BOUNDS_S, {0.001, 1}),
        (AFFINITY_BOUNDS_S, {0.001}),
        (ROUTER_BOUNDS_S, {1}),
        (FIRST_BYTE_BOUNDS_S, {1, 10}),
        (DURATION_BOUNDS_S, {1, 10}),
    ],
)
def test_bounds_ascend_and_have_the_objectives_among_them(bounds, objectives_s):
    """A share of calls below an objective can be told exactly only at a bound."""
    assert list(bounds) == sorted(set(bounds))
    assert objectives_s <= set(bounds)

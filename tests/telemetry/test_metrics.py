"""Counts and buckets, read back through Prometheus' own parser."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidecar.domain.call import MESSAGES, Endpoint, Operation
from sidecar.domain.events import CallEnded, RequestRefused
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Outcome, Timing
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry.families import HistogramFamily
from sidecar.telemetry.metrics import Metrics, ScrapeSnapshot
from tests.support.values import a_call

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def _samples(
    metrics: Metrics, accept: str = ""
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body, _ = metrics.render(accept)
    parse = parse_openmetrics if accept else parse_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_call_is_counted_once_with_its_times(accept):
    """One request, one duration, one overhead, in both exposition formats."""
    metrics = Metrics(lambda: ScrapeSnapshot(7))
    call = a_call()
    timing = Timing(total_s=3.0, upstream_s=2.9996, first_byte_s=1.0)
    outcome = Outcome(CallOutcome.OK, 200, timing, streamed=True)
    Observers(metrics.observers).emit(CallEnded(call, None, outcome))
    seen = _samples(metrics, accept)

    assert 1 == seen["plano_sidecar_requests_total", (("dialect", "chat"), ("outcome", "ok"))]
    labels = (("dialect", "chat"), ("streamed", "true"))
    assert 3.0 == seen["plano_sidecar_request_duration_seconds_sum", labels]
    assert (
        0
        == seen[
            "plano_sidecar_request_duration_seconds_bucket", (labels[0], ("le", "2.5"), labels[1])
        ]
    )
    assert (
        1
        == seen[
            "plano_sidecar_request_duration_seconds_bucket", (labels[0], ("le", "5.0"), labels[1])
        ]
    )
    assert 1 == seen["plano_sidecar_overhead_seconds_bucket", (("le", "0.0005"),)]
    assert 0 == seen["plano_sidecar_overhead_seconds_bucket", (("le", "0.00025"),)]
    assert 7 == seen["plano_sidecar_in_flight", ()]


def test_passthrough_has_a_label_of_its_own():
    """Bytes of any API are no dialect."""
    metrics = Metrics(ScrapeSnapshot)
    endpoint = Endpoint("/v1/files", a_call().dialect, Operation.PASSTHROUGH)
    outcome = Outcome(CallOutcome.OK, 200, Timing(total_s=0.1))
    Observers(metrics.observers).emit(CallEnded(a_call(endpoint=endpoint), None, outcome))

    assert (
        1
        == _samples(metrics)[
            "plano_sidecar_requests_total", (("dialect", "passthrough"), ("outcome", "ok"))
        ]
    )


@pytest.mark.parametrize(
    ("status", "outcome"), [(400, "client_error"), (404, "client_error"), (503, "sidecar_error")]
)
def test_a_refused_request_is_counted_by_whose_fault_it_was(status, outcome):
    """A mistake of the app is not an error of the sidecar."""
    metrics = Metrics(ScrapeSnapshot)
    Observers(metrics.observers).emit(RequestRefused(MESSAGES, status, "code"))

    assert (
        1
        == _samples(metrics)[
            "plano_sidecar_requests_total", (("dialect", "messages"), ("outcome", outcome))
        ]
    )


@given(st.lists(st.floats(min_value=0, max_value=1000), max_size=50))
def test_buckets_agree_with_the_librarys_own_histogram(values):
    """The same observations give the same cumulative counts as prometheus_client's Histogram."""
    bounds = (0.1, 0.5, 1.0, 10.0)
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    family = HistogramFamily(ours, "h", "help", (), bounds)
    reference = Histogram("h", "help", buckets=bounds, registry=theirs)
    for value in values:
        family.with_labels().observe(value)
        reference.observe(value)
    family.with_labels()

    for name in ("h_bucket", "h_count"):
        for bound in ("0.1", "0.5", "1.0", "10.0", "+Inf"):
            labels = {"le": bound} if name == "h_bucket" else {}
            assert theirs.get_sample_value(name, labels) == ours.get_sample_value(name, labels)
    assert math.isclose(
        theirs.get_sample_value("h_sum") or 0.0, ours.get_sample_value("h_sum") or 0.0
    )

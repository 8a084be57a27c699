"""What it means that a source of numbers, or the collector of traces, cannot be had. No server."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sidecar.config.schema_routing import MetricsSource
from sidecar.doctor.findings import Credential, StepState, Verdict
from sidecar.doctor.source_check import check_source, source_finding
from sidecar.doctor.trace_check import TraceCheck, trace_finding
from sidecar.routing.sources import MetricsSources

PRICES = MetricsSource(type="cost", provider="models.dev")
SPEED = MetricsSource(
    type="latency", provider="prometheus", url="http://me:word@prom:9090/x", query="q"
)
FILE = MetricsSource(type="cost", provider="file", path="/etc/prices.json")  # fmt: skip


@pytest.mark.parametrize(
    ("source", "place"),
    [(PRICES, "models.dev:443"), (SPEED, "prom:9090"), (FILE, "/etc/prices.json")],
)
def test_a_source_is_named_without_its_password(source, place):
    """By host and port, or by its path."""
    assert place == source_finding(source, None, (1, 2), 0.1).place


@pytest.mark.parametrize(
    ("source", "cause", "known", "verdict", "said"),
    [
        (PRICES, None, (1, 3), Verdict.OK, "tells of 1 of 3 models"),
        (PRICES, None, (0, 3), Verdict.WARNING, "tells of 0 of 3 models"),
        (SPEED, None, (0, 3), Verdict.OK, "tells of 0 of 3 models"),
        (PRICES, "connection refused", (0, 3), Verdict.WARNING, "connection refused"),
        (FILE, "there is no such file", (0, 3), Verdict.WARNING, "there is no such file"),
    ],
)
def test_a_source_should_know_the_models(source, cause, known, verdict, said):
    """Of speed it may know nothing yet: no call was made."""
    finding = source_finding(source, cause, known, 0.1)

    assert (verdict, said) == (finding.verdict, finding.cause)
    assert (verdict is Verdict.OK) is not bool(finding.to_do)


def test_a_file_is_not_reached_over_a_network():
    """It has no step of one."""
    assert source_finding(FILE, None, (1, 1), 0.1).reach.http is None
    assert StepState.FAILED is source_finding(PRICES, "x", (0, 1), 0.1).reach.http


async def test_a_source_that_hangs_costs_the_timeout():
    """And what was known of its numbers before stays."""

    async def hang(url: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    sources = MetricsSources([PRICES], hang, lambda: 0.0)
    finding = await check_source(sources, PRICES, 0, ["a"], 0.05, lambda: 0.0)

    assert "no reply within 0.05 s (--timeout)" == finding.cause


async def test_prices_are_counted_for_configured_models():
    """Those that routes can be ranked by."""

    async def fetch(url: str) -> bytes:
        return b'{"openai": {"models": {"a": {"cost": {"input": 1}}}}}'

    sources = MetricsSources([PRICES], fetch, lambda: 0.0)
    models = ["openai/a", "openai/b"]
    finding = await check_source(sources, PRICES, 0, models, 5.0, lambda: 0.0)

    assert (Verdict.OK, "tells of 1 of 2 models") == (finding.verdict, finding.cause)


def test_a_dead_collector_is_a_warning():
    """Spans are dropped, and no call waits for it."""
    finding = trace_finding("otel:4318", "connection refused", 0.1)

    assert (Verdict.WARNING, StepState.FAILED) == (finding.verdict, finding.reach.http)
    assert "tracing.otlp_endpoint" in finding.to_do
    assert ("it takes spans", "") == (
        trace_finding("otel:4318", None, 0.1).cause,
        trace_finding("otel:4318", None, 0.1).to_do,
    )


@pytest.mark.parametrize(
    ("cause", "credential", "to_do"),
    [
        ("status 401", Credential.REFUSED, "OTEL_EXPORTER_OTLP_HEADERS"),
        ("status 403", Credential.REFUSED, "OTEL_EXPORTER_OTLP_HEADERS"),
        ("status 404", None, "the path of tracing.otlp_endpoint"),
        ("status 307", None, "the path of tracing.otlp_endpoint"),
        ("status 503", None, "the log of the server at otel:4318"),
    ],
)
def test_a_collector_that_replies_was_reached(cause, credential, to_do):
    """Its status says what a person has to mend."""
    finding = trace_finding("otel:4318", cause, 0.1)

    assert (Verdict.WARNING, True) == (finding.verdict, finding.reach.is_reached)
    assert credential is finding.credential
    assert to_do in finding.to_do


@pytest.mark.parametrize(
    ("place", "cause", "is_told"),
    [
        ("otel:4317", "no reply that is HTTP", True),
        ("otel:4317", "connection reset", True),
        ("otel:4317", "connection refused", False),
        ("otel:4318", "no reply that is HTTP", False),
    ],
)
def test_the_port_of_grpc_is_known_by_its_number(place, cause, is_told):
    """It is the commonest mistake, and nothing that replies there says so."""
    assert is_told == ("try 4318" in trace_finding(place, cause, 0.1).to_do)


async def test_a_collector_that_hangs_costs_the_timeout_and_no_exit():
    """Its thread is none that the end of the process waits for."""
    go_on, threads = threading.Event(), []

    def export(timeout_s: float) -> str | None:
        threads.append(threading.current_thread())
        go_on.wait(10)
        return None

    finding = await TraceCheck("otel:4318", export, lambda: 0.0).run(0.05)
    go_on.set()

    assert "no reply within 0.05 s (--timeout)" == finding.cause
    assert [True] == [each.daemon for each in threads]


async def test_a_collector_that_takes_spans_is_well():
    """One export without any span was taken."""
    finding = await TraceCheck("otel:4318", lambda _: None, lambda: 0.0).run(5.0)

    assert Verdict.OK is finding.verdict

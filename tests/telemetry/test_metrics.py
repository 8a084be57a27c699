"""The page that Prometheus reads: both formats, and gauges as they are at the moment of a
scrape.
"""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidecar import __version__
from sidecar.domain.events import CallEnded
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Outcome, Timing
from sidecar.domain.ports import CandidateSnapshot, StoreSnapshot
from sidecar.domain.vocabulary import CallOutcome, CandidateCondition, FailureClass
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.metrics import Metrics
from tests.support.values import a_call

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _samples(metrics: Metrics, accept: str = "") -> Samples:
    body, _ = asyncio.run(metrics.render(accept))
    parse = parse_openmetrics if accept else parse_text
    return {
        (sample.name.removeprefix("plano_sidecar_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }  # fmt: skip


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_call_is_counted_once_with_its_times(accept):
    """One request, one duration, one overhead, in both exposition formats."""
    metrics = Metrics(lambda: ScrapeSnapshot(7))
    timing = Timing(total_s=3.0, upstream_s=2.9996, first_byte_s=1.0)
    outcome = Outcome(CallOutcome.OK, 200, timing, streamed=True)
    Observers(metrics.observers).emit(CallEnded(a_call(), None, outcome))
    seen = _samples(metrics, accept)

    dialect, streamed = ("dialect", "chat"), ("streamed", "true")
    assert 1 == seen["requests_total", (dialect, ("outcome", "ok"))]
    assert 3.0 == seen["request_duration_seconds_sum", (dialect, streamed)]
    assert 0 == seen["request_duration_seconds_bucket", (dialect, ("le", "2.5"), streamed)]
    assert 1 == seen["request_duration_seconds_bucket", (dialect, ("le", "5.0"), streamed)]
    assert 1 == seen["overhead_seconds_bucket", (("le", "0.0005"),)]
    assert 0 == seen["overhead_seconds_bucket", (("le", "0.00025"),)]
    assert 7 == seen["in_flight", ()]


def test_the_content_type_is_that_of_the_format():
    """Prometheus reads the format off it."""
    metrics = Metrics(ScrapeSnapshot)

    assert asyncio.run(metrics.render(""))[1].startswith("text/plain")
    assert asyncio.run(metrics.render(OPENMETRICS))[1].startswith("application/openmetrics-text")


def _state(state: str, reason: str = "") -> tuple[str, tuple[tuple[str, str], ...]]:
    """The series of the one candidate's state."""
    labels = {
        "account": "eu",
        "model": "groq/*",
        "provider": "groq",
        "reason": reason,
        "state": state,
    }
    return "candidate_state", tuple(labels.items())


STORE = StoreSnapshot(near_entries=5, shadow_entries=6, is_up=True, is_tracking=False)
GAUGES: list[tuple[ScrapeSnapshot, Samples]] = [
    (ScrapeSnapshot(), {("in_flight", ()): 0}),
    (
        ScrapeSnapshot(connections=[("openai", 2, 3)]),
        {
            ("upstream_connections", (("provider", "openai"), ("state", "active"))): 2,
            ("upstream_connections", (("provider", "openai"), ("state", "idle"))): 3,
        },
    ),
    (
        ScrapeSnapshot(connections=[("openai", 2, 3), ("openai", 1, 0)]),
        {
            ("upstream_connections", (("provider", "openai"), ("state", "active"))): 3,
            ("upstream_connections", (("provider", "openai"), ("state", "idle"))): 3,
        },
    ),
    (
        ScrapeSnapshot(candidates=[CandidateSnapshot("eu", "groq/*")]),
        {_state("serving"): 1, _state("cooling"): 0, _state("ejected"): 0},
    ),
    (
        ScrapeSnapshot(
            candidates=[
                CandidateSnapshot("eu", "groq/*", CandidateCondition.EJECTED, FailureClass.QUOTA)
            ]
        ),
        {_state("serving"): 0, _state("cooling"): 0, _state("ejected", "quota"): 1},
    ),
    (
        ScrapeSnapshot(memory_limit_bytes=99, memory_used=[("bodies", 7), ("pins", 8)]),
        {
            ("memory_limit_bytes", ()): 99,
            ("memory_used_bytes", (("share", "bodies"),)): 7,
            ("memory_used_bytes", (("share", "pins"),)): 8,
        },
    ),
    (
        ScrapeSnapshot(config_hash="0123456789ab"),
        {("config_info", (("hash", "0123456789ab"),)): 1},
    ),
    (
        ScrapeSnapshot(price_ages_s=[("digitalocean", 1.5)]),
        {("price_age_seconds", (("source", "digitalocean"),)): 1.5},
    ),
    (
        ScrapeSnapshot(routes=[("code", 2), ("chat", 0)]),
        {
            ("route_candidates_serving", (("route", "code"),)): 2,
            ("route_candidates_serving", (("route", "chat"),)): 0,
        },
    ),
    (
        ScrapeSnapshot(store=STORE),
        {
            ("affinity_near_entries", ()): 5,
            ("affinity_shadow_entries", ()): 6,
            ("affinity_store_up", ()): 1,
            ("affinity_tracking_up", ()): 0,
        },
    ),
]


@pytest.mark.parametrize(("snapshot", "gauges"), GAUGES)
def test_gauges_show_the_snapshot(snapshot, gauges):
    """Each by its own labels."""
    assert gauges.items() <= _samples(Metrics(lambda: snapshot)).items()


def test_a_snapshot_is_taken_at_each_scrape():
    """What a gauge shows is never older than the scrape."""
    counts = iter((1, 2))
    metrics = Metrics(lambda: ScrapeSnapshot(next(counts)))

    assert [1, 2] == [_samples(metrics)["in_flight", ()] for _ in range(2)]


def test_without_redis_nothing_is_said_about_it():
    """A store in memory has no gauges: an alert on ``store_up == 0`` must not fire."""
    names = {name for name, _ in _samples(Metrics(ScrapeSnapshot))}

    assert set() == {name for name in names if name.startswith("affinity_store")}


def test_the_build_says_which_version_runs():
    """Beside the library's own facts about the process and its Python."""
    seen = {name: dict(labels) for name, labels in _samples(Metrics(ScrapeSnapshot))}

    build = seen["build_info"]
    assert (__version__, "fast", "asyncio") == (
        build["version"],
        build["listener_path"],
        build["loop"],
    )
    assert build["compiled"] in ("true", "false")
    assert "python_info" in seen

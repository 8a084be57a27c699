"""What is written in slices is what the client library writes at once."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import (
    AffinityOperation,
    AttemptEnded,
    CallDecided,
    CallEnded,
    RouterAsked,
)
from sidecar.domain.ids import FLAG_SAMPLED, TraceContext
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Timing
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    PinOperation,
    PinOutcome,
    RouterOutcome,
)
from sidecar.telemetry.exposition import written
from sidecar.telemetry.families import CounterFamily, HistogramFamily
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.metrics import Metrics
from tests.support.metrics_reference import full_metrics
from tests.support.values import a_call

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def _populated() -> tuple[CollectorRegistry, HistogramFamily, CounterFamily]:
    registry = CollectorRegistry()
    histogram = HistogramFamily(registry, "h", 'with "quotes"\nand lines', ("a", "b"), (0.1, 1.0))
    counter = CounterFamily(registry, "c", "help", ("a",))
    for number in range(200):
        histogram.with_labels(f'\\"{number}', "line\nend").observe(number / 100)
        counter.with_labels(f"{number}").value += number
    return registry, histogram, counter


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_slices_make_up_the_librarys_own_page(accept):
    """To the byte, in both formats, with families of any size."""
    registry, histogram, counter = _populated()
    encode, content_type = choose_encoder(accept)
    parts = [*histogram.parts(), *counter.parts()]

    assert len(parts) > 50
    assert (encode(registry), content_type) == await written(parts, accept)


async def test_calls_go_on_between_slices():
    """However many series there are, the loop turns after some twenty samples."""
    _, histogram, _ = _populated()
    turns = 0

    async def other_calls() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.get_running_loop().create_task(other_calls())
    await written(histogram.parts(), "")
    others.cancel()

    assert turns >= 200


async def test_a_call_meets_few_slices(monkeypatch):
    """It takes some ten turns of the loop; the page waits for a few milliseconds after each slice."""
    pauses, sleep = [], asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    _, histogram, _ = _populated()
    await written(histogram.parts(), "")

    assert len(pauses) > 50
    assert min(pauses) >= 0.002


async def test_the_whole_page_is_the_librarys_own():
    """All that the sidecar exports; what changes by itself, of the process, left out."""
    metrics = full_metrics()
    encode, _ = choose_encoder(OPENMETRICS)
    own = b"plano_sidecar_"
    expected = [line for line in encode(metrics.registry).splitlines() if own in line]
    body, _ = await metrics.render(OPENMETRICS)

    assert expected == [line for line in body.splitlines() if own in line]


async def test_a_family_without_series_shows_its_name():
    """A dashboard can be built before the first call."""
    body, _ = await Metrics(ScrapeSnapshot).render("")

    assert b"# TYPE plano_sidecar_routing_duration_seconds histogram\n" in body


async def test_a_sampled_calls_trace_stands_beside_its_buckets():
    """In OpenMetrics alone; an unsampled one's does not."""
    metrics = Metrics(ScrapeSnapshot)
    model = Candidate("eu", "openai/m", "m", "openai/m", frozenset())
    for flags in (0, FLAG_SAMPLED):
        call = a_call(trace=TraceContext(TRACE_ID, "b7ad6b7169203331", flags))
        for event in (
            CallDecided(call, Decision(Source.PINNED, (model,)), 0.5),
            AttemptEnded(call, Attempt(model, AttemptOutcome.OK, 200, 0.5, 2.0)),
            AttemptEnded(call, Attempt(model, AttemptOutcome.TIMEOUT, None, None, 4.0)),
            CallEnded(call, None, Outcome(CallOutcome.OK, 200, Timing(3.0, upstream_s=2.9))),
            RouterAsked(RouterOutcome.MATCHED, 0.2, trace_id=TRACE_ID if flags else ""),
            AffinityOperation(PinOperation.GET, PinOutcome.HIT, 0.002, TRACE_ID if flags else ""),
        ):
            Observers(metrics.observers).emit(event)
        body, _ = await metrics.render(OPENMETRICS)
        assert bool(flags) == (TRACE_ID.encode() in body)
    exemplars = {
        (family.name.removeprefix("plano_sidecar_"), sample.exemplar.value)
        for family in parse_openmetrics(body.decode())
        for sample in family.samples
        if sample.exemplar is not None
    }

    assert {
        ("routing_duration_seconds", 0.5),
        ("upstream_first_byte_seconds", 0.5),
        ("upstream_duration_seconds", 2.0),
        ("upstream_duration_seconds", 4.0),
        ("request_duration_seconds", 3.0),
        ("router_duration_seconds", 0.2),
        ("affinity_operation_duration_seconds", 0.002),
    } < exemplars
    assert "overhead_seconds" in {name for name, _ in exemplars}
    assert TRACE_ID.encode() not in (await metrics.render(""))[0]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_no_series_says_when_another_one_was_made(accept):
    """Each would double the counters; Prometheus asks for OpenMetrics by itself."""
    body, _ = await full_metrics().render(accept)

    assert b"_created" not in body

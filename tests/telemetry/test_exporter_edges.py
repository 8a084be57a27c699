"""Lines about the exporter: one when it begins to fail, one a minute, one when it works again."""

from __future__ import annotations

import logging

import pytest

from sidecar.telemetry.exporter_edges import ExporterEdges
from tests.support.values import FakeClock


@pytest.fixture
def room(caplog):
    """The edges, their clock, and the lines so far: event and fields."""
    caplog.set_level(logging.INFO, "sidecar.tracing")
    clock = FakeClock()
    edges = ExporterEdges("otel:4318", clock.monotonic_s)

    def lines():
        return [(each.event, each.fields) for each in caplog.records]

    return edges, clock, lines


def test_a_failing_exporter_is_one_line(room):
    """With the cause; what follows is counted for the next line, a minute later."""
    edges, clock, lines = room
    for _ in range(50):
        edges.failed("connection refused", 4)
        clock.advance(1.0)
    assert [
        ("exporter_fails", {"place": "otel:4318", "cause": "connection refused", "spans": 4})
    ] == lines()
    clock.advance(20.0)
    edges.failed("status 503", 4)

    assert (
        "exporter_still_fails",
        {"place": "otel:4318", "cause": "status 503", "spans": 200},
    ) == lines()[1]


def test_one_line_says_that_it_works_again(room):
    """Only after one that said that it fails."""
    edges, _, lines = room
    edges.worked()
    edges.failed("connection refused", 4)
    edges.worked()
    edges.worked()

    assert ["exporter_fails", "exporter_works_again"] == [name for name, _ in lines()]


def test_one_that_comes_and_goes_is_told_of_once_a_minute(room):
    """No flood."""
    edges, clock, lines = room
    for _ in range(130):
        edges.failed("connection refused", 1)
        edges.worked()
        clock.advance(1.0)

    assert ["exporter_fails", "exporter_works_again"] * 3 == [name for name, _ in lines()]


def test_nothing_is_written_after_the_end(room):
    """The log is closed by then."""
    edges, _, lines = room
    edges.failed("connection refused", 4)
    edges.end()
    edges.worked()
    edges.failed("connection refused", 4)

    assert 1 == len(lines())


def test_a_line_is_a_sentence(room, caplog):
    """For the person who reads it at night."""
    edges, _, _ = room
    edges.failed("connection refused", 4)

    assert (
        "the exporter of spans to otel:4318 fails: connection refused, 4 spans dropped; "
        "calls are served as usual"
    ) == caplog.messages[0]

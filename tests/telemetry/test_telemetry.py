"""One door for all that listens."""

from __future__ import annotations

from sidecar.domain.clock import SystemClock
from sidecar.domain.events import AttemptEnded, CallEnded, CandidateFailed, RouterAsked
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.telemetry import Telemetry


def test_what_metrics_and_the_log_tell_of_is_heard():
    """An event that is not heard is never made."""
    telemetry = Telemetry(SystemClock(), ScrapeSnapshot, "fast", frozenset())

    assert {CallEnded, AttemptEnded, CandidateFailed, RouterAsked} <= telemetry.observers.heard

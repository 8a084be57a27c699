"""Tracing as the rest of the process sees it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from sidecar.config.schema import Tracing
from sidecar.config.tracing import tracing_settings
from sidecar.domain.clock import SystemClock
from sidecar.domain.events import CallEnded
from sidecar.domain.ids import TraceContext
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Outcome, Timing
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry.tracer import CallTracer
from tests.support.otlp_receiver import otlp_receiver
from tests.support.values import a_call

TRACE = TraceContext("a" * 32, "b" * 16, 1, span_id="b" * 16)
ENDED = CallEnded(a_call(trace=TRACE), None, Outcome(CallOutcome.OK, 200, Timing(1.0)))


@pytest.mark.parametrize(("is_started", "expected"), [(True, 1), (False, 0)])
async def test_spans_are_exported_once_it_was_started(is_started, expected):
    """Commands that open no port never start it."""
    async with otlp_receiver() as receiver:
        url = Tracing(otlp_endpoint=receiver.url)
        settings = tracing_settings(url, {}, lambda *_: None)
        assert settings is not None
        tracer = CallTracer(settings, SystemClock(), lambda _: None)
        if is_started:
            tracer.start(CollectorRegistry())
        Observers([tracer.observer]).emit(ENDED)
        await tracer.aclose()

    assert expected == len(receiver.spans)

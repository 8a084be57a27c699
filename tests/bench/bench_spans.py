"""What tracing costs a pinned call on the event loop's thread, sampled and not. Prints.

``python -m tests.bench.bench_spans``: microseconds for reading the trace context, writing the
provider's, and the observer of spans, less what the same call costs while tracing is off. The
exporter's own thread is not counted: it takes its turns of the interpreter between those of calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry

from sidecar.config.schema import Tracing
from sidecar.config.tracing import tracing_settings
from sidecar.domain.clock import SystemClock
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import AttemptEnded, CallDecided, CallEnded
from sidecar.domain.ids import Sampling, TraceContext
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome
from sidecar.telemetry.span_facts import CalledServer
from sidecar.telemetry.span_metrics import SpanMetrics
from sidecar.telemetry.spans import SpanMaker
from sidecar.wire.trace_context import trace_context_of, trace_lines
from tests.support.net import free_port
from tests.support.values import a_call

CALLS: Final = 20_000
SAMPLED_CALLS: Final = 1_000
ROUNDS: Final = 7
RECEIVED: Final = [b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"]
GPT: Final = Candidate("openai", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
SERVED: Final = Served(Usage(1000, 100, 500, None, 10), "gpt-4o-2024-08-06")


def microseconds(work: Callable[[], object], calls: int = CALLS) -> float:
    """Best of some rounds, the empty loop taken off."""
    best = empty = float("inf")
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        for _ in range(calls):
            pass
        empty = min(empty, time.thread_time() - began_s)
        began_s = time.thread_time()
        for _ in range(calls):
            work()
        best = min(best, time.thread_time() - began_s)
    return (best - empty) / calls * 1e6


def header_us(traceparents: list[bytes], sampling: Sampling | None) -> float:
    """Reading the app's trace context, and writing one provider's."""
    return microseconds(lambda: trace_lines(trace_context_of(traceparents, (), sampling), 1))


def observer_us(trace: TraceContext, maker: SpanMaker | None, calls: int) -> float:
    """All events of one pinned call, made before."""
    call = a_call(trace=trace, session_id="s1")
    decision = Decision(Source.PINNED, (GPT,), "code", metric_route="code")
    outcome = Outcome(CallOutcome.OK, 200, Timing(2.0), True, SERVED, GPT)
    attempt = Attempt(GPT, AttemptOutcome.OK, 200, 0.5, 2.0, 1000.0, 1)
    events = (
        CallDecided(call, decision, 2e-4),
        AttemptEnded(call, attempt),
        CallEnded(call, decision, outcome),
    )
    observers = Observers([] if maker is None else [maker])

    def emit() -> None:
        for event in events:
            observers.emit(event)

    return microseconds(emit, calls)


def main() -> None:
    """Print the figures."""
    from sidecar.telemetry.otlp import OtlpExporter

    sampling = Sampling(follows_app=True, share=0.01)
    for name, traceparents in (("received", RECEIVED), ("new", [])):
        off, on = header_us(traceparents, None), header_us(traceparents, sampling)
        print(f"trace context, {name}: {off:.2f} us without tracing, {on:.2f} us with")
    counts, clock = SpanMetrics(CollectorRegistry()), SystemClock()
    url = Tracing(otlp_endpoint=f"http://127.0.0.1:{free_port()}")
    # A collector that is down: the queue is full soon, which is measured apart.
    room = {"OTEL_BSP_MAX_QUEUE_SIZE": "1000000", "OTEL_BSP_SCHEDULE_DELAY": "1000000"}
    settings = tracing_settings(url, room, lambda *_: None)
    assert settings is not None
    exporter = OtlpExporter(settings, counts, clock)
    maker = SpanMaker(clock, exporter.take, lambda _: CalledServer("api.openai.com", 443))
    unsampled = trace_context_of(RECEIVED, (), sampling)
    sampled = TraceContext("a" * 32, "b" * 16, 1, received=True, span_id="c" * 16)
    none = observer_us(unsampled, None, CALLS)
    print(f"observer, unsampled call: {observer_us(unsampled, maker, CALLS) - none:.2f} us")
    print(f"observer, sampled call of 3 spans: {observer_us(sampled, maker, SAMPLED_CALLS):.1f} us")


if __name__ == "__main__":
    main()

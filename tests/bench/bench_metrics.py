"""What metrics cost a call, and for how long a scrape holds the loop.

``python -m tests.bench.bench_metrics``: microseconds for all events of one pinned call, and the
longest turn of the loop while a page of 100 histograms is written.
"""

from __future__ import annotations

import asyncio
import time

from sidecar.domain.decision import Candidate, Decision, Price, Source
from sidecar.domain.events import AffinityOperation, AttemptEnded, CallDecided, CallEnded
from sidecar.domain.ids import TraceContext
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, PinOperation, PinOutcome
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.metrics import Metrics
from tests.support.values import TRACE, a_call

CALLS, ROUNDS = 20_000, 7
MODELS = 34
"""With three histograms each beside those of the calls: a hundred."""


def _model(number: int) -> Candidate:
    name = f"openai/model-{number}"
    return Candidate(f"entry-{number}", name, name, name, frozenset(), price=Price(2.0, 8.0, 0.5))


def _us_a_call(trace: TraceContext) -> float:
    """Best of some rounds; the events themselves are made before, as other observers need them."""
    metrics, model, call = Metrics(ScrapeSnapshot), _model(0), a_call(trace=trace)
    observers, decision = Observers(metrics.observers), Decision(Source.PINNED, (_model(0),))
    served = Served(Usage(1000, 100, 500, None, 10))
    events = (
        AffinityOperation(PinOperation.GET, PinOutcome.NEAR_HIT),
        CallDecided(call, decision, 2e-4),
        AttemptEnded(call, Attempt(model, AttemptOutcome.OK, 200, 0.5, 2.0)),
        CallEnded(call, decision, Outcome(CallOutcome.OK, 200, Timing(2.0), True, served, model)),
    )
    best = float("inf")
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        for _ in range(CALLS):
            for event in events:
                observers.emit(event)
        best = min(best, (time.thread_time() - began_s) / CALLS * 1e6)
    return best


async def _longest_turns_ms() -> tuple[float, float, int]:
    """The longest turn of the loop beside a scrape, the scrape's length, and the page's lines."""
    metrics = Metrics(ScrapeSnapshot)
    observers = Observers(metrics.observers)
    for number in range(MODELS):
        call, model = a_call(), _model(number)
        observers.emit(AttemptEnded(call, Attempt(model, AttemptOutcome.OK, 200, 0.5, 2.0)))
        for source in Source:
            observers.emit(CallDecided(call, Decision(source, (model,)), 0.1))
    longest_s, is_over = 0.0, False

    async def calls() -> None:
        nonlocal longest_s
        last_s = time.thread_time()
        while not is_over:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            longest_s, last_s = max(longest_s, now_s - last_s), now_s

    best = float("inf")
    for _ in range(ROUNDS):
        longest_s, is_over = 0.0, False
        async with asyncio.TaskGroup() as group:
            group.create_task(calls())
            await asyncio.sleep(0)
            began_s = time.thread_time()
            body, _ = await metrics.render("application/openmetrics-text")
            took_s, is_over = time.thread_time() - began_s, True
        best = min(best, longest_s)
    return best * 1e3, took_s * 1e3, body.count(b"\n")


def main() -> None:
    """Print the figures."""
    sampled = TraceContext(TRACE.trace_id, TRACE.parent_id, 1)
    print(
        f"metrics of a pinned call: {_us_a_call(TRACE):.2f} us; sampled: {_us_a_call(sampled):.2f}"
    )
    longest_ms, took_ms, lines = asyncio.run(_longest_turns_ms())
    print(f"a scrape of {lines} lines: {took_ms:.1f} ms, no turn longer than {longest_ms:.2f} ms")


if __name__ == "__main__":
    main()

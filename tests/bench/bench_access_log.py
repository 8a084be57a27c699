"""What the access log, the operators' pages and `tail` cost a call.

``python -m tests.bench.bench_access_log``: microseconds for the end of a pinned call of which no
record is wanted, and of one that is written.
"""

from __future__ import annotations

import time

from sidecar.domain.clock import SystemClock
from sidecar.domain.events import CallEnded
from sidecar.domain.observers import Observers
from sidecar.telemetry.access_log import AccessLogWriter
from sidecar.telemetry.call_feed import CallFeed
from sidecar.telemetry.call_recorder import CallRecorder
from sidecar.telemetry.cost_metrics import Pricing
from sidecar.telemetry.named_lines import NamedLines
from tests.telemetry.calls import ended

CALLS, ROUNDS = 50_000, 7


def _us_a_call(event: CallEnded, observers: Observers) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        for _ in range(CALLS):
            observers.emit(event)
        best = min(best, (time.thread_time() - began_s) / CALLS * 1e6)
    return best


def _observers(mode: str, sample: float) -> Observers:
    log = AccessLogWriter()
    log.configure(mode, sample)
    log.write_to(lambda _line: None)
    return Observers([CallRecorder(SystemClock(), Pricing(), CallFeed(), NamedLines(log), log)])


def main() -> None:
    """Print the figures. The price of `emit` itself is in all of them."""

    class Nothing:
        def listeners(self):
            return {CallEnded: lambda event: None}

    event = ended()
    empty_us = _us_a_call(event, Observers([Nothing()]))
    for name, observers in (
        ("an observer that does nothing", Observers([Nothing()])),
        ("no line, no reader, sample 0", _observers("errors", 0.0)),
        ("errors and 1 % of the rest", _observers("errors", 0.01)),
        ("every call has a line", _observers("all", 1.0)),
    ):
        took_us = _us_a_call(event, observers)
        print(f"{name:34} {took_us:7.3f} us a call, {took_us - empty_us:+.3f} beside emit's own")


if __name__ == "__main__":
    main()

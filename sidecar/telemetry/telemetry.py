"""All that listens to calls, made once for a process."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.domain.call import DialectName
from sidecar.domain.clock import Clock
from sidecar.domain.observers import Observers
from sidecar.telemetry.access_log import AccessLogWriter
from sidecar.telemetry.break_log import BreakLog
from sidecar.telemetry.call_feed import CallFeed
from sidecar.telemetry.call_recorder import CallRecorder
from sidecar.telemetry.edge_log import EdgeLog
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.last_failures import LastFailures
from sidecar.telemetry.log_writer import LineWriter
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.named_lines import NamedLines
from sidecar.telemetry.tracer import CallTracer


class Telemetry:
    """The observers of a process, and what operators read of them.

    Args: as `Metrics`; ``tracer`` is None while calls are not traced.
    """

    def __init__(
        self,
        clock: Clock,
        snapshot: Callable[[], ScrapeSnapshot],
        listener_path: str,
        cache_apart: frozenset[DialectName],
        tracer: CallTracer | None = None,
    ) -> None:
        self.metrics = metrics = Metrics(snapshot, listener_path, cache_apart)
        log, feed = AccessLogWriter(), CallFeed()
        self.calls = CallRecorder(clock, metrics.pricing, feed, NamedLines(log), log)
        self._writers: dict[str, LineWriter] = {}
        self.last_failures = LastFailures(clock.monotonic_s)
        logs = EdgeLog(clock.monotonic_s), BreakLog(clock.monotonic_s)
        self.tracer = tracer
        traced = () if tracer is None else (tracer.observer,)
        others = self.last_failures, self.calls, *traced
        self.observers = Observers((*metrics.observers, *logs, *others))

    def write_to(self, stderr: LineWriter, stdout: LineWriter) -> None:
        """Write the access log to ``stdout``, and count the lines that either of them drops."""
        self._writers = {"stderr": stderr, "stdout": stdout}
        self.calls.log.write_to(stdout.put)

    def dropped_lines(self) -> list[tuple[str, int]]:
        """Return for each stream how many lines were dropped so far."""
        writers = self._writers
        return [
            (name, writers[name].dropped if name in writers else 0) for name in ("stderr", "stdout")
        ]

    def end(self) -> None:
        """Let those who follow calls come to their end, and write the lines that wait."""
        self.calls.feed.end()
        self.calls.lines.flush()

    def start(self) -> None:
        """Begin to send what is sent in the background."""
        if self.tracer is not None:
            self.tracer.start(self.metrics.registry)

    async def aclose(self) -> None:
        """Send what waits, for a second at most."""
        await self.metrics.pages.aclose()
        if self.tracer is not None:
            await self.tracer.aclose()

"""All that listens to calls, made once for a process."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.domain.call import DialectName
from sidecar.domain.clock import Clock
from sidecar.domain.observers import Observers
from sidecar.telemetry.access_log import AccessLogWriter
from sidecar.telemetry.call_feed import CallFeed
from sidecar.telemetry.call_recorder import CallRecorder
from sidecar.telemetry.edge_log import EdgeLog
from sidecar.telemetry.log_writer import LineWriter
from sidecar.telemetry.metrics import Metrics, ScrapeSnapshot


class Telemetry:
    """The observers of a process, and what operators read of them.

    Args: as `Metrics`.
    """

    def __init__(
        self,
        clock: Clock,
        snapshot: Callable[[], ScrapeSnapshot],
        listener_path: str,
        cache_apart: frozenset[DialectName],
    ) -> None:
        self.metrics = metrics = Metrics(snapshot, listener_path, cache_apart)
        self.access_log = AccessLogWriter()
        self.feed = CallFeed()
        self.recorder = CallRecorder(clock, metrics.pricing, self.access_log, self.feed)
        self._writers: dict[str, LineWriter] = {}
        self.observers = Observers((*metrics.observers, EdgeLog(clock.monotonic_s), self.recorder))

    def write_to(self, stderr: LineWriter, stdout: LineWriter) -> None:
        """Write the access log to ``stdout``, and count the lines that either of them drops."""
        self._writers = {"stderr": stderr, "stdout": stdout}
        self.access_log.write_to(stdout.put)

    def dropped_lines(self) -> list[tuple[str, int]]:
        """Return for each stream how many lines were dropped so far."""
        writers = self._writers
        return [
            (name, writers[name].dropped if name in writers else 0) for name in ("stderr", "stdout")
        ]

    def end(self) -> None:
        """Let those who follow calls come to their end, and write the lines that wait."""
        self.feed.end()
        self.recorder.flush()

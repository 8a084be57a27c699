"""All that listens to calls, made once for a process."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.domain.call import DialectName
from sidecar.domain.clock import Clock
from sidecar.domain.observers import Observers
from sidecar.telemetry.break_log import BreakLog
from sidecar.telemetry.edge_log import EdgeLog
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
        logs = EdgeLog(clock.monotonic_s), BreakLog(clock.monotonic_s)
        self.observers = Observers((*metrics.observers, *logs))

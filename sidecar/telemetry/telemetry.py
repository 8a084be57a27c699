"""All that listens to calls, made once for a process."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.domain.call import DialectName
from sidecar.domain.clock import Clock
from sidecar.domain.observers import Observers
from sidecar.telemetry.break_log import BreakLog
from sidecar.telemetry.edge_log import EdgeLog
from sidecar.telemetry.metrics import Metrics, ScrapeSnapshot
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
        self.tracer = tracer
        traced = () if tracer is None else (tracer.observer,)
        logs = EdgeLog(clock.monotonic_s), BreakLog(clock.monotonic_s)
        self.observers = Observers((*metrics.observers, *logs, *traced))

    def start(self) -> None:
        """Begin to send what is sent in the background."""
        if self.tracer is not None:
            self.tracer.start(self.metrics.registry)

    async def aclose(self) -> None:
        """Send what waits, for a second at most."""
        if self.tracer is not None:
            await self.tracer.aclose()

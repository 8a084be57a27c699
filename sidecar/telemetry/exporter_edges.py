"""The log's lines about the exporter of spans: that it has begun to fail, still fails, works again.

One line when it begins, one a minute while it lasts, one when it is over; one that comes and goes
is told of once a minute.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from sidecar.domain.log_fields import event_fields

_log: Final = logging.getLogger("sidecar.tracing")

SUMMARY_S: Final = 60.0
"""Between two lines about failures."""


class ExporterEdges:
    """Told of what comes of batches, by any thread.

    Args: ``place`` is the collector's ``host:port``.
    """

    def __init__(self, place: str, monotonic_s: Callable[[], float]) -> None:
        self._place = place
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._line_s: float | None = None
        """When the last line about a failure was written."""
        self._is_told = False
        """Whether the last line said that it fails."""
        self._dropped = 0
        """Spans since that line."""
        self._is_over = False

    def failed(self, cause: str, spans: int) -> None:
        """Hear that spans were dropped. ``cause`` is a phrase, and nothing that a peer wrote."""
        with self._lock:
            self._dropped += spans
            now_s = self._monotonic_s()
            if self._is_over or (self._line_s is not None and now_s - self._line_s < SUMMARY_S):
                return
            name = "exporter_still_fails" if self._is_told else "exporter_fails"
            verb = "still fails" if self._is_told else "fails"
            fields = {"place": self._place, "cause": cause, "spans": self._dropped}
            _log.warning(
                "the exporter of spans to %s %s: %s, %d spans dropped; calls are served as usual",
                self._place,
                verb,
                cause,
                self._dropped,
                extra=event_fields(name, **fields),
            )
            self._line_s, self._is_told, self._dropped = now_s, True, 0

    def worked(self) -> None:
        """Hear that a batch has arrived."""
        with self._lock:
            if self._is_told and not self._is_over:
                extra = event_fields("exporter_works_again", place=self._place)
                _log.info("the exporter of spans to %s works again", self._place, extra=extra)
                self._is_told = False

    def end(self) -> None:
        """Write nothing any more."""
        with self._lock:
            self._is_over = True

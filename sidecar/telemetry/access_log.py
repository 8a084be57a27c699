"""The access log: one JSON line a call, on the descriptor that it was given, and which calls have
one.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sidecar.telemetry.call_record import CallRecord


class AccessLogWriter:
    """Writes records of calls as lines. Without a writer no call is of interest to it."""

    def __init__(self) -> None:
        self.errors = False
        """Whether calls that did not end well are written."""
        self.share = 0.0
        """Of the other calls, how many are written: 0 to 1."""
        self._mode, self._sample = "off", 0.0
        self._put: Callable[[bytes], None] | None = None

    def configure(self, mode: str, sample: float) -> None:
        """Write the lines of ``all`` calls, of ``errors`` and a ``sample`` of the rest, or none
        (``off``).
        """
        self._mode, self._sample = mode, sample
        self._apply()

    def write_to(self, put: Callable[[bytes], None] | None) -> None:
        """Hand lines to ``put``, which must not wait; None: to nothing."""
        self._put = put
        self._apply()

    def write(self, record: CallRecord) -> None:
        """Write a record's line, whether or not the call is one of those that have one."""
        if self._put is not None:
            self._put(msgspec.json.encode(record) + b"\n")

    def _apply(self) -> None:
        is_written = self._put is not None
        self.errors = is_written and self._mode != "off"
        self.share = {"all": 1.0, "errors": self._sample}.get(self._mode, 0.0) * is_written

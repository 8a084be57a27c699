"""The lines of calls that an operator has named, with all of their facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.decision import Binding
from sidecar.domain.events import CallEnded
from sidecar.domain.ids import Session
from sidecar.telemetry.access_log import AccessLogWriter
from sidecar.telemetry.call_record import CallRecord, DebugRecord
from sidecar.telemetry.looks import CallLater, call_later
from sidecar.telemetry.record_maker import attempt_record, pin_record

PIN_SETTLES_S: Final = 0.25
"""After a call, before its line is written: its pin is moved or dropped in a task of its own."""
WAITING_AT_MOST: Final = 1000
"""Lines that wait for their pins; more are written at once."""

PinOf = Callable[[Session], Binding | None]
"""Returns a session's pin as far as it is at hand."""


class NamedLines:
    """Writes the lines of named calls, a moment after the calls.

    Args: ``later`` is the event loop's.
    """

    def __init__(self, log: AccessLogWriter, later: CallLater = call_later) -> None:
        self.pin_of: PinOf | None = None
        """Of the affinity store, once there is one."""
        self._log = log
        self._later = later
        self._left: dict[int, Callable[[], None]] = {}
        self._added = 0

    def add(self, record: CallRecord, event: CallEnded) -> None:
        """Write a call's line once its pin has settled. Holds no call till then, hence no body."""
        decision, before, session = event.decision, None, None
        if decision is not None and decision.session is not None:
            session = decision.session
            before = None if decision.is_claimed else decision.binding
        attempts = tuple(attempt_record(each) for each in event.outcome.attempts)

        def write() -> None:
            after = None if session is None or self.pin_of is None else self.pin_of(session)
            debug = DebugRecord(attempts, pin_record(before), pin_record(after))
            self._log.write(msgspec.structs.replace(record, debug=debug))

        if len(self._left) >= WAITING_AT_MOST:
            write()
            return
        self._added += 1
        number = self._added
        self._left[number] = write
        self._later(PIN_SETTLES_S, lambda: self._do(number))

    def flush(self) -> None:
        """Write the lines that still wait."""
        for number in list(self._left):
            self._do(number)

    def _do(self, number: int) -> None:
        write = self._left.pop(number, None)
        if write is not None:
            write()

"""An observer that has a record made of each call that somebody wants one of: the access log, the
operators' pages, or an operator who has named the call. Any other call costs it a few comparisons.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import CallEnded, Listeners, RequestRefused
from sidecar.domain.ids import Session
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry.access_log import AccessLogWriter
from sidecar.telemetry.call_feed import CallFeed
from sidecar.telemetry.call_record import CallRecord, DebugRecord
from sidecar.telemetry.cost_metrics import Pricing
from sidecar.telemetry.named_calls import NamedCalls
from sidecar.telemetry.record_maker import attempt_record, pin_record, record_of, record_of_refused

PIN_SETTLES_S: Final = 0.25
"""After a call, for its pin to be moved or dropped in a task of its own, before the line of a named
call is written.
"""
WAITING_AT_MOST: Final = 1000
"""Lines of named calls that wait for their pins; more are written at once."""

PinOf = Callable[[Session], Binding | None]
"""Returns a session's pin as far as it is at hand."""
CallLater = Callable[[float, Callable[[], None]], object]


class CallRecorder:
    """Hears how calls end, and hands records of them on.

    Args: ``roll`` is uniform in [0, 1); ``call_later`` is the event loop's.
    """

    def __init__(
        self,
        clock: Clock,
        pricing: Pricing,
        log: AccessLogWriter,
        feed: CallFeed,
        roll: Callable[[], float] = random.random,
        call_later: CallLater | None = None,
    ) -> None:
        self.log, self.feed = log, feed
        self.named = NamedCalls(clock.monotonic_s)
        self._named_until_s: Final = self.named.until_s
        self.pin_of: PinOf | None = None
        """Of the affinity store, once there is one."""
        self._clock, self._pricing, self._roll = clock, pricing, roll
        self._waiting = _Waiting(call_later or _call_later)

    def listeners(self) -> Listeners:
        """Hear how calls end, and requests that never became calls."""
        return {CallEnded: self._call_ended, RequestRefused: self._request_refused}

    def flush(self) -> None:
        """Write the lines that still wait."""
        self._waiting.flush()

    def _call_ended(self, event: CallEnded) -> None:
        outcome, call, feed, log = event.outcome, event.call, self.feed, self.log
        ended_s = call.admitted_s + outcome.timing.total_s
        is_ok = outcome.result is CallOutcome.OK
        is_logged = log.errors
        if is_ok:
            is_logged = log.share > 0.0 and self._roll() < log.share
            if not (is_logged or ended_s >= feed.due_s or feed.readers or self._named_until_s):
                return
        record = record_of(event, self._clock.unix_s(), self._pricing.cost_usd(event))
        feed.add(record, ended_s)
        if self._named_until_s and self.named.has(call.request_id, call.session_id):
            self._waiting.add(lambda: log.write(self._with_debug(record, event)))
        elif is_logged:
            log.write(record)

    def _request_refused(self, event: RequestRefused) -> None:
        record = record_of_refused(event, self._clock.unix_s())
        self.feed.add(record, self._clock.monotonic_s())
        if self._named_until_s and self.named.has(event.request_id, None):
            self.log.write(msgspec.structs.replace(record, debug=DebugRecord()))
        elif self.log.errors:
            self.log.write(record)

    def _with_debug(self, record: CallRecord, event: CallEnded) -> CallRecord:
        before, after, decision = None, None, event.decision
        if decision is not None and decision.session is not None:
            before = None if decision.is_claimed else decision.binding
            after = None if self.pin_of is None else self.pin_of(decision.session)
        attempts = tuple(attempt_record(each) for each in event.outcome.attempts)
        debug = DebugRecord(attempts, pin_record(before), pin_record(after))
        return msgspec.structs.replace(record, debug=debug)


class _Waiting:
    """What is done a moment later, or at the end of the process."""

    def __init__(self, call_later: CallLater) -> None:
        self._call_later = call_later
        self._left: dict[int, Callable[[], None]] = {}
        self._added = 0

    def add(self, work: Callable[[], None]) -> None:
        if len(self._left) >= WAITING_AT_MOST:
            work()
            return
        self._added += 1
        number = self._added
        self._left[number] = work
        self._call_later(PIN_SETTLES_S, lambda: self._do(number))

    def flush(self) -> None:
        for number in list(self._left):
            self._do(number)

    def _do(self, number: int) -> None:
        work = self._left.pop(number, None)
        if work is not None:
            work()


def _call_later(delay_s: float, callback: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay_s, callback)

"""An observer that has a record made of each call that somebody wants one of: the access log, the
operators' pages, or an operator who has named the call. Any other call costs it a few comparisons.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.clock import Clock
from sidecar.domain.events import CallEnded, Listeners, RequestRefused
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry.access_log import AccessLogWriter
from sidecar.telemetry.call_feed import CallFeed
from sidecar.telemetry.call_record import DebugRecord
from sidecar.telemetry.cost_metrics import Pricing
from sidecar.telemetry.named_calls import NamedCalls
from sidecar.telemetry.named_lines import NamedLines
from sidecar.telemetry.record_maker import record_of, record_of_refused


class CallRecorder:
    """Hears how calls end, and hands records of them on.

    Args: ``roll`` is uniform in [0, 1).
    """

    def __init__(
        self,
        clock: Clock,
        pricing: Pricing,
        feed: CallFeed,
        lines: NamedLines,
        log: AccessLogWriter,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.named: Final = NamedCalls(clock.monotonic_s)
        self._clock, self._pricing = clock, pricing
        self.feed, self.lines, self.log = feed, lines, log
        self._roll = roll

    def listeners(self) -> Listeners:
        """Hear how calls end, and requests that never became calls."""
        return {CallEnded: self._call_ended, RequestRefused: self._request_refused}

    def _call_ended(self, event: CallEnded) -> None:
        outcome, call, feed, log = event.outcome, event.call, self.feed, self.log
        ended_s = call.admitted_s + outcome.timing.total_s
        is_logged, named = log.errors, self.named
        if outcome.result is CallOutcome.OK:
            is_logged = log.share > 0.0 and self._roll() < log.share
            if not (is_logged or ended_s >= feed.due_s or feed.readers or named.until_s):
                return
        record = record_of(event, self._clock.unix_s(), self._pricing.cost_usd(event))
        feed.add(record, ended_s)
        if named.until_s and named.has(call.request_id, call.session_id):
            self.lines.add(record, event)
        elif is_logged:
            log.write(record)

    def _request_refused(self, event: RequestRefused) -> None:
        record = record_of_refused(event, self._clock.unix_s())
        self.feed.add(record, self._clock.monotonic_s())
        if self.named.until_s and self.named.has(event.request_id, None):
            self.log.write(msgspec.structs.replace(record, debug=DebugRecord()))
        elif self.log.errors:
            self.log.write(record)

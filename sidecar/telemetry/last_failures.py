"""The last failure of each provider entry, for whoever looks at the entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.events import CandidateFailed, Listeners
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.bounded import BoundedMap

_KEPT_AT_MOST: Final = 256
"""Entries are the config's, which may change."""


class LastFailure(msgspec.Struct, frozen=True):
    """What the last failed attempt at a provider entry came to."""

    failed_s: float
    """On the monotonic clock."""
    model: str
    """As metrics name it."""
    reason: FailureClass
    report: FailureReport


class LastFailures:
    """Hears of failures that are held against a candidate, and keeps the last one of each entry."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._by_entry: BoundedMap[str, LastFailure] = BoundedMap(_KEPT_AT_MOST)

    def listeners(self) -> Listeners:
        """See `Observer.listeners`."""
        return {CandidateFailed: self._candidate_failed}

    def of_entry(self, account: str) -> LastFailure | None:
        """Return the last failure of an entry; None where none is known."""
        return self._by_entry.get(account)

    def _candidate_failed(self, event: CandidateFailed) -> None:
        candidate = event.candidate
        failure = LastFailure(
            self._monotonic_s(), candidate.metric_model, event.reason, event.report
        )
        self._by_entry.add(candidate.provider, failure)

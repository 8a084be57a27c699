"""The last failure of each entry is at hand."""

from __future__ import annotations

from sidecar.domain.decision import Candidate
from sidecar.domain.events import CandidateFailed
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import FailureClass
from sidecar.telemetry.last_failures import LastFailure, LastFailures
from tests.support.values import a_call

A = Candidate("a", "a/m", "m", "a/*", frozenset())


def test_the_last_one_of_each_entry_is_kept():
    """With its time, its reason and what an operator is told."""
    now_s = [1.0]
    failures = LastFailures(lambda: now_s[0])
    emit = Observers([failures]).emit
    reports = [FailureReport("h:1", cause) for cause in ("name not found", "no TLS there")]
    for report in reports:
        now_s[0] += 1
        emit(CandidateFailed(a_call(), A, FailureClass.BUSY, report))

    assert LastFailure(3.0, "a/*", FailureClass.BUSY, reports[1]) == failures.of_entry("a")
    assert failures.of_entry("b") is None

"""The values of a check-up."""

from __future__ import annotations

import pytest

from sidecar.doctor.findings import (
    Finding,
    Kind,
    Reach,
    StepState,
    Verdict,
    days_left,
    with_renewal,
    worst,
)
from sidecar.http1.certificate import TlsFacts

DAY_S = 86_400


def finding(verdict: Verdict = Verdict.OK, days: int | None = None) -> Finding:
    return Finding(Kind.PROVIDER, "a", verdict, "a:1", Reach(certificate_days=days))


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], Verdict.OK),
        ([Verdict.SKIPPED, Verdict.OK], Verdict.OK),
        ([Verdict.OK, Verdict.WARNING], Verdict.WARNING),
        ([Verdict.WARNING, Verdict.FAILED, Verdict.OK], Verdict.FAILED),
    ],
)
def test_the_worst_verdict_is_that_of_all(verdicts, expected):
    """Nothing at all is no fault."""
    assert expected is worst(map(finding, verdicts))


@pytest.mark.parametrize(
    ("reach", "is_reached"),
    [
        (Reach(), None),
        (Reach(dns=StepState.FAILED), False),
        (Reach(dns=StepState.OK, tcp=StepState.OK), True),
        (Reach(tcp=StepState.OK, tls=StepState.FAILED), False),
        (Reach(tcp=StepState.OK, http=StepState.FAILED), False),
        (Reach(http=StepState.OK), True),
    ],
)
def test_what_is_reached_has_replied(reach, is_reached):
    """Where HTTP is spoken only a reply counts."""
    assert is_reached is reach.is_reached


@pytest.mark.parametrize(
    ("ends_s", "days"), [(None, None), (9.9 * DAY_S, 9), (0.5 * DAY_S, 0), (-1.0, -1)]
)
def test_days_are_whole_ones(ends_s, days):
    """Half a day is none."""
    assert days == days_left(TlsFacts("TLSv1.3", ends_s), 0.0)


def test_without_tls_no_day_is_left():
    """There is no certificate."""
    assert days_left(None, 0.0) is None


@pytest.mark.parametrize(
    ("before", "days", "after"),
    [
        (Verdict.OK, 13, Verdict.WARNING),
        (Verdict.OK, 14, Verdict.OK),
        (Verdict.OK, None, Verdict.OK),
        (Verdict.FAILED, 1, Verdict.FAILED),
    ],
)
def test_a_certificate_that_soon_ends_is_a_warning(before, days, after):
    """Two weeks before; what is worse stays what it is."""
    assert after is with_renewal(finding(before, days)).verdict


def test_one_day_is_one_day():
    """Said as people say it."""
    assert "its certificate ends in 1 day" == with_renewal(finding(days=1)).cause

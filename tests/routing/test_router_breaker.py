"""Whose fault it may be that the router model failed, and what that opens."""

from __future__ import annotations

import pytest

from sidecar.domain.call import Call
from sidecar.domain.errors import ConnectFailed, ConnectTimeout, FirstByteTimeout, UpstreamReset
from sidecar.routing.router_breaker import Blame, RouterBreaker, blame_of_error, blame_of_status
from tests.support.values import a_call


class Told:
    """Counts as many failures as it is evidence."""

    def __init__(self, counts: int = 1) -> None:
        self.counts = counts
        self.heard: list[tuple[float, float] | str] = []

    def failed(self, call: Call, sent_s: float, now_s: float) -> int:
        self.heard.append((sent_s, now_s))
        return self.counts

    def served(self) -> None:
        self.heard.append("served")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Blame.NOBODY),
        (302, Blame.NOBODY),
        (400, Blame.NOBODY),
        (413, Blame.NOBODY),
        (408, Blame.PROMPT),
        (429, Blame.SERVER),
        (500, Blame.PROMPT),
        (503, Blame.PROMPT),
    ],
)
def test_a_status_tells_whose_fault_a_reply_may_be(status, expected):
    """A prompt can crash a server, or make it refuse; it cannot make it throttle."""
    assert expected is blame_of_status(status)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectFailed("x"), Blame.SERVER),
        (ConnectTimeout("x"), Blame.SERVER),
        (FirstByteTimeout("x"), Blame.PROMPT),
        (UpstreamReset("x"), Blame.PROMPT),
        (RuntimeError("x"), Blame.PROMPT),
    ],
)
def test_an_error_tells_whose_fault_it_may_be(error, expected):
    """Before there is a connection nothing of a prompt has been sent."""
    assert expected is blame_of_error(error)


def test_what_a_prompt_can_cause_counts_as_the_evidence_says():
    """None, one, or with the first confirmation two at once."""
    evidence = Told(counts=0)
    breaker = RouterBreaker(evidence)
    for _ in range(9):
        breaker.ended(a_call(), 999.0, 1000.0, Blame.PROMPT)
    assert not breaker.is_open
    for evidence.counts in (2, 1, 1):
        breaker.ended(a_call(), 999.0, 1000.0, Blame.PROMPT)
        assert not breaker.is_open
    breaker.ended(a_call(), 999.0, 1000.0, Blame.PROMPT)

    assert (True, True, False, True) == (
        breaker.is_open,
        breaker.is_shut(1000.5),
        breaker.may_probe(1000.5),
        breaker.may_probe(1001.0),
    )
    assert [(999.0, 1000.0)] * 13 == evidence.heard


def test_the_first_answer_ends_a_suspicion_and_later_ones_need_not_be_told():
    """Nearly every question is answered."""
    evidence = Told()
    breaker = RouterBreaker(evidence)
    for blame in (Blame.NOBODY, Blame.PROMPT, Blame.NOBODY, Blame.NOBODY):
        breaker.ended(a_call(), 999.0, 1000.0, blame)

    assert [(999.0, 1000.0), "served"] == evidence.heard


def test_what_no_prompt_can_cause_counts_at_once_and_an_answer_ends_it():
    """And is no matter of evidence."""
    evidence = Told()
    breaker = RouterBreaker(evidence)
    for _ in range(5):
        breaker.ended(a_call(), 999.0, 1000.0, Blame.SERVER)
    was_open = breaker.is_open
    breaker.ended(a_call(), 999.0, 1000.0, Blame.NOBODY)

    assert (True, False, []) == (was_open, breaker.is_open, evidence.heard)

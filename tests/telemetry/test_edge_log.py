"""Lines about what fails: one at the beginning, one a minute, one at the end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from sidecar.domain.decision import Candidate
from sidecar.domain.events import (
    CandidateFailed,
    CandidateServed,
    RouterAsked,
)
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import FailureClass, RouterOutcome
from sidecar.telemetry.edge_log import EdgeLog, in_words
from sidecar.telemetry.log_events import LOG_EVENTS
from tests.support.values import a_call

A, B = (Candidate(name, f"{name}/m", "m", f"{name}/*", frozenset()) for name in ("a", "b"))
REFUSED = FailureReport("a.example:443", "connection refused")
BAD_HOST = FailureReport("a.example:443", "name not found")
BAD_KEY = FailureReport(
    "a.example:443", "credential refused", 401, "invalid_api_key", "req_1", "put a key"
)


class _Night:
    """A log over a clock that the test moves; the log's looks come in their time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.due: list[Any] = []
        log = EdgeLog(lambda: self.now_s, lambda delay_s, look: self.due.append((delay_s, look)))
        self.emit = Observers([log]).emit

    def fail(self, calls=1, report=REFUSED, candidate=A, following=B):
        for _ in range(calls):
            self.emit(CandidateFailed(a_call(), candidate, FailureClass.BUSY, report))
            if following is not None:
                self.emit(CandidateServed(following, self.now_s, (candidate.provider,)))

    def serve(self, candidate=A, sent_s=None):
        self.emit(CandidateServed(candidate, self.now_s if sent_s is None else sent_s))

    def ask_router(self, outcome, cause=""):
        self.emit(RouterAsked(outcome, 0.1, cause))

    def pass_time(self, seconds):
        for _ in range(seconds):
            self.now_s += 1.0
            due, self.due = self.due, []
            for delay_s, look in due:
                assert 1.0 == delay_s
                look()


@pytest.fixture
def night(caplog):
    """What was written is in ``caplog``."""
    caplog.set_level(logging.INFO, "sidecar.edges")
    return _Night()


def test_an_entry_that_fails_has_one_line_and_one_when_it_serves_again(night, caplog):
    """With place, cause, counts, and who serves meanwhile."""
    night.fail(12)
    night.pass_time(30)
    night.fail(1)
    night.pass_time(29)
    night.serve()
    night.pass_time(10)

    assert [
        "a at a.example:443 fails: connection refused, 12 calls in under 1 s, served by b",
        "a at a.example:443 serves again after 59 s, 13 calls failed",
    ] == caplog.messages
    first, last = caplog.records
    assert ("WARNING", "INFO") == (first.levelname, last.levelname)
    assert ("provider_fails", "provider_serves_again") == (first.event, last.event)
    assert {"account": "a", "model": "a/*", "calls": 12, "served_by": "b"}.items() <= (
        first.fields.items()
    )
    assert {"account": "a", "calls": 13, "seconds": 59.0}.items() <= last.fields.items()
    assert [] == night.due
    listed = {each.name: each.fields for each in LOG_EVENTS}
    assert [listed[each.event] for each in caplog.records] == [
        tuple(each.fields) for each in caplog.records
    ]


def test_calls_that_were_served_elsewhere_are_counted(night, caplog):
    """An operator reads from the line whether apps met errors."""
    night.fail(2)
    night.fail(3, following=None)
    night.pass_time(61)
    night.fail(1, following=None)
    night.pass_time(5)

    assert [
        "a at a.example:443 fails: connection refused, 5 calls in under 1 s, 2 of them served by b",
        "a at a.example:443 still fails: connection refused, 1 call, not served elsewhere",
    ] == caplog.messages


def test_it_lasted_until_the_first_call_that_was_served(night, caplog):
    """What was served afterwards, while the log waits whether it stays so, is no outage."""
    night.fail(3)
    night.pass_time(2)
    for _ in range(4):
        night.serve()
        night.pass_time(1)

    assert "a at a.example:443 serves again after 2 s, 3 calls failed" == caplog.messages[-1]


def test_a_single_failure_is_forgotten_once_calls_are_served(night, caplog):
    """The next failure has its own cause and its own beginning."""
    night.fail(1, BAD_HOST)
    night.serve()
    night.pass_time(6)
    night.fail(3)
    night.pass_time(2)

    assert ["a at a.example:443 fails: connection refused, 3 calls in under 1 s, served by b"] == (
        caplog.messages
    )


def test_while_it_lasts_there_is_a_line_a_minute(night, caplog):
    """With what failed since the last one; none in which nothing failed."""
    for _ in range(150):
        night.fail(2)
        night.pass_time(1)
    night.pass_time(600)

    assert [
        "a at a.example:443 fails: connection refused, 2 calls in under 1 s, served by b",
        "a at a.example:443 still fails: connection refused, 120 calls in 59 s, served by b",
        "a at a.example:443 still fails: connection refused, 120 calls in 59 s, served by b",
    ] == [each.replace("4 calls in 1 s", "2 calls in under 1 s") for each in caplog.messages[:3]]
    assert len(caplog.messages) <= 4


def test_a_failure_among_calls_that_are_served_is_no_line(night, caplog):
    """Metrics count it."""
    for _ in range(20):
        night.fail(2)
        night.serve()
        night.pass_time(1)
    night.pass_time(20)

    assert ([], []) == (caplog.messages, night.due)


def test_a_failure_after_which_nothing_is_served_is_a_line(night, caplog):
    """In a pod with few calls one must do."""
    night.emit(CandidateFailed(a_call(), A, FailureClass.BUSY, REFUSED))
    night.pass_time(9)
    early = list(caplog.messages)
    night.pass_time(2)

    assert [] == early
    assert [
        "a at a.example:443 fails: connection refused, 1 call, not served elsewhere"
    ] == caplog.messages


def test_what_a_person_must_mend_is_an_error_at_once(night, caplog):
    """With status, code, both request ids, and what to do."""
    night.fail(1, BAD_KEY)
    night.pass_time(1)
    (record,) = caplog.records

    assert "ERROR" == record.levelname
    assert "credential refused (401 invalid_api_key): put a key" in record.getMessage()
    assert {"status": 401, "code": "invalid_api_key", "provider_request_id": "req_1"}.items() <= (
        record.fields.items()
    )
    assert a_call().request_id == record.fields["request_id"]


def test_what_comes_and_goes_is_told_less_and_less_often(night, caplog):
    """Each time it must serve twice as long."""
    for _ in range(600):
        night.fail(3)
        night.pass_time(1)
        night.serve()
        night.pass_time(11)

    ends = [each for each in caplog.messages if "serves again" in each]
    assert len(ends) <= 3
    assert len(caplog.messages) < 150


def test_what_serves_in_between_is_not_told_as_down(night, caplog):
    """An operator must see that half of the calls are served there."""
    for _ in range(65):
        night.fail(3)
        night.pass_time(1)
        night.serve()
        night.pass_time(1)

    assert "fails" in caplog.messages[0]
    assert [
        (
            "a at a.example:443 comes and goes: connection refused, 90 calls in 58 s, served by b",
            "provider_still_fails",
        )
    ] * 2 == [(each.getMessage(), each.event) for each in caplog.records[1:]]


def test_a_call_that_was_sent_before_the_failure_is_no_sign_of_recovery(night, caplog):
    """It may have been served before the provider went."""
    night.fail(3)
    night.pass_time(2)
    night.serve(sent_s=999.0)
    night.pass_time(30)

    assert 1 == len(caplog.messages)


def test_the_router_model_and_its_breaker_have_lines_too(night, caplog):
    """A question that was not asked, since others were under way, says nothing."""
    for _ in range(3):
        night.ask_router(RouterOutcome.HTTP_ERROR, "connection refused")
    night.pass_time(1)
    night.ask_router(RouterOutcome.BUSY)
    for _ in range(100):
        night.ask_router(RouterOutcome.BREAKER_OPEN)
        night.pass_time(1)
    night.ask_router(RouterOutcome.MATCHED)
    night.pass_time(10)

    assert [
        "the router model fails: connection refused, 3 calls in under 1 s; calls are served without it",
        "the router model's breaker opened: calls go to the requested or default model",
        (
            "the router model still fails: connection refused, 60 calls in 58 s; "
            "calls are served without it"
        ),
        "the router model answers again after 2 min, 103 calls failed",
        "the router model's breaker closed",
    ] == [each.replace("in 59 s", "in 58 s") for each in caplog.messages]


def test_a_breaker_that_opens_and_closes_has_two_lines_however_often_it_does(night, caplog):
    """A router model that comes and goes every two seconds is one failure."""
    for _ in range(30):
        for _ in range(5):
            night.ask_router(RouterOutcome.BREAKER_OPEN)
        night.pass_time(2)
        night.ask_router(RouterOutcome.MATCHED)
        night.pass_time(2)
    night.pass_time(10)

    events = [each.event for each in caplog.records]
    assert (1, 1) == (events.count("router_breaker_opened"), events.count("router_breaker_closed"))
    assert len(events) <= 6


def test_a_router_model_that_only_says_what_cannot_be_read_fails(night, caplog):
    """A page of a proxy in its place routes no call."""
    for _ in range(9):
        night.ask_router(RouterOutcome.UNREADABLE)
    night.pass_time(1)

    assert [
        (
            "the router model fails: its replies cannot be read, 9 calls in under 1 s; "
            "calls are served without it"
        )
    ] == caplog.messages


def test_a_router_model_that_answers_is_no_line(night, caplog):
    """Whatever it says."""
    night.ask_router(RouterOutcome.MATCHED)
    night.ask_router(RouterOutcome.UNREADABLE)
    night.ask_router(RouterOutcome.TIMEOUT)
    night.ask_router(RouterOutcome.OTHER)
    night.pass_time(30)

    assert [] == caplog.messages


def test_a_step_away_from_an_entry_that_is_not_said_to_fail_is_no_line(night, caplog):
    """A refusal of one call goes on too."""
    night.emit(CandidateServed(B, night.now_s, (A.provider,)))
    night.pass_time(30)

    assert [] == caplog.messages


async def test_without_another_timer_the_event_loop_looks_again(caplog):
    """It is asked for one second."""
    calls = []
    loop = asyncio.get_running_loop()
    emit = Observers([EdgeLog(loop.time)]).emit
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "call_later", lambda *call: calls.append(call))
        emit(CandidateFailed(a_call(), A, FailureClass.BUSY, REFUSED))

    assert [1.0] == [delay_s for delay_s, _ in calls]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (180, "3 min"), (9000, "2.5 h")]
)
def test_durations_are_told_as_a_person_says_them(seconds, words):
    """The fields have the exact number."""
    assert words == in_words(seconds)

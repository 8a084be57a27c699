"""Lines about responses that break off."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import Any

import pytest

from sidecar.domain.decision import Candidate
from sidecar.domain.events import ResponseBrokeOff
from sidecar.domain.observers import Observers
from sidecar.telemetry.break_log import BreakLog
from sidecar.telemetry.log_events import LOG_EVENTS
from tests.support.values import a_call

A, B = (Candidate(name, f"{name}/m", "m", f"{name}/*", frozenset()) for name in ("a", "b"))


class _Night:
    """A log over a clock that the test moves; the log's looks come in their time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.due: list[Any] = []
        log = BreakLog(lambda: self.now_s, lambda delay_s, look: self.due.append((delay_s, look)))
        self.emit = Observers([log]).emit

    def break_off(self, calls=1, candidate=A):
        for _ in range(calls):
            self.emit(ResponseBrokeOff(a_call(), candidate))

    def pass_time(self, seconds):
        for _ in range(seconds):
            self.now_s += 1.0
            due, self.due = self.due, []
            for delay_s, look in due:
                assert 1.0 == delay_s
                look()


@pytest.fixture
def night(caplog):
    caplog.set_level(logging.INFO, "sidecar.edges")
    return _Night()


def _lines(caplog):
    return [(each.levelname, each.getMessage()) for each in caplog.records]


def test_responses_that_break_off_have_one_line_and_one_when_they_are_whole_again(night, caplog):
    """With the entry, its address, and how many; the last request's id is among the fields."""
    night.break_off(2)
    night.pass_time(2)
    night.break_off(2)
    night.pass_time(20)

    assert [
        (
            "WARNING",
            "responses of a break off before their end: 4 in 2 s, which apps got a part of",
        ),
        ("INFO", "responses of a are whole again: 4 broke off in 2 s"),
    ] == _lines(caplog)
    assert ["responses_break_off", "responses_are_whole_again"] == [
        each.event for each in caplog.records
    ]
    assert a_call().request_id == caplog.records[0].fields["request_id"]


def test_one_or_two_are_no_line(night, caplog):
    """A connection is lost now and then."""
    for _ in range(4):
        night.break_off(2)
        night.pass_time(11)

    assert [] == _lines(caplog)


def test_while_it_lasts_there_is_one_line_a_minute(night, caplog):
    """With what came since the line before; and none of an entry whose responses are whole."""
    for _ in range(70):
        night.break_off()
        night.pass_time(1)
    night.break_off(2, candidate=B)
    night.pass_time(12)

    assert [
        "responses of a break off before their end: 3 in 2 s, which apps got a part of",
        "responses of a still break off before their end: 60 in 59 s, which apps got a part of",
        "responses of a are whole again: 70 broke off in 69 s",
    ] == [text for _, text in _lines(caplog)]


def test_fields_are_those_of_the_reference(night, caplog):
    """What reads the log relies on them."""
    for _ in range(70):
        night.break_off()
        night.pass_time(1)
    night.pass_time(12)
    known = {each.name: set(each.fields) for each in LOG_EVENTS}

    for record in caplog.records:
        assert known[record.event] == set(record.fields)


async def test_without_another_timer_the_event_loop_looks_again(caplog):
    """It is asked for one second."""
    calls = []
    loop = asyncio.get_running_loop()
    emit = Observers([BreakLog(loop.time)]).emit
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "call_later", lambda *call: calls.append(call))
        emit(ResponseBrokeOff(a_call(), A))

    assert [1.0] == [delay_s for delay_s, _ in calls]


def test_no_call_is_held_by_what_is_known_of_broken_responses(night):
    """Nor its body, which may be of 32 MiB, for as long as an incident lasts."""
    call = a_call()
    night.emit(ResponseBrokeOff(call, A))
    held = weakref.ref(call)
    del call

    assert held() is None

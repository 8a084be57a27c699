"""Of which calls records are made, and who gets them."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.domain.call import CHAT
from sidecar.domain.decision import Binding, Decision, Source
from sidecar.domain.events import CallEnded, RequestRefused
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry import call_recorder
from sidecar.telemetry.access_log import AccessLogWriter
from sidecar.telemetry.call_feed import CallFeed, CallFilter
from sidecar.telemetry.call_recorder import CallRecorder
from sidecar.telemetry.cost_metrics import Pricing
from sidecar.telemetry.named_lines import WAITING_AT_MOST, NamedLines
from tests.support.values import FakeClock
from tests.telemetry.calls import FIRST, PIN, ended, failed_at, refused, served_by

SESSION = Session("acme", "s-1", None, "gpt-4o", "k")
OF_SESSION = Decision(Source.PINNED, (FIRST,), session=SESSION, binding=PIN)


class _Room:
    """A recorder, what it wrote, and what it does later."""

    def __init__(self, mode: str = "errors", roll: float = 0.5, sample: float = 0.01) -> None:
        self.lines: list[bytes] = []
        self.later: list[Callable[[], None]] = []
        self.log, self.feed = AccessLogWriter(), CallFeed()
        self.log.configure(mode, sample)
        self.log.write_to(self.lines.append)
        self.named_lines = NamedLines(self.log, self._call_later)
        self.recorder = CallRecorder(
            FakeClock(), Pricing(), self.feed, self.named_lines, self.log, lambda: roll
        )
        self.emit = Observers([self.recorder]).emit

    def _call_later(self, delay_s: float, work: Callable[[], None]) -> object:
        self.later.append(work)
        return None

    def written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


BAD = refused("upstream_timeout", 504, CallOutcome.UPSTREAM_ERROR, attempts=(failed_at(FIRST),))


@pytest.mark.parametrize(
    ("mode", "roll", "event", "expected"),
    [
        ("all", 0.999, ended(), 1),
        ("errors", 0.02, ended(), 0),
        ("errors", 0.009, ended(), 1),
        ("errors", 0.999, BAD, 1),
        ("errors", 0.999, RequestRefused(CHAT, 404, "path_not_found"), 1),
        ("off", 0.0, ended(), 0),
        ("off", 0.0, BAD, 0),
        ("off", 0.0, RequestRefused(CHAT, 404, "path_not_found"), 0),
    ],
)
def test_a_calls_line_is_written_by_mode_and_sample(mode, roll, event, expected):
    """All, or those that did not end well and a share of the rest, or none."""
    room = _Room(mode, roll)
    room.emit(event)

    assert expected == len(room.lines)


def test_no_record_is_made_of_a_call_that_nobody_wants(monkeypatch):
    """It costs a few comparisons."""
    room = _Room()
    room.emit(ended())
    monkeypatch.setattr(call_recorder, "record_of", None)
    room.emit(ended())

    assert ([], 1) == (room.lines, len(room.feed.recent()))


def test_a_reader_has_all_calls():
    """Whatever the log has."""
    room = _Room("off")
    reader = room.feed.subscribe(CallFilter())
    assert reader is not None
    for _ in range(3):
        room.emit(ended())

    assert 3 == reader.waiting


def test_a_record_knows_what_the_call_cost():
    """By the entry's own price: 1000 tokens in, 500 out."""
    room = _Room("all")
    room.emit(ended())

    assert pytest.approx(0.006) == room.written()[0]["cost_usd"]


@pytest.mark.parametrize("mode", ["off", "errors", "all"])
def test_a_named_call_is_written_with_all_of_its_facts(mode):
    """Whatever the mode, once, and when its pin has been updated."""
    room = _Room(mode)
    room.named_lines.pin_of = lambda session: Binding("a/b", None, generation=3, provider="a")
    room.recorder.named.name_session("s-1")
    attempts = failed_at(FIRST), served_by(FIRST)
    room.emit(ended(decision=OF_SESSION, attempts=attempts, call={"session_id": "s-1"}))
    assert [] == room.lines
    for work in room.later:
        work()

    (line,) = room.written()
    debug = line["debug"]
    assert ("connection refused", None) == tuple(each["cause"] for each in debug["attempts"])
    assert (("openai/gpt-4o", 2), ("a/b", 3)) == (
        (debug["pin_before"]["model"], debug["pin_before"]["generation"]),
        (debug["pin_after"]["model"], debug["pin_after"]["generation"]),
    )


def test_other_calls_are_written_as_before():
    """Naming one turns nothing else up."""
    room = _Room("off")
    room.recorder.named.name_request("r-other")
    room.emit(ended())
    room.emit(RequestRefused(CHAT, 404, "path_not_found", "r1"))

    assert ([], []) == (room.lines, room.later)


def test_a_named_request_that_became_no_call_is_written():
    """There is no more to tell than its line."""
    room = _Room("off")
    room.recorder.named.name_request("r1")
    room.emit(RequestRefused(CHAT, 404, "path_not_found", "r1"))

    assert [("r1", [])] == [
        (line["request_id"], line["debug"]["attempts"]) for line in room.written()
    ]


def test_lines_that_wait_are_written_at_the_end():
    """Each once, also those of a call without a session, whose pin is unknown."""
    room = _Room()
    room.recorder.named.name_request("req-1")
    made = Decision(Source.ROUTED, (FIRST,), session=SESSION, binding=PIN, is_claimed=True)
    room.emit(ended(decision=made))
    room.emit(ended(decision=None))
    room.named_lines.flush()
    for work in room.later:
        work()

    assert [None, None] == [line["debug"]["pin_before"] for line in room.written()]


def test_so_many_lines_wait_at_most():
    """The next ones are written at once."""
    room = _Room()
    room.recorder.named.name_request("req-1")
    for _ in range(WAITING_AT_MOST + 2):
        room.emit(ended())

    assert (2, WAITING_AT_MOST) == (len(room.lines), len(room.later))


async def test_the_loop_does_it_later():
    """Without one that is given."""
    room = _Room()
    lines = NamedLines(room.log)
    recorder = CallRecorder(FakeClock(), Pricing(), room.feed, lines, room.log)
    recorder.named.name_request("req-1")
    Observers([recorder]).emit(ended())
    lines.flush()

    assert 1 == len(room.lines)
    assert isinstance(ended(), CallEnded)


def test_a_line_that_waits_holds_no_call():
    """Nor its body, which may be of 32 MiB."""
    room = _Room()
    room.recorder.named.name_request("req-1")
    event = ended()
    held = weakref.ref(event.call)
    room.emit(event)
    del event

    assert (1, None) == (len(room.later), held())

"""Spans are made when a call has ended, from what was heard of it."""

from __future__ import annotations

from typing import Any

from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.events import AttemptEnded, CallEnded, PinRead, RouterAsked
from sidecar.domain.ids import TraceContext
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, RouterOutcome
from sidecar.telemetry.span_facts import CalledServer, Span
from sidecar.telemetry.spans import ROUTER, SpanMaker
from tests.support.values import FakeClock, a_call

SAMPLED = TraceContext("a" * 32, "b" * 16, 1, received=True, span_id="c" * 16)
UNSAMPLED = TraceContext("a" * 32, "b" * 16, 0, received=True, span_id="d" * 16)
GPT = Candidate("east", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
MINI = Candidate("west", "openai/mini", "mini", "openai/mini", frozenset())
SERVED = Served(Usage(3, 4), "gpt-4o-2024")


class _Room:
    """A maker with a clock, and what it made."""

    def __init__(self) -> None:
        self.clock = FakeClock(1010.0)
        self.made: list[tuple[TraceContext, list[Span]]] = []
        servers = {ROUTER: CalledServer("router", 1, "R"), "east": CalledServer("east.example", 2)}
        maker = SpanMaker(
            self.clock, lambda trace, spans: self.made.append((trace, spans)), servers.get
        )
        self.maker = maker
        self.emit = Observers([maker]).emit

    def attempt(
        self, call: Any, number: int, outcome: AttemptOutcome = AttemptOutcome.OK, who: Any = GPT
    ) -> None:
        self.emit(AttemptEnded(call, Attempt(who, outcome, 200, 0.1, 0.5, 1001.0, number)))

    def end(self, call: Any, candidate: Any = GPT, decision: Any = None) -> None:
        outcome = Outcome(CallOutcome.OK, 200, Timing(2.0, 0.5), served=SERVED, candidate=candidate)
        self.emit(CallEnded(call, decision, outcome))

    def names(self) -> list[str]:
        ((_, spans),) = self.made
        return [span.name for span in spans]


def test_a_calls_spans_are_made_when_it_has_ended():
    """Its own first; all by the clock of the day."""
    room, call = _Room(), a_call(trace=SAMPLED)
    room.emit(PinRead(call, 1000.0, 0.25, True))
    room.emit(RouterAsked(RouterOutcome.MATCHED, 0.2, call=call, began_s=1000.25))
    room.attempt(call, 1, AttemptOutcome.SERVER_ERROR)
    room.attempt(call, 2, who=MINI)
    assert [] == room.made
    room.end(call, MINI, Decision(Source.ROUTED, (GPT, MINI)))
    ((trace, spans),) = room.made

    assert SAMPLED is trace
    assert [
        "POST /v1/chat/completions",
        "route",
        "affinity get",
        "router R",
        "chat gpt-4o",
        "chat mini",
    ] == room.names()
    day_s = 1_700_000_000.0
    assert [
        (day_s + 1000.0, day_s + 1002.0),
        (day_s + 1000.0, day_s + 1000.5),
        (day_s + 1000.0, day_s + 1000.25),
        (day_s + 1000.25, day_s + 1010.0),
        (day_s + 1001.0, day_s + 1001.5),
        (day_s + 1001.0, day_s + 1001.5),
    ] == [span.times for span in spans]
    assert ["east.example", None] == [span.attributes.get("server.address") for span in spans[4:]]


def test_what_a_response_said_of_itself_stands_at_the_attempt_that_brought_it():
    """Not at one that failed, nor twice in a trace."""
    room, call = _Room(), a_call(trace=SAMPLED)
    room.attempt(call, 1, AttemptOutcome.SERVER_ERROR)
    room.attempt(call, 2, who=MINI)
    room.end(call, MINI)
    ((_, spans),) = room.made

    assert [None, None, "gpt-4o-2024"] == [
        span.attributes.get("gen_ai.response.model") for span in spans
    ]


def test_a_response_that_no_attempt_brought_says_nothing():
    """Whatever the reason."""
    room, call = _Room(), a_call(trace=SAMPLED)
    room.attempt(call, 1, who=MINI)
    room.end(call, GPT)
    ((_, spans),) = room.made

    assert {None} == {span.attributes.get("gen_ai.response.model") for span in spans}


def test_a_lost_sending_is_counted_at_the_attempt_that_follows():
    """It had the same id."""
    room, call = _Room(), a_call(trace=SAMPLED)
    room.attempt(call, 0, AttemptOutcome.CONNECT_FAILED)
    room.attempt(call, 1)
    room.attempt(call, 2)
    room.end(call)
    ((_, spans),) = room.made

    assert [1, None] == [span.attributes.get("http.request.resend_count") for span in spans[1:]]


def test_an_unsampled_call_is_not_kept_and_has_no_span():
    """Whatever is heard of it."""
    room, call = _Room(), a_call(trace=UNSAMPLED)
    room.emit(PinRead(call, 1000.0, 0.25, False))
    room.emit(RouterAsked(RouterOutcome.MATCHED, 0.2, call=call))
    room.attempt(call, 1)
    room.end(call)

    assert ([], {}) == (room.made, room.maker._heard)


def test_a_call_that_did_not_wait_for_the_router_model_has_no_question():
    """Nothing was sent for it; an event without its call is nobody's."""
    room, call = _Room(), a_call(trace=SAMPLED)
    room.emit(RouterAsked(RouterOutcome.BREAKER_OPEN, 0.0, call=call))
    room.emit(RouterAsked(RouterOutcome.MATCHED, 0.2))
    room.end(call)

    assert ["POST /v1/chat/completions"] == room.names()


def test_what_is_heard_of_calls_that_never_end_is_bounded():
    """A question that outlives its call, or is asked for no call at all; and attempts of one."""
    room = _Room()
    for number in range(5000):
        trace = TraceContext("a" * 32, "b" * 16, 1, span_id=f"{number + 1:016x}")
        room.emit(PinRead(a_call(trace=trace), 1000.0, 0.25, False))
    call = a_call(trace=SAMPLED)
    for number in range(200):
        room.attempt(call, number + 1)
    room.end(call)

    assert 4095 == len(room.maker._heard)
    assert 65 == len(room.names())


def test_nothing_of_a_call_is_kept_when_it_has_ended():
    """The next call of the same trace begins with nothing."""
    room = _Room()
    for _ in range(2):
        call = a_call(trace=SAMPLED)
        room.attempt(call, 1)
        room.end(call)

    assert [2, 2] == [len(spans) for _, spans in room.made]
    assert {} == room.maker._heard

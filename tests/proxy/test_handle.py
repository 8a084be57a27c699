"""The life of a call: the order of the rooms, what the pin updater hears, and one outcome for every
end.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.domain.call import CHAT, BodyFacts, Endpoint, Operation
from sidecar.domain.decision import Candidate, Decision, Plan, Source
from sidecar.domain.errors import ConnectFailed, ModelNotFound, Overloaded, UpstreamCut
from sidecar.domain.outcome import Attempt, Outcome
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass
from sidecar.upstream.attempts import Dispatched, FailedAttempt
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.proxy.fakes import FakeDown, FakeReply, FakeRooms, a_candidate
from tests.support.values import a_call

FIRST, SECOND = a_candidate("openai/gpt-4o"), a_candidate("anthropic/claude")
DECISION = Decision(
    Source.ROUTED,
    (FIRST, SECOND),
    "code",
    router_s=0.03,
    affinity_s=0.02,
    metric_route="code",
    requested=(SECOND,),
)
USAGE = b'{"model":"gpt-4o-2024","usage":{"prompt_tokens":3,"completion_tokens":5}}'
FAILED: tuple[Any, ...] = ("a failed attempt",)


def dispatched(reply: FakeReply, **changes: Any) -> Dispatched:
    facts: dict[str, Any] = {"attempts": 1, "sent_s": 1000.1, "head_s": 1000.2}
    facts["is_error"] = reply.status >= 400
    return Dispatched(reply, changes.pop("candidate", FIRST), **{**facts, **changes})


async def handle(rooms: FakeRooms, **changes: Any) -> tuple[Outcome, FakeDown]:
    down = FakeDown()
    return await rooms.proxy().handle(a_call(**changes), down), down


async def handle_failing(
    rooms: FakeRooms, error: type[BaseException], *, is_open: bool = True
) -> Outcome:
    """The one outcome that is reported for a call which raises ``error``."""
    with pytest.raises(error):
        await rooms.proxy().handle(a_call(), FakeDown(is_open=is_open))
    ((_, outcome),) = rooms.ended
    return outcome


@pytest.mark.parametrize("is_at_hand", [True, False])
async def test_a_call_is_decided_dispatched_and_relayed_in_this_order(is_at_hand):
    """A decision that is at hand is not waited for."""
    rooms = FakeRooms(DECISION, dispatched(FakeReply(whole=b"{}")), is_at_hand=is_at_hand)

    outcome, down = await handle(rooms)

    decide = "decide_nowait" if is_at_hand else "decide"
    assert [decide, "dispatch", "observe"] == rooms.steps
    assert (200, b"{}", "whole") == (down.status, down.body, down.end)
    assert [(DECISION, outcome)] == rooms.ended
    assert [DECISION] == [decision for decision, _ in rooms.decided]


@pytest.mark.parametrize("is_stream", [True, False])
async def test_the_body_is_let_go_when_the_response_has_begun(is_stream):
    """Its memory is free for other calls while the answer streams: no other attempt needs it."""
    given_back: list[int] = []
    reply = FakeReply(b"data: 1\n\n") if is_stream else FakeReply(whole=b"{}")
    rooms = FakeRooms(DECISION, dispatched(reply))
    rooms.on_observe = lambda: given_back.append(-1)
    call = a_call(body=b"12345", give_back=given_back.append)
    await rooms.proxy().handle(call, FakeDown())

    assert ([5, -1], b"") == (given_back, call.body)


async def test_the_app_reads_the_providers_headers_and_the_sidecars_own():
    """Ours come last."""
    _, down = await handle(FakeRooms(DECISION, dispatched(FakeReply(whole=b"{}"), attempts=2)))

    text = b"".join(down.lines).decode()
    assert text.startswith("Content-Type: application/json\r\nx-plano-model: openai/gpt-4o\r\n")
    assert (
        "\r\nx-plano-attempts: 2\r\nserver-timing: affinity;dur=20.000, routing;dur=100.000" in text
    )


async def test_the_app_is_told_what_was_left_out_of_its_request():
    """A line of its own."""
    _, down = await handle(FakeRooms(DECISION, dispatched(FakeReply(whole=b"{}"), lost="thinking")))

    assert b"\r\nx-plano-lost: thinking\r\n" in b"".join(down.lines)


async def test_the_outcome_says_where_the_time_went_and_what_the_response_said():
    """Routing until the decision; upstream from the attempt to its head; the first byte's time."""
    outcome, _ = await handle(FakeRooms(DECISION, dispatched(FakeReply(whole=USAGE))))

    timing, served = outcome.timing, outcome.served
    assert (CallOutcome.OK, 200, FIRST, len(USAGE)) == (
        outcome.result,
        outcome.status,
        outcome.candidate,
        outcome.bytes_out,
    )
    assert [0.1, 0.02, 0.03, 0.1, 0.2] == [
        pytest.approx(each)
        for each in (
            timing.routing_s,
            timing.affinity_s,
            timing.router_s,
            timing.upstream_s,
            timing.first_byte_s,
        )
    ]
    assert served is not None
    assert served.served_model == "gpt-4o-2024"


@pytest.mark.parametrize(
    ("status", "attempts", "expected"),
    [(503, 1, False), (503, 2, True), (400, 2, True), (200, 2, False)],
)
async def test_an_error_after_several_attempts_says_that_no_retry_helps(status, attempts, expected):
    """The SDK's own would multiply the sidecar's. Several sendings of one attempt, on connections
    that were dead, are none.
    """
    reply = FakeReply(whole=b"{}", status=status)
    failure = Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY)
    failed = (FailedAttempt(FIRST, failure),) * attempts

    _, down = await handle(FakeRooms(DECISION, dispatched(reply, attempts=2, failed=failed)))

    assert expected == (b"x-should-retry: false" in b"".join(down.lines))


async def test_with_several_attempts_all_of_them_are_time_of_the_providers():
    """Upstream time begins with the decision then, not with the attempt that served."""
    rooms = FakeRooms(
        DECISION, dispatched(FakeReply(whole=b"{}"), attempts=2, sent_s=1005.0, head_s=1006.1)
    )

    outcome, _ = await handle(rooms)

    assert pytest.approx(6.0) == outcome.timing.upstream_s


async def test_attempts_behind_the_error_that_is_shown_are_no_overhead():
    """The app reads the first error that a retry could cure; it has waited for the others too."""
    failure = Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY)
    failed = (FailedAttempt(FIRST, failure), FailedAttempt(SECOND, failure))
    reply = FakeReply(whole=b"{}", status=429)
    shown = dispatched(reply, attempts=2, failed=failed, head_s=1000.11)

    outcome, _ = await handle(FakeRooms(DECISION, shown))

    timing = outcome.timing
    assert timing.first_byte_s is not None
    assert pytest.approx(timing.first_byte_s - timing.routing_s) == timing.upstream_s


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, CallOutcome.OK),
        (399, CallOutcome.OK),
        (400, CallOutcome.CLIENT_ERROR),
        (429, CallOutcome.UPSTREAM_ERROR),
        (499, CallOutcome.CLIENT_ERROR),
        (500, CallOutcome.UPSTREAM_ERROR),
    ],
)
async def test_a_providers_error_is_the_callers_fault_below_500_but_for_429(status, expected):
    """It passes through as any response does; only its outcome tells."""
    outcome, down = await handle(
        FakeRooms(DECISION, dispatched(FakeReply(whole=b"{}", status=status)))
    )

    assert (expected, status, status) == (outcome.result, outcome.status, down.status)


@pytest.mark.parametrize(
    ("status", "candidate", "returns_home", "expected"),
    [
        (200, FIRST, False, []),
        (200, SECOND, False, [("served", (SECOND, FAILED))]),
        (200, FIRST, True, [("served", (FIRST, FAILED))]),
        (503, FIRST, False, [("unserved", (FAILED,))]),
        (503, SECOND, True, [("unserved", (FAILED,))]),
    ],
)
async def test_the_pin_updater_hears_what_another_model_than_the_first_did(
    status, candidate, returns_home, expected
):
    """And nothing where the session's own model served, which is what happens all day."""
    decision = Decision(Source.PINNED, (FIRST, SECOND), returns_home=returns_home)
    reply = FakeReply(whole=b"{}", status=status)
    rooms = FakeRooms(decision, dispatched(reply, candidate=candidate, failed=FAILED))

    await handle(rooms)

    assert expected == rooms.pins


@pytest.mark.parametrize(
    ("holds_state", "expected"),
    [
        (False, Plan((FIRST, SECOND), 3, (SECOND,))),
        (True, Plan((FIRST,), 1, (FIRST,), asked=SECOND.model_name)),
    ],
)
async def test_a_call_that_refers_to_state_of_a_provider_goes_nowhere_else(holds_state, expected):
    """Another provider would not know what it refers to. What it is refused there is its own fault."""
    rooms = FakeRooms(DECISION, dispatched(FakeReply(whole=b"{}")))

    await handle(rooms, facts=BodyFacts(holds_provider_state=holds_state))

    assert [expected] == rooms.plans


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_key_of_ours_is_no_fault_of_the_app(status):
    """Whichever status its provider has for it; another candidate's refused key is not this one's."""
    refused = Failure(FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY)
    wrong = Failure(FailureClass.CALLERS_FAULT, False, Penalty.NONE, PinEffect.UNTOUCHED)
    results = []
    for attempts in (
        [FailedAttempt(SECOND, wrong), FailedAttempt(FIRST, refused)],
        [FailedAttempt(SECOND, refused), FailedAttempt(FIRST, wrong)],
    ):
        reply = FakeReply(whole=b"{}", status=status)
        rooms = FakeRooms(DECISION, dispatched(reply, failed=tuple(attempts)))
        results.append((await handle(rooms))[0].result)

    assert [CallOutcome.UPSTREAM_ERROR, CallOutcome.CLIENT_ERROR] == results


async def test_a_stream_is_relayed_as_it_comes_and_finished():
    """Its usage is read from its events on the way."""
    event = b'data: {"model":"m","choices":[],"usage":{"prompt_tokens":1}}\n\n'
    reply = FakeReply(event, b"data: [DONE]\n\n")

    outcome, down = await handle(FakeRooms(DECISION, dispatched(reply)))

    assert (event + b"data: [DONE]\n\n", "finished") == (down.body, down.end)
    assert outcome.served is not None
    assert outcome.served.served_model == "m"


async def test_a_stream_that_breaks_is_an_outcome_and_no_error():
    """The app has its head already: the relay ends it, nothing is raised."""
    reply = FakeReply(b"data: {}\n\n", UpstreamCut("gone"))
    rooms = FakeRooms(DECISION, dispatched(reply))

    outcome, down = await handle(rooms)

    assert (CallOutcome.INCOMPLETE, "stream_incomplete", "broken") == (
        outcome.result,
        outcome.error_code,
        down.end,
    )
    assert [CallOutcome.INCOMPLETE] == rooms.observed
    assert [FIRST] == [each.candidate for each in rooms.broken]


async def test_a_stream_that_ends_with_its_providers_error_did_not_break_off():
    """That failure has a report of its own."""
    error = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    rooms = FakeRooms(DECISION, dispatched(FakeReply(b"data: {}\n\n", error)))

    outcome, _ = await handle(rooms)

    assert (CallOutcome.INCOMPLETE, []) == (outcome.result, rooms.broken)


async def test_an_error_event_in_a_stream_is_the_pins_business_too():
    """With what was dispatched, and what the provider said."""
    error = b'{"error":{"message":"boom","code":503}}'
    reply = FakeReply(
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', b"data: " + error + b"\n\n"
    )
    sent = dispatched(reply)
    rooms = FakeRooms(DECISION, sent)

    outcome, _ = await handle(rooms)

    assert (CallOutcome.INCOMPLETE, [("broke_off", (sent, error))]) == (
        outcome.result,
        rooms.pins,
    )


async def test_a_reply_to_head_is_not_waited_for():
    """It announces a length that never comes."""
    rooms = FakeRooms(DECISION, dispatched(FakeReply(whole=b"never read")))

    _, down = await handle(rooms, method="HEAD")

    assert (b"", "finished") == (down.body, down.end)


async def test_a_passthrough_response_is_not_read():
    """Its bytes are not ours to understand: no usage, no error event. Of its headers, places are
    made the sidecar's own.
    """
    endpoint = Endpoint("/v1/files", CHAT, Operation.PASSTHROUGH)
    rooms = FakeRooms(DECISION, dispatched(FakeReply(whole=USAGE)))

    outcome, down = await handle(rooms, endpoint=endpoint)

    assert (None, USAGE) == (outcome.served, down.body)
    assert b"x-local: 1\r\n" == down.lines[0]
    assert b"\r\nx-plano-lost: location\r\n" in b"".join(down.lines)


@pytest.mark.parametrize(
    ("error", "result", "status", "code"),
    [
        (ModelNotFound("x"), CallOutcome.CLIENT_ERROR, 404, "model_not_found"),
        (Overloaded("x"), CallOutcome.SIDECAR_ERROR, 503, "overloaded"),
        (KeyError("bug"), CallOutcome.SIDECAR_ERROR, 500, "internal"),
    ],
)
async def test_a_call_that_cannot_be_decided_ends_with_its_error(error, result, status, code):
    """It is raised for rescue to reply with, and reported once; no pin is touched."""
    rooms = FakeRooms(error)

    outcome = await handle_failing(rooms, type(error))

    assert (result, status, code, None) == (
        outcome.result,
        outcome.status,
        outcome.error_code,
        outcome.candidate,
    )
    assert ([None], []) == ([decision for decision, _ in rooms.ended], rooms.pins)


async def test_a_call_that_no_provider_answers_drops_the_pin_that_it_made():
    """What was waited for after the decision is time of the providers."""
    rooms = FakeRooms(DECISION, ConnectFailed("x"))

    outcome = await handle_failing(rooms, ConnectFailed)

    assert (CallOutcome.UPSTREAM_ERROR, 503) == (outcome.result, outcome.status)
    assert pytest.approx(0.1) == outcome.timing.upstream_s
    assert ["unreached"] == [what for what, _ in rooms.pins]


@pytest.mark.parametrize("error", [KeyError("bug"), Overloaded("x")])
async def test_an_error_that_is_no_providers_fault_moves_no_pin(error):
    """Also after the decision."""
    rooms = FakeRooms(DECISION, error)

    outcome = await handle_failing(rooms, type(error))

    assert ([], 0.0) == (rooms.pins, outcome.timing.upstream_s)


@pytest.mark.parametrize("is_decided", [False, True])
async def test_an_app_that_leaves_before_the_response_is_a_cancelled_call(is_decided):
    """Status 0: it saw none."""
    gone = asyncio.CancelledError()
    rooms = FakeRooms(DECISION, gone) if is_decided else FakeRooms(gone)

    outcome = await handle_failing(rooms, asyncio.CancelledError, is_open=False)

    assert (CallOutcome.CANCELLED, 0, None) == (outcome.result, outcome.status, outcome.candidate)
    assert pytest.approx(0.1 if is_decided else 0.0) == outcome.timing.routing_s


async def test_what_an_app_got_before_it_left_is_counted():
    """The provider bills it."""
    first = b'data: {"model":"m","choices":[]}\n\n'
    rooms = FakeRooms(DECISION, dispatched(FakeReply(first, asyncio.CancelledError())))

    outcome = await handle_failing(rooms, asyncio.CancelledError, is_open=False)

    assert (CallOutcome.CANCELLED, 200, FIRST, len(first)) == (
        outcome.result,
        outcome.status,
        outcome.candidate,
        outcome.bytes_out,
    )
    assert [CallOutcome.CANCELLED] == rooms.observed


@pytest.mark.parametrize("is_decided", [False, True])
async def test_a_call_whose_app_still_waits_is_refused_as_draining_where_it_is_cut_off(is_decided):
    """A drain has run out of time: the app gets a 503, and has not left."""
    cut = asyncio.CancelledError()
    rooms = FakeRooms(DECISION, cut) if is_decided else FakeRooms(cut)

    outcome = await handle_failing(rooms, asyncio.CancelledError)

    assert (CallOutcome.SIDECAR_ERROR, 503, "draining") == (
        outcome.result,
        outcome.status,
        outcome.error_code,
    )


async def test_a_stream_that_a_drain_cuts_off_is_incomplete_and_not_the_providers_fault():
    """What is told of it is what the app was told; the provider has no evidence against it."""
    first = b'data: {"model":"m","choices":[]}\n\n'
    rooms = FakeRooms(DECISION, dispatched(FakeReply(first, asyncio.CancelledError())))

    outcome = await handle_failing(rooms, asyncio.CancelledError)

    assert (CallOutcome.INCOMPLETE, 200, "stream_incomplete", len(first)) == (
        outcome.result,
        outcome.status,
        outcome.error_code,
        outcome.bytes_out,
    )
    assert ([CallOutcome.CANCELLED], []) == (rooms.observed, rooms.broken)


def an_attempt(candidate: Candidate, outcome: AttemptOutcome) -> Attempt:
    return Attempt(candidate, outcome, None, None, 0.1)


async def test_the_outcome_has_all_attempts_in_their_order():
    """The one that served comes last; its headers are kept for who wants to look into them."""
    failed = an_attempt(FIRST, AttemptOutcome.CONNECT_FAILED)
    reply = FakeReply(whole=b"{}")
    rooms = FakeRooms(DECISION, dispatched(reply, candidate=SECOND))
    rooms.tried, rooms.relayed = [failed], an_attempt(SECOND, AttemptOutcome.OK)

    outcome, _ = await handle(rooms)

    assert (failed, rooms.relayed) == outcome.attempts
    assert reply.headers is outcome.reply_headers


async def test_the_outcome_says_what_was_sent_otherwise_than_the_app_wrote_it():
    """And so does the response's head."""
    rooms = FakeRooms(DECISION, dispatched(FakeReply(whole=b"{}"), lost="max_tokens"))

    outcome, down = await handle(rooms)

    assert "max_tokens" == outcome.lost
    assert b"\r\nx-plano-lost: max_tokens\r\n" in b"".join(down.lines)


async def test_a_call_of_a_decision_without_a_requested_model_was_written_for_none():
    """The one that refers to a provider's state, too."""
    decision = Decision(Source.ROUTED, (FIRST,), "code")
    rooms = FakeRooms(decision, dispatched(FakeReply(whole=b"{}")))

    await handle(rooms, facts=BodyFacts(holds_provider_state=True))

    assert [""] == [plan.asked for plan in rooms.plans]


@pytest.mark.parametrize("error", [ConnectFailed("refused"), asyncio.CancelledError()])
async def test_the_outcome_of_a_call_without_a_response_has_its_attempts(error):
    """Refused and cancelled calls tell where they had got to."""
    rooms = FakeRooms(DECISION, error)
    rooms.tried = [an_attempt(FIRST, AttemptOutcome.CONNECT_FAILED)]

    outcome = await handle_failing(rooms, type(error))

    assert (tuple(rooms.tried), ()) == (outcome.attempts, outcome.reply_headers)


@pytest.mark.parametrize("is_at_hand", [True, False])
async def test_a_decision_can_be_had_without_a_call(is_at_hand):
    """Nothing is sent anywhere, and nothing ends."""
    rooms = FakeRooms(DECISION, is_at_hand=is_at_hand)

    assert DECISION is await rooms.proxy().decide(a_call())
    assert ([], 1) == (rooms.ended, len(rooms.decided))


async def test_a_decision_that_nobody_hears_is_not_reported():
    """It is made all the same."""
    rooms = FakeRooms(DECISION)

    assert DECISION is await rooms.proxy(is_observed=False).decide(a_call())
    assert [] == rooms.decided

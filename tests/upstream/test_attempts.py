"""Of a call's failed attempts the app sees the first that it could cure by trying again later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.domain.call import Call
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import ConnectFailed, RequestTimeout, UpstreamCut, UpstreamReset
from sidecar.domain.vocabulary import AttemptOutcome, FailureClass
from sidecar.upstream.attempts import (
    Dispatched,
    FailedAttempt,
    FailureRecord,
    outcome_of_error,
    outcome_of_reply,
)
from sidecar.upstream.failure import Failure, Penalty, PinEffect, with_another_key
from tests.support.values import a_call

A, B, C = (Candidate(name, "openai/m", "m", "openai/m", frozenset()) for name in "abc")
FAILURE = Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY)


class _Reply:
    """A reply of which only the status, its sendings and its end matter here."""

    def __init__(self, status: int, sends: int = 1) -> None:
        self.status = status
        self.sends = sends
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def _dispatched(candidate: Candidate, status: int) -> tuple[Dispatched, _Reply]:
    reply: Any = _Reply(status)
    return Dispatched(reply, candidate, 1, 0.0, 0.5), reply


def _record(*statuses: int) -> tuple[FailureRecord, list[Any]]:
    record, replies = FailureRecord(), []
    for candidate, status in zip((A, B, C), statuses, strict=False):
        dispatched, reply = _dispatched(candidate, status)
        record.add_reply(dispatched, FAILURE)
        replies.append(reply)
    return record, replies


@pytest.mark.parametrize(
    ("statuses", "shown"),
    [
        ((401,), 0),
        ((401, 404), 1),
        ((401, 503, 429), 1),
        ((503, 401, 429), 0),
        ((200, 400), 0),
        ((200, 200, 400), 0),
        ((400, 200, 403), 1),
        ((200, 503, 429), 1),
    ],
)
def test_the_first_curable_error_is_shown_or_else_the_last(statuses, shown):
    """All other replies are closed, so that no provider goes on for nothing."""
    record, replies = _record(*statuses)
    dispatched = record.result()

    assert replies[shown] is dispatched.reply
    assert [each is not replies[shown] for each in replies] == [each.is_aborted for each in replies]


def test_an_error_of_status_200_that_no_retry_cures_is_a_refusal_like_another():
    """The last one is shown."""
    record, refused = (
        FailureRecord(),
        Failure(FailureClass.QUOTA, True, Penalty.EJECT, PinEffect.AWAY),
    )
    for candidate, status in ((A, 200), (B, 400)):
        record.add_reply(_dispatched(candidate, status)[0], refused)

    assert 400 == record.result().reply.status


FAULT = Failure(FailureClass.CALLERS_FAULT, False, Penalty.NONE, PinEffect.UNTOUCHED)


def test_what_another_model_than_the_requested_one_refuses_is_no_fault_of_the_apps():
    """The sidecar has chosen it. What the requested model itself refuses is."""
    record = FailureRecord((B,))
    for candidate in (A, B):
        record.add_reply(_dispatched(candidate, 400)[0], FAULT)
    record.add_reply(_dispatched(C, 503)[0], FAILURE)

    assert [
        (FailureClass.SWAPPED, True),
        (FailureClass.CALLERS_FAULT, False),
        (FailureClass.BUSY, True),
    ] == [(each.failure.failure_class, each.failure.may_try_next) for each in record.failed]


def test_what_is_shown_names_all_failed_attempts():
    """Their number, and each candidate with its failure, in order."""
    record, _ = _record(503, 401)

    assert (2, (FailedAttempt(A, FAILURE), FailedAttempt(B, FAILURE))) == (
        record.result().attempts,
        record.result().failed,
    )


def test_no_reply_at_all_is_raised_with_the_number_of_attempts():
    """The first error counts, since a retry may cure each of them."""
    record, first = FailureRecord(), ConnectFailed("refused")
    record.add_error(A, FAILURE, first)
    record.add_error(B, FAILURE, UpstreamReset("gone"))
    with pytest.raises(ConnectFailed) as caught:
        record.result()

    assert caught.value is first
    assert 2 == first.attempts


def test_an_error_goes_before_a_reply_that_no_retry_cures():
    """And a reply that came before it and is curable goes before the error."""
    record, replies = _record(401)
    record.add_error(B, FAILURE, ConnectFailed("refused"))
    with pytest.raises(ConnectFailed):
        record.result()
    assert replies[0].is_aborted

    record, replies = _record(503)
    record.add_error(B, FAILURE, ConnectFailed("refused"))
    assert replies[0] is record.result().reply


def test_a_reply_after_a_curable_error_is_closed():
    """The error is what the app sees."""
    record = FailureRecord()
    record.add_error(A, FAILURE, ConnectFailed("refused"))
    dispatched, reply = _dispatched(B, 401)
    record.add_reply(dispatched, FAILURE)

    assert reply.is_aborted
    with pytest.raises(ConnectFailed):
        record.result()


def test_a_served_call_closes_what_was_kept():
    """Whatever that was; once more does nothing."""
    record, replies = _record(503)
    record.abort_shown()
    record.abort_shown()

    assert replies[0].is_aborted


@pytest.mark.parametrize(
    ("before", "lost", "expected"),
    [
        ("", "", ""),
        ("", "max_tokens", "max_tokens"),
        ("thinking", "", "thinking"),
        ("thinking", "max_tokens", "thinking, max_tokens"),
    ],
)
def test_the_candidate_that_serves_after_all_tells_what_was_lost(before, lost, expected):
    """By both ways; the error that was kept for the app is closed."""
    record, replies = _record(503)
    record.lost = before
    reply: Any = _Reply(200)
    dispatched = record.served(reply, B, 1.0, 1.5, lost)

    assert replies[0].is_aborted
    assert not reply.is_aborted
    assert (2, B, expected, False) == (
        dispatched.attempts,
        dispatched.candidate,
        dispatched.lost,
        dispatched.is_error,
    )
    assert tuple(record.failed) == dispatched.failed


def test_one_that_serves_after_failures_without_a_reply_closes_nothing():
    """There is nothing to close."""
    record = FailureRecord()
    record.add_error(A, FAILURE, UpstreamReset("x"))
    reply: Any = _Reply(200)

    assert (B, 1) == (record.served(reply, B, 1.0, 1.5, "").candidate, len(record.failed))


@pytest.mark.parametrize(("sends", "expected"), [((1, 1), 2), ((2, 1), 3), ((2, 2), 4)])
def test_each_sending_counts_and_each_attempt_does(sends, expected):
    """A request that was sent again on a new connection is one attempt at one candidate."""
    for is_error in (False, True):
        record = FailureRecord()
        reply: Any = _Reply(503, sends[0])
        record.add_reply(Dispatched(reply, A, 1, 0.0, 0.5), FAILURE)
        error = UpstreamReset("x")
        error.sends = sends[1]
        if is_error:
            record = FailureRecord()
            first = UpstreamReset("y")
            first.sends = sends[0]
            record.add_error(A, FAILURE, first)
            record.add_error(B, FAILURE, error)
            with pytest.raises(UpstreamReset, match="y") as raised:
                record.result()
            assert (expected, 2) == (raised.value.attempts, raised.value.candidates)
        else:
            record.add_error(B, FAILURE, error)
            shown = record.result()
            assert (expected, 2) == (shown.attempts, len(shown.failed))


UNREADABLE = Failure(FailureClass.SIGNED_STATE, True, Penalty.NONE, PinEffect.FOLLOWS)


def _unreadable(*candidates: Candidate) -> FailureRecord:
    record = FailureRecord()
    for candidate in candidates:
        refusal = candidate.provider.encode()
        record.add_reply(_dispatched(candidate, 400)[0], UNREADABLE, refusal)
    return record


async def _itself(call: Call, _refusal: bytes) -> Call:
    return call


async def _nothing(_call: Call, _refusal: bytes) -> None:
    return None


async def test_while_a_candidate_is_left_it_gets_the_call_as_it_is():
    """Nothing is left out for it."""
    record, call = _unreadable(A), a_call()

    assert (call, B) == await record.next_try(call, B, _itself)
    assert record.lost == ""


async def test_where_none_is_left_the_first_that_could_not_read_it_gets_the_call_without_signed_state():
    """As its own refusal says, and once."""
    record, call, less = _unreadable(A, B), a_call(), a_call(body=b"{}")
    seen: list[tuple[Call, bytes]] = []

    async def strip(call: Call, refusal: bytes) -> Call:
        seen.append((call, refusal))
        return less

    assert (less, A) == await record.next_try(call, None, strip)
    assert record.lost == "thinking"
    assert await record.next_try(less, None, strip) is None
    assert [(call, A.provider.encode())] == seen


async def test_nothing_more_is_tried_where_it_would_not_help():
    """Nobody asked for it, nothing can be left out, or the last refusal was of another kind."""
    call = a_call()
    other, policy = FailureRecord(), _unreadable(A)
    other.add_reply(_dispatched(A, 503)[0], FAILURE)
    policy.add_reply(
        _dispatched(B, 400)[0],
        Failure(FailureClass.CONTENT_POLICY, False, Penalty.NONE, PinEffect.UNTOUCHED),
    )

    assert await _unreadable(A).next_try(call, None, None) is None
    assert await _unreadable(A).next_try(call, None, _nothing) is None
    assert await other.next_try(call, None, _itself) is None
    assert await policy.next_try(call, None, _itself) is None


def test_an_entry_is_repeated_once_for_another_key():
    """Each of them: two may be rotated at once."""
    record = FailureRecord()
    renewed = with_another_key(
        Failure(FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY)
    )
    record.add_reply(_dispatched(A, 401)[0], renewed)
    record.add_reply(_dispatched(B, 401)[0], FAILURE)

    assert [False, True, True] == [record.may_repeat(name) for name in "abc"]


@pytest.mark.parametrize(
    ("status", "failure_class", "outcome"),
    [
        (401, FailureClass.OUR_CREDENTIAL, AttemptOutcome.CREDENTIAL_REFUSED),
        (400, FailureClass.OUR_CREDENTIAL, AttemptOutcome.CREDENTIAL_REFUSED),
        (401, FailureClass.CALLERS_CREDENTIAL, AttemptOutcome.CLIENT_ERROR),
        (429, FailureClass.BUSY, AttemptOutcome.RATE_LIMITED),
        (503, FailureClass.BUSY, AttemptOutcome.SERVER_ERROR),
        (404, FailureClass.MODEL_GONE, AttemptOutcome.CLIENT_ERROR),
        (200, FailureClass.BUSY, AttemptOutcome.ERROR_BODY),
    ],
)
def test_an_error_reply_has_an_outcome(status, failure_class, outcome):
    """A refused key of ours is the operator's to mend: it is no error of the app's."""
    assert outcome is outcome_of_reply(status, failure_class)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RequestTimeout("late"), AttemptOutcome.CANCELLED),
        (asyncio.CancelledError(), AttemptOutcome.CANCELLED),
        (UpstreamReset("reset"), AttemptOutcome.CONNECT_FAILED),
        (UpstreamCut("cut"), AttemptOutcome.CUT),
    ],
)
def test_an_attempt_without_a_reply_has_an_outcome(error, outcome):
    """An app that does not finish its upload is one that has left."""
    assert outcome is outcome_of_error(error)

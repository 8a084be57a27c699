"""An attempt at a provider: what is sent, how long it may take, and what is reported of its end."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Sequence
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain import errors
from sidecar.domain.call import CHAT, BodyFacts, Call, Endpoint, Operation
from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.events import AttemptEnded, CandidateFailed, CandidateServed, Listeners
from sidecar.domain.ids import TraceContext, child_span_id
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.response import UpstreamResponse
from sidecar.upstream.attempts import Dispatched
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from sidecar.upstream.latency import FirstByteAverages
from sidecar.upstream.registry import ConnectionPools, ProviderRegistry
from tests.support.providers import a_provider
from tests.support.values import FakeClock, a_call

PLAN = Plan(
    (
        Candidate(
            "openai/gpt-4o", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset(DIALECTS.by_name)
        ),
    ),
    1,
)


class _Reply:
    """A reply of which only the head matters here."""

    def __init__(self, status: int, body: bytes = b"{}", sends: int = 1) -> None:
        self.sends = sends
        self.status, self.headers, self.content_length = status, (), len(body)
        self.body = body
        self.pieces = [body]
        self.is_complete = True
        self.is_aborted = False

    async def begin(self) -> None:
        """Its body is here."""

    def peek(self) -> bytes:
        return self.body

    def read_nowait(self) -> bytes:
        return self.body

    def abort(self) -> None:
        self.is_aborted = True


class _Pool:
    """Answers with a status, or fails, half a second later by the fake clock."""

    origin = Origin("http", "127.0.0.1", 1)

    def __init__(self, clock: FakeClock, end: int | BaseException, sends: int = 1) -> None:
        self._clock = clock
        self._end = end
        self._sends = sends
        self.sent: list[tuple[bytes, bytes, ExchangeTimeouts, str]] = []
        self.reply_body = b"{}"

    async def send(
        self,
        head: bytes,
        body: Sequence[bytes | memoryview],
        timeouts: ExchangeTimeouts,
        method: str,
        rest: object,
    ) -> Any:
        self.sent.append((head, b"".join(body), timeouts, method))
        self._clock.advance(0.5)
        if isinstance(self._end, BaseException):
            raise self._end
        return _Reply(self._end, self.reply_body, self._sends)


class _Ear:
    """Writes down the attempts."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.failed: list[CandidateFailed] = []
        self.served: list[CandidateServed] = []

    def listeners(self) -> Listeners:
        return {
            AttemptEnded: lambda event: self.attempts.append(event.attempt),
            CandidateFailed: self.failed.append,
            CandidateServed: self.served.append,
        }


def _ended(attempt: Attempt) -> tuple[object, ...]:
    """How an attempt ended, without why."""
    return (
        attempt.candidate,
        attempt.outcome,
        attempt.status,
        attempt.first_byte_s,
        attempt.total_s,
        attempt.sent_s,
        attempt.number,
    )


def _dispatcher(
    clock: FakeClock, end: int | BaseException, *observers: Any, sends: int = 1
) -> tuple[Dispatcher, _Pool]:
    pools = ConnectionPools(lambda *_files: ssl.create_default_context())
    registry = ProviderRegistry([a_provider("openai/gpt-4o")], pools, DIALECTS.by_name)
    pool = _Pool(clock, end, sends)
    registry.clients["openai/gpt-4o"].pool = pool  # type: ignore[assignment] # as much of one as is used
    return Dispatcher(registry, clock, Observers(observers), Cooling(), FirstByteAverages()), pool


async def test_the_first_candidate_is_sent_the_call():
    """Head, body, method and timeouts are those of its client; times are the clock's."""
    clock = FakeClock(1000.0)
    dispatcher, pool = _dispatcher(clock, 200)
    dispatched = await dispatcher.dispatch(a_call(), PLAN, [])
    ((head, body, timeouts, method),) = pool.sent

    assert (200, PLAN.candidates[0], 1, 1000.0, 1000.5) == (
        dispatched.reply.status,
        dispatched.candidate,
        dispatched.attempts,
        dispatched.sent_s,
        dispatched.head_s,
    )
    assert (b"POST /v1/chat/completions HTTP/1.1", a_call().body, "POST") == (
        head.split(b"\r\n")[0],
        body,
        method,
    )
    assert ExchangeTimeouts(2, None, 10, None) == timeouts


async def test_the_apps_timeout_counts_from_admission():
    """Of 4 s, 3 were spent before the attempt began."""
    dispatcher, pool = _dispatcher(FakeClock(1003.0), 200)
    await dispatcher.dispatch(
        a_call(client_timeout_s=4.0, facts=BodyFacts(wants_stream=True)), PLAN, []
    )

    assert ExchangeTimeouts(1.0, 1.0, None, 10) == pool.sent[0][2]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.ConnectFailed("x"), AttemptOutcome.CONNECT_FAILED),
        (errors.ConnectTimeout("x"), AttemptOutcome.CONNECT_FAILED),
        (errors.UpstreamReset("x"), AttemptOutcome.CONNECT_FAILED),
        (errors.FirstByteTimeout("x"), AttemptOutcome.TIMEOUT),
        (errors.ResponseTimeout("x"), AttemptOutcome.TIMEOUT),
        (errors.UpstreamMalformed("x"), AttemptOutcome.MALFORMED),
        (errors.UpstreamCut("x"), AttemptOutcome.CUT),
        (asyncio.CancelledError(), AttemptOutcome.CANCELLED),
    ],
)
async def test_a_failed_attempt_is_reported_and_raised(error, outcome):
    """Once, with no status and no first byte, with how long it took, and with what it means; the
    caller has it too, also where the app has left.
    """
    ear, tried = _Ear(), list[Attempt]()
    dispatcher, _ = _dispatcher(FakeClock(), error, ear)
    with pytest.raises(type(error)):
        await dispatcher.dispatch(a_call(), PLAN, tried)

    (attempt,) = ear.attempts
    assert (PLAN.candidates[0], outcome, None, None, 0.5, 1000.0, 1) == _ended(attempt)
    is_cancelled = outcome is AttemptOutcome.CANCELLED
    assert (is_cancelled, is_cancelled) == (attempt.reason is None, attempt.report is None)
    assert [attempt] == tried


@pytest.mark.parametrize(
    ("status", "result", "outcome"),
    [
        (200, CallOutcome.OK, AttemptOutcome.OK),
        (203, CallOutcome.OK, AttemptOutcome.OK),
        (400, CallOutcome.OK, AttemptOutcome.CLIENT_ERROR),
        (429, CallOutcome.OK, AttemptOutcome.RATE_LIMITED),
        (503, CallOutcome.OK, AttemptOutcome.SERVER_ERROR),
        (200, CallOutcome.INCOMPLETE, AttemptOutcome.CUT),
        (200, CallOutcome.CANCELLED, AttemptOutcome.CANCELLED),
    ],
)
async def test_an_answered_attempt_is_reported_when_its_answer_has_ended(status, result, outcome):
    """By its status, unless the way back broke it; first byte and total count from the sending."""
    ear, clock = _Ear(), FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, status, ear)
    dispatched = await dispatcher.dispatch(a_call(), PLAN, [])
    is_error = status >= 400
    assert is_error == bool(ear.attempts)
    dispatcher.observe(a_call(), dispatched, result, 1002.0)

    total_s = 0.5 if is_error else 2.0  # what an error means is known as soon as it is here
    (attempt,) = ear.attempts
    assert (PLAN.candidates[0], outcome, status, 0.5, total_s, 1000.0, 1) == _ended(attempt)
    assert is_error == (attempt.reason is not None) == (attempt.report is not None)


@pytest.mark.parametrize("status", [200, 503])
async def test_a_request_that_was_sent_again_counts_twice(status):
    """The first sending is a lost connection; the candidate is tried once."""
    ear, clock = _Ear(), FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, status, ear, sends=2)
    dispatched = await dispatcher.dispatch(a_call(), PLAN, [])
    dispatcher.observe(a_call(), dispatched, CallOutcome.OK, 1000.5)

    assert (2, [] if status == 200 else [PLAN.candidates[0]]) == (
        dispatched.attempts,
        [each.candidate for each in dispatched.failed],
    )
    outcome = AttemptOutcome.OK if status == 200 else AttemptOutcome.SERVER_ERROR
    assert [(AttemptOutcome.CONNECT_FAILED, 0.0), (outcome, 0.5)] == [
        (attempt.outcome, attempt.total_s) for attempt in ear.attempts
    ]


async def test_an_error_after_a_request_was_sent_again_counts_twice():
    """One candidate was tried, so the app may try again."""
    error = errors.ConnectFailed("x")
    error.sends = 2
    ear = _Ear()
    dispatcher, _ = _dispatcher(FakeClock(), error, ear)
    with pytest.raises(errors.ConnectFailed) as raised:
        await dispatcher.dispatch(a_call(), PLAN, [])

    assert (2, 1) == (raised.value.attempts, raised.value.candidates)
    assert [0.0, 0.5] == [attempt.total_s for attempt in ear.attempts]


async def test_a_head_that_comes_before_the_answer_is_not_fast():
    """Some servers send their head at once and think then: what counts is when the body began."""
    ear, clock = _Ear(), FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, 200, ear)
    stream = a_call(facts=BodyFacts(wants_stream=True))
    for _ in range(5):
        dispatched = await dispatcher.dispatch(stream, PLAN, [])
        dispatcher.observe(
            stream, dispatched, CallOutcome.OK, dispatched.sent_s + 9.0, dispatched.sent_s + 3.0
        )

    expected_s, samples = dispatcher.averages.expected(PLAN.candidates[0], clock.monotonic_s())
    assert (3.0, 5) == (round(expected_s, 6), samples)
    assert {3.0} == {attempt.first_byte_s for attempt in ear.attempts}


async def test_facts_that_nobody_hears_are_not_made():
    """Without a listener an ended attempt costs nothing."""
    dispatcher, _ = _dispatcher(FakeClock(), 200)
    dispatcher.observe(a_call(), _unreadable(), CallOutcome.OK, 0.0)


def _unreadable() -> Dispatched:
    """An answer of which nothing can be said."""
    reply = UpstreamResponse.__new__(UpstreamResponse)
    return Dispatched(reply, PLAN.candidates[0], 1, 0.0, 0.0)


async def test_a_failure_that_is_held_against_a_candidate_is_reported():
    """With what a person has to do, where a person has to mend it."""
    ear = _Ear()
    dispatcher, _ = _dispatcher(FakeClock(), 402, ear)
    await dispatcher.dispatch(a_call(), PLAN, [])
    (failed,) = ear.failed

    assert (FailureClass.QUOTA, 402) == (failed.reason, failed.report.status)
    assert "quota or credit used up" == failed.report.cause
    assert failed.report.to_do is not None


async def test_that_a_candidate_serves_is_reported_only_while_failures_are_remembered():
    """A call that is served where nothing failed costs no report."""
    ear, clock = _Ear(), FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, 200, ear)
    await dispatcher.dispatch(a_call(), PLAN, [])
    before = list(ear.served)
    failure = Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY)
    dispatcher.cooling.observe_failure(PLAN.candidates[0], failure, clock.monotonic_s())
    await dispatcher.dispatch(a_call(), PLAN, [])
    await dispatcher.dispatch(a_call(), PLAN, [])

    assert ([], [PLAN.candidates[0]]) == (before, [each.candidate for each in ear.served])


@pytest.mark.parametrize(("status", "is_error"), [(200, False), (400, True)])
async def test_a_model_that_the_app_did_not_ask_for_is_sent_what_it_takes(status, is_error):
    """And what was changed is told, whether it serves or refuses."""
    dispatcher, pool = _dispatcher(FakeClock(), status)
    plan = Plan(PLAN.candidates, 1, asked="openai/gpt-5")
    dispatched = await dispatcher.dispatch(_with_effort(), plan, [])

    ((_, body, _, _),) = pool.sent
    assert b'{"model":"gpt-4o","messages":[]}' == body
    assert ("reasoning_effort", is_error) == (dispatched.lost, dispatched.is_error)


async def test_each_candidate_is_sent_what_it_takes():
    """The one that was asked for gets the call as it came, the next one less of it."""
    clock = FakeClock()
    pools = ConnectionPools(lambda *_files: ssl.create_default_context())
    names = "vllm/asked", "openai/gpt-4o"
    registry = ProviderRegistry([a_provider(name) for name in names], pools, DIALECTS.by_name)
    down, pool = _Pool(clock, 503), _Pool(clock, 200)
    for name, each in zip(names, (down, pool), strict=True):
        registry.clients[name].pool = each  # type: ignore[assignment] # as much of one as is used
    dispatcher = Dispatcher(registry, clock, Observers(()), Cooling(), FirstByteAverages())
    asked = Candidate(names[0], names[0], "asked", names[0], frozenset(DIALECTS.by_name))
    plan = Plan((asked, *PLAN.candidates), 2, (asked,))
    dispatched = await dispatcher.dispatch(_with_effort(), plan, [])

    bodies = [each.sent[0][1] for each in (down, pool)]
    effort = b',"reasoning_effort":"low"'
    assert [
        b'{"model":"asked","messages":[]%b}' % effort,
        b'{"model":"gpt-4o","messages":[]}',
    ] == bodies
    assert ("reasoning_effort", 2) == (dispatched.lost, dispatched.attempts)


def _with_effort() -> Call:
    body = b'{"model":"gpt-4o","messages":[],"reasoning_effort":"low"}'
    return a_call(body=body, facts=DIALECTS.by_name[CHAT].peek(body))


async def test_an_error_in_a_200_is_recorded_like_any_other_error():
    """Its attempt is reported at once, its candidate cools, and the app gets it as it came."""
    ear, clock = _Ear(), FakeClock(1000.0)
    dispatcher, pool = _dispatcher(clock, 200, ear)
    body = b'{"error":{"code":503,"message":"loading"}}'
    pool.reply_body = body
    dispatched = await dispatcher.dispatch(a_call(), PLAN, [])
    dispatcher.observe(a_call(), dispatched, CallOutcome.OK, 1002.0)

    assert (200, body, True) == (
        dispatched.reply.status,
        dispatched.reply.read_nowait(),
        dispatched.is_error,
    )
    assert [AttemptOutcome.ERROR_BODY] == [attempt.outcome for attempt in ear.attempts]
    assert [FailureClass.BUSY] == [each.failure.failure_class for each in dispatched.failed]
    assert dispatcher.is_cooling(PLAN.candidates[0])


async def test_an_error_event_in_mid_stream_is_learnt_from_when_the_stream_has_ended():
    """The call is beyond help; the candidate's next one is not."""
    ear, clock = _Ear(), FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, 200, ear)
    dispatched = await dispatcher.dispatch(a_call(), PLAN, [])
    assert not dispatcher.is_cooling(PLAN.candidates[0])
    error = b'{"type":"error","error":{"type":"overloaded_error"}}'
    dispatcher.observe(
        a_call(),
        dispatched,
        CallOutcome.INCOMPLETE,
        1002.0,
        first_piece_s=1001.0,
        error_event=error,
    )

    assert [(AttemptOutcome.ERROR_BODY, FailureClass.BUSY)] == [
        (attempt.outcome, attempt.reason) for attempt in ear.attempts
    ]
    assert dispatcher.is_cooling(PLAN.candidates[0])


@pytest.mark.parametrize(("served_between", "is_cooling"), [(False, True), (True, False)])
async def test_two_callers_streams_that_fail_midway_are_evidence(served_between, is_cooling):
    """The beginning of a stream that fails is no success; another call that is served is one."""
    clock = FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, 200)
    error = b'{"error":{"message":"boom","type":"server_error"}}'
    streams = [("s1", error), ("s2", None), ("s3", error)]
    for session_id, event in streams if served_between else (streams[0], streams[2]):
        clock.now_s += 1.0
        call = a_call(session_id=session_id)
        dispatched = await dispatcher.dispatch(call, PLAN, [])
        result = CallOutcome.OK if event is None else CallOutcome.INCOMPLETE
        dispatcher.observe(call, dispatched, result, clock.now_s, error_event=event)

    assert is_cooling == dispatcher.is_cooling(PLAN.candidates[0])


async def test_a_mid_stream_error_is_learnt_from_without_a_listener():
    """Whether anybody counts attempts changes nothing about the candidates."""
    dispatcher, _ = _dispatcher(FakeClock(1000.0), 200)
    dispatched = await dispatcher.dispatch(a_call(), PLAN, [])
    error = b'{"type":"error","error":{"type":"overloaded_error"}}'
    dispatcher.observe(a_call(), dispatched, CallOutcome.INCOMPLETE, 1002.0, error_event=error)

    assert dispatcher.is_cooling(PLAN.candidates[0])


async def test_only_a_failure_that_is_held_against_a_candidate_makes_it_slow():
    """One caller's failures change nothing for `fastest`; a second caller's do, and its cooldown
    begins.
    """
    clock = FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, 500)
    seen = []
    for session_id in ("s1", "s1", "s2"):
        await dispatcher.dispatch(a_call(session_id=session_id), PLAN, [])
        samples = dispatcher.averages.expected(PLAN.candidates[0], clock.monotonic_s())[1]
        seen.append((samples, dispatcher.is_cooling(PLAN.candidates[0])))

    assert [(0, False), (0, False), (1, True)] == seen


async def test_a_served_call_clears_a_suspect():
    """Two callers' failures with a success between them are no evidence."""
    dispatcher, pool = _dispatcher(FakeClock(1000.0), 500)
    for session_id, pool._end in (("s1", 500), ("s2", 200), ("s3", 500)):
        await dispatcher.dispatch(a_call(session_id=session_id), PLAN, [])

    assert not dispatcher.is_cooling(PLAN.candidates[0])


async def test_the_session_that_called_last_is_known():
    """And when another one did: by tenant and session. Calls without a session are somebody too."""
    clock = FakeClock(1000.0)
    dispatcher, _ = _dispatcher(clock, 200)
    activity, seen = dispatcher.cooling.activity, []
    for tenant, session_id in (("a", "s1"), ("a", "s1"), ("b", "s1"), ("b", None)):
        began_s = clock.monotonic_s()
        await dispatcher.dispatch(a_call(tenant=tenant, session_id=session_id), PLAN, [])
        assert (tenant, session_id, began_s) == (
            activity.tenant,
            activity.session_id,
            activity.seen_s,
        )
        seen.append((activity.others_s, activity.tenants_s))

    never = -math.inf
    assert [(never, never), (never, never), (never, 1000.5), (1001.0, 1000.5)] == seen


async def test_one_tenants_sessions_are_one_caller_where_others_are_active():
    """The candidate stays in its place until a second tenant's call fails there."""
    dispatcher, pool = _dispatcher(FakeClock(1000.0), 200)
    await dispatcher.dispatch(a_call(tenant="acme", session_id="s1"), PLAN, [])
    pool._end, seen = 500, []
    for tenant, session_id in (("mallory", "s1"), ("mallory", "s2"), ("acme", "s1")):
        await dispatcher.dispatch(a_call(tenant=tenant, session_id=session_id), PLAN, [])
        seen.append(dispatcher.is_cooling(PLAN.candidates[0]))

    assert [False, False, True] == seen


@pytest.mark.parametrize(
    ("client_timeout_s", "kind", "suspects"),
    [
        (5.0, errors.AppTimeout, 0),
        (9.9, errors.AppTimeout, 0),
        (10.0, errors.FirstByteTimeout, 1),
        (None, errors.FirstByteTimeout, 1),
    ],
)
async def test_a_timeout_is_the_apps_own_where_it_would_not_wait_for_ten_seconds(
    client_timeout_s, kind, suspects
):
    """Then nothing is known against the candidate."""
    dispatcher, _ = _dispatcher(FakeClock(1000.0), errors.FirstByteTimeout("x"))
    call = a_call(client_timeout_s=client_timeout_s, facts=BodyFacts(wants_stream=True))
    with pytest.raises(kind):
        await dispatcher.dispatch(call, PLAN, [])

    assert suspects == len(dispatcher.cooling.suspects)


async def test_the_apps_timeout_after_a_resend_counts_two_sendings():
    """A dead connection took the first; the error says both."""
    error = errors.FirstByteTimeout("x")
    error.sends = 2
    dispatcher, _ = _dispatcher(FakeClock(1000.0), error, ear := _Ear())
    call = a_call(client_timeout_s=5.0, facts=BodyFacts(wants_stream=True))
    with pytest.raises(errors.AppTimeout) as raised:
        await dispatcher.dispatch(call, PLAN, [])

    assert (2, 2) == (raised.value.attempts, len(ear.attempts))


GROQ = Candidate("groq/llama", "groq/llama", "llama", "groq/llama", frozenset(DIALECTS.by_name))
TRACED = TraceContext("a" * 32, "b" * 16, 0, received=True, span_id="c" * 16)


@pytest.mark.parametrize("first", [503, errors.ConnectFailed("x")])
async def test_while_tracing_is_on_each_attempt_has_a_number_and_a_parent_id_of_its_own(first):
    """The provider sees the id of the attempt's own span; what observers hear names the same."""
    ear, clock = _Ear(), FakeClock(1000.0)
    two = [a_provider("openai/gpt-4o"), a_provider("groq/llama")]
    pools = ConnectionPools(lambda *_files: ssl.create_default_context())
    registry = ProviderRegistry(two, pools, DIALECTS.by_name)
    fakes = [_Pool(clock, first), _Pool(clock, 200)]
    for client, fake in zip(registry.clients.values(), fakes, strict=True):
        client.pool = fake  # type: ignore[assignment] # as much of one as is used
    dispatcher = Dispatcher(registry, clock, Observers([ear]), Cooling(), FirstByteAverages())
    plan = Plan((*PLAN.candidates, GROQ), 2)
    call = a_call(trace=TRACED)
    dispatcher.observe(call, await dispatcher.dispatch(call, plan, []), CallOutcome.OK, 1009.0)
    seen = [fake.sent[0][0].decode().split("traceparent: 00-")[1][33:49] for fake in fakes]

    assert [(1, 1000.0), (2, 1000.5)] == [(each.number, each.sent_s) for each in ear.attempts]
    assert [child_span_id("c" * 16, number) for number in (1, 2)] == seen


async def test_a_lost_sending_is_no_attempt_of_its_own():
    """The request was sent again as it was, under the same parent id."""
    ear = _Ear()
    dispatcher, _ = _dispatcher(FakeClock(), 200, ear, sends=2)
    dispatched = await dispatcher.dispatch(a_call(), PLAN, [])
    dispatcher.observe(a_call(), dispatched, CallOutcome.OK, 1000.5)

    assert [0, 1] == [attempt.number for attempt in ear.attempts]


@pytest.mark.parametrize(
    ("owner", "lost"), [("openai/gpt-4o", ""), ("other", "location"), (None, "location")]
)
async def test_a_place_is_the_apps_to_follow_where_it_leads_to_the_same_entry(owner, lost):
    """Told by who would be asked there, whether or not the config names the path."""
    clock = FakeClock()
    asked = []

    def owner_of(call: Call, path: str) -> str | None:
        asked.append((call.endpoint, path))
        return owner

    pools = ConnectionPools(lambda *_files: ssl.create_default_context())
    provider = a_provider("openai/gpt-4o")
    registry = ProviderRegistry([provider], pools, DIALECTS.by_name, owner_of=owner_of)
    dispatcher = Dispatcher(registry, clock, Observers(()), Cooling(), FirstByteAverages())
    endpoint = Endpoint("/v1/files", CHAT, Operation.PASSTHROUGH)
    reply: Any = _Reply(307)
    reply.headers = ((b"Location", b"/v1/files/f2"),)
    call = a_call(endpoint=endpoint)
    headers, left_out = dispatcher.local_headers(
        call, Dispatched(reply, PLAN.candidates[0], 1, 0.0, 0.0)
    )

    assert ((endpoint, "/v1/files/f2"), lost) == (asked[0], left_out)
    assert [] == list(headers) or not lost

"""The router model as calls meet it: what it does to them when it is slow, busy, wrong or gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import Call
from sidecar.domain.decision import Route
from sidecar.domain.errors import ConnectFailed, FirstByteTimeout, UpstreamMalformed
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.router import CONCURRENT, RouteClassifier, RouterPolicy
from sidecar.routing.router_breaker import RouterBreaker
from sidecar.upstream.evidence import Activity, Suspicion
from tests.support.values import FakeClock, a_call

ROUTES = (Route("code", "writing code", ()), Route("talk", "small talk", ()))
LONG_S = 60.0


def a_question(text: str, **changes: Any) -> Call:
    """A call whose prompt differs from others' by ``text``."""
    return a_call(
        body=json.dumps({"messages": [{"role": "user", "content": text}]}).encode(), **changes
    )


def failure(outcome: RouterOutcome, waited_s: float = 0.0) -> RouterVerdict:
    return RouterVerdict(outcome, waited_s=waited_s)


def completion(text: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


PROMPT = (
    'routes {"name":"code","description":"writing code"}\n'
    '{"name":"talk","description":"small talk"} talk [{"role":"user","content":"which?"}]'
)
MATCHED = completion('{"route": "code"}')


class Model:
    """A router model: answers what it is told to, once it may."""

    def __init__(self, answer: tuple[int, bytes] | Exception = (200, MATCHED)) -> None:
        self.answer = answer
        self.may_answer = asyncio.Event()
        self.asked: list[tuple[dict[str, object], Call]] = []
        self.cancelled = 0

    async def ask(self, body: bytes, call: Call) -> tuple[int, bytes]:
        self.asked.append((json.loads(body), call))
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def ready(answer: tuple[int, bytes] | Exception = (200, MATCHED)) -> Model:
    model = Model(answer)
    model.may_answer.set()
    return model


def router(
    model: Model,
    deadline_s: float = LONG_S,
    clock: Callable[[], float] = lambda: 1000.0,
    activity: Activity | None = None,
) -> RouteClassifier:
    policy = RouterPolicy("m", deadline_s, 8192, "routes {routes} talk {conversation}")
    evidence = Suspicion(activity or Activity())
    return RouteClassifier(
        model.ask, ROUTES, policy, clock, DIALECTS.turns_of, RouterBreaker(evidence)
    )


def started(work: Coroutine[Any, Any, RouterVerdict]) -> asyncio.Task[RouterVerdict]:
    return asyncio.get_running_loop().create_task(work, name="a call")


async def turn_of_the_loop() -> None:
    """Let what was spawned begin."""
    for _ in range(3):
        await asyncio.sleep(0)  # sleep: nothing else tells that a task has begun


async def test_a_question_is_one_short_user_message():
    """Nothing is streamed, and its answer is the caller's."""
    model = ready()

    assert RouterVerdict(RouterOutcome.MATCHED, "code", '{"route": "code"}') == await router(
        model
    ).classify(a_question("which?"), ROUTES)
    ((body, call),) = model.asked
    assert {
        "model": "m",
        "messages": [{"role": "user", "content": PROMPT}],
        "temperature": 0.01,
        "max_tokens": 64,
        "stream": False,
    } == body
    assert "req-1" == call.request_id


FAILURES: dict[str, tuple[tuple[int, bytes] | Exception, str]] = {
    "refused": (ConnectFailed("x"), "http_error"),
    "late": (FirstByteTimeout("x"), "timeout"),
    "no HTTP": (UpstreamMalformed("x"), "http_error"),
    "our own bug": (RuntimeError("x"), "http_error"),
    "408": ((408, MATCHED), "http_error"),
    "429": ((429, MATCHED), "http_error"),
    "500": ((500, MATCHED), "http_error"),
    "503": ((503, MATCHED), "http_error"),
}
OF_PROMPTS: dict[str, tuple[tuple[int, bytes], str]] = {
    "400": ((400, MATCHED), "http_error"),
    "413": ((413, b""), "http_error"),
    "422": ((422, b""), "http_error"),
    "a redirect": ((302, MATCHED), "http_error"),
    "no such route": ((200, completion('{"route": "poetry"}')), "unknown_route"),
    "a web page": ((200, b"<html>"), "unreadable"),
    "nothing": ((200, b""), "unreadable"),
    "no choices": ((200, b'{"choices":[]}'), "unreadable"),
    "no text": ((200, completion(None)), "unreadable"),
    "other words": ((200, completion("I would rather not say")), "unreadable"),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_after_five_failures_in_a_row_nobody_asks(case):
    """A server that is down, late or overloaded is left alone."""
    answer, outcome = FAILURES[case]
    model = ready(answer)
    classifier = router(model)
    was_open = classifier.is_breaker_open
    outcomes = [
        (await classifier.classify(a_question(str(number)), ROUTES)).outcome for number in range(8)
    ]

    assert [outcome] * 5 + ["breaker_open"] * 3 == outcomes
    assert (False, True) == (was_open, classifier.is_breaker_open)
    assert 5 == len(model.asked)


def two_tenants() -> Activity:
    """As it is where another tenant was active a second ago."""
    activity = Activity()
    activity.tenants_s = 999.0
    return activity


@pytest.mark.parametrize("case", ["late", "no HTTP", "408", "500", "503"])
async def test_one_tenants_prompts_open_it_for_nobody(case):
    """A hundred that the router model fails on, from many sessions; then it is asked for another
    tenant, whose failure with the last one counts.
    """
    answer, outcome = FAILURES[case]
    model = ready(answer)
    classifier = router(model, activity=two_tenants())

    async def outcomes(tenant: str, count: int) -> list[str]:
        calls = [
            a_question(f"{tenant} {number}", tenant=tenant, session_id=f"s{number}")
            for number in range(count)
        ]
        return [(await classifier.classify(call, ROUTES)).outcome for call in calls]

    assert [outcome] * 100 == await outcomes("mallory", 100)
    for number in range(2):
        assert [outcome] == await outcomes(f"a{number}", 1)
        assert [outcome] == await outcomes(f"b{number}", 1)
    assert ["breaker_open"] == await outcomes("acme", 1)


@pytest.mark.parametrize("case", ["refused", "429"])
async def test_what_no_prompt_causes_counts_whoever_meets_it(case):
    """No connection, an unknown name, TLS, too many requests."""
    model = ready(FAILURES[case][0])
    classifier = router(model, activity=two_tenants())
    call = a_question("which?", tenant="acme", session_id="s1")
    for _ in range(8):
        await classifier.classify(call, ROUTES)

    assert 5 == len(model.asked)


@pytest.mark.parametrize("case", OF_PROMPTS)
async def test_what_a_prompt_can_cause_takes_the_router_model_from_nobody(case):
    """A hundred such replies, and the next call is routed."""
    answer, outcome = OF_PROMPTS[case]
    model = ready(answer)
    classifier = router(model)
    outcomes = {
        (await classifier.classify(a_question(str(number)), ROUTES)).outcome
        for number in range(100)
    }
    model.answer = (200, MATCHED)

    assert {outcome} == outcomes
    assert "matched" == (await classifier.classify(a_question("next"), ROUTES)).outcome


@pytest.mark.parametrize("text", ['{"route": "code"}', '{"route": "other"}', "chatter", None])
async def test_any_answer_ends_a_row(text):
    """Four failures, an answer, four failures: the router model is still asked."""
    model = ready((500, b""))
    classifier = router(model)
    for number in range(4):
        await classifier.classify(a_question(f"a{number}"), ROUTES)
    model.answer = (200, completion(text))
    await classifier.classify(a_question("b"), ROUTES)
    model.answer = (500, b"")
    outcomes = {
        (await classifier.classify(a_question(f"c{number}"), ROUTES)).outcome for number in range(4)
    }

    assert {"http_error"} == outcomes


async def test_while_it_is_open_one_probe_a_second_is_made_and_no_call_waits():
    """The probe runs beside its call; the first good answer ends it."""
    clock = FakeClock(1000.0)
    model = ready((500, b""))
    classifier = router(model, clock=clock.monotonic_s)
    for number in range(5):
        await classifier.classify(a_question(str(number)), ROUTES)
    model.may_answer.clear()
    model.answer = (200, MATCHED)
    counts = []
    for advance_s in (0.5, 0.4, 0.2, 0.5, 0.4, 0.2):
        clock.advance(advance_s)
        assert RouterVerdict(RouterOutcome.BREAKER_OPEN) == await classifier.classify(
            a_question(f"at {clock.monotonic_s()}"), ROUTES
        )
        await turn_of_the_loop()
        counts.append(len(model.asked) - 5)
    assert [0, 0, 1, 1, 1, 2] == counts

    model.may_answer.set()
    await turn_of_the_loop()
    assert "matched" == (await classifier.classify(a_question("again"), ROUTES)).outcome


async def test_the_deadline_ends_a_question():
    """It counts from the moment the call begins to wait, and the question is given up with it."""
    model = Model()

    assert "timeout" == (await router(model, 0.01).classify(a_question("p"), ROUTES)).outcome
    assert 1 == model.cancelled


async def test_a_call_that_joins_late_waits_no_longer_than_the_question():
    """Who shares a flight shares its end: nobody begins a deadline of its own behind it."""
    model = Model()
    classifier = router(model, 0.05)
    first = started(classifier.classify(a_question("p"), ROUTES))
    await turn_of_the_loop()
    second = await classifier.classify(a_question("p"), ROUTES)

    assert ("timeout", "timeout", 1) == ((await first).outcome, second.outcome, len(model.asked))


async def test_what_a_call_has_waited_already_counts():
    """Behind another question it has nothing left: it falls back, and the question goes on for
    others.
    """
    model = Model()
    classifier = router(model)

    assert ("timeout", LONG_S) == (
        (late := await classifier.classify(a_question("p"), ROUTES, LONG_S)).outcome,
        late.waited_s,
    )
    model.may_answer.set()
    assert "matched" == (await classifier.classify(a_question("p"), ROUTES)).outcome
    assert 1 == len(model.asked)


async def test_no_call_waits_longer_than_its_app():
    """`x-plano-timeout-ms` shortens this deadline too."""
    model = Model()
    impatient = a_question("p", admitted_s=990.0, client_timeout_s=10.01)

    assert "timeout" == (await router(model).classify(impatient, ROUTES)).outcome
    assert 0 == model.cancelled


async def test_beyond_its_limit_calls_fall_back_at_once():
    """Sixty-four different questions; the sixty-fifth is not queued, an identical one still
    shares.
    """
    model = Model()
    classifier = router(model)
    tasks = [
        started(classifier.classify(a_question(f"p{number}"), ROUTES))
        for number in range(CONCURRENT)
    ]
    await turn_of_the_loop()
    busy = await classifier.classify(a_question("one more"), ROUTES)
    shared = started(classifier.classify(a_question("p0"), ROUTES))
    await turn_of_the_loop()
    model.may_answer.set()

    assert (RouterVerdict(RouterOutcome.BUSY), True) == (busy, busy.is_fallback)
    assert {"matched"} == {asked.outcome for asked in [*await asyncio.gather(*tasks), await shared]}
    assert (64, 64) == (CONCURRENT, len(model.asked))
    assert "matched" == (await classifier.classify(a_question("later"), ROUTES)).outcome


async def test_a_caller_that_goes_away_ends_the_question_for_nobody():
    """Neither the first one nor a later one, nor all of them: the answer is the breaker's to
    know.
    """
    model = Model()
    classifier = router(model)
    tasks = [started(classifier.classify(a_question("p"), ROUTES)) for _ in range(3)]
    await turn_of_the_loop()
    for task in tasks[:2]:
        task.cancel()
    await turn_of_the_loop()
    model.may_answer.set()

    assert "matched" == (await tasks[2]).outcome
    assert ([True, True], 1, 0) == (
        [task.cancelled() for task in tasks[:2]],
        len(model.asked),
        model.cancelled,
    )


async def test_closing_gives_questions_up():
    """Nothing runs on behind a sidecar that has ended."""
    model = Model()
    classifier = router(model)
    task = started(classifier.classify(a_question("p"), ROUTES))
    await turn_of_the_loop()
    await classifier.aclose()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 == model.cancelled


class Refusing(Model):
    """A server that refuses parameters, as it is told to."""

    def __init__(self, refused: tuple[str, ...]) -> None:
        super().__init__()
        self.may_answer.set()
        self.refused = refused
        self.is_late = False
        """With all but refusals."""

    async def ask(self, body: bytes, call: Call) -> tuple[int, bytes]:
        status, response = await super().ask(body, call)
        for name in self.refused:
            if name in self.asked[-1][0]:
                return 400, json.dumps({"error": {"message": f"no {name} here"}}).encode()
        if self.is_late:
            await asyncio.Event().wait()
        return status, response


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        (("max_tokens",), [2, 1]),
        (("max_tokens", "reasoning_effort"), [3, 1]),
        (("temperature", "max_completion_tokens"), [3, 1]),
        (("temperature", "max_completion_tokens", "max_tokens"), [4, 1]),
    ],
)
async def test_the_question_adapts_to_what_the_server_refuses(refused, asked):
    """The form that worked is remembered: the next question is asked once."""
    model = Refusing(refused)
    classifier, counts = router(model), []

    for text in ("first", "second"):
        before = len(model.asked)
        assert (
            RouterOutcome.MATCHED is (await classifier.classify(a_question(text), ROUTES)).outcome
        )
        counts.append(len(model.asked) - before)
    assert asked == counts


async def test_the_form_is_remembered_where_the_time_ends_before_the_verdict():
    """Else each call would spend a part of its time on the same refusal, and never be in time."""
    model = Refusing(("max_tokens",))
    model.is_late = True
    classifier = router(model, 0.01)

    late = await classifier.classify(a_question("first"), ROUTES)
    model.is_late = False
    before = len(model.asked)
    found = await classifier.classify(a_question("second"), ROUTES)

    assert (RouterOutcome.TIMEOUT, RouterOutcome.MATCHED) == (late.outcome, found.outcome)
    assert (2, 1) == (before, len(model.asked) - before)


async def test_a_form_that_is_refused_for_something_else_is_not_remembered():
    """The refusal may be of the prompt alone, and only repeat words of it."""
    model = Refusing(("max_tokens", "model"))
    classifier = router(model)
    for text in ("first", "second"):
        await classifier.classify(a_question(text), ROUTES)

    assert [64, None] * 2 == [asked.get("max_tokens") for asked, _ in model.asked]


async def test_a_refusal_of_the_question_is_told_with_its_words():
    """To operators who ask; the log has its status."""
    model = ready((400, b'{"error": {"message": "no such model"}}'))
    verdict = await router(model).classify(a_question("x"), ROUTES)

    assert ("status 400", "no such model") == (verdict.cause, verdict.refusal)


async def test_a_decision_model_is_asked_for_a_choice():
    """Its answer brings how probable it holds the choice."""
    answers = {"route": {"choice": "code", "probabilities": {"code": 0.75}}}
    model = ready((200, json.dumps({"answers": answers}).encode()))
    policy = RouterPolicy("jev", LONG_S, 8192, is_decision=True, min_confidence=0.8)
    classifier = RouteClassifier(
        model.ask,
        ROUTES,
        policy,
        lambda: 1.0,
        DIALECTS.turns_of,
        RouterBreaker(Suspicion(Activity())),
    )

    verdict = await classifier.classify(a_question("which?"), ROUTES)
    assert (RouterOutcome.OTHER, 0.75) == (verdict.outcome, verdict.confidence)
    ((body, _),) = model.asked
    assert ["code", "talk", "other"] == list(body["questions"]["route"]["criteria"])  # type: ignore[index]
    assert '[{"role":"user","content":"which?"}]' == body["state"]

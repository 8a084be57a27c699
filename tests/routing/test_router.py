"""The router model as calls meet it: what it does to them when it is slow, busy, wrong or gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sidecar.domain.call import Call
from sidecar.domain.errors import ConnectFailed, FirstByteTimeout, UpstreamMalformed
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.router import CONCURRENT, Router, RouterVerdict
from tests.support.values import FakeClock, a_call

KNOWN = ("code", "talk")
LONG_S = 60.0


def completion(text: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


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
    model: Model, deadline_s: float = LONG_S, clock: Callable[[], float] = lambda: 1000.0
) -> Router:
    return Router(model.ask, "m", deadline_s, clock)


def started(work: Coroutine[Any, Any, RouterVerdict]) -> asyncio.Task[RouterVerdict]:
    return asyncio.get_running_loop().create_task(work, name="a call")


async def turn_of_the_loop() -> None:
    """Let what was spawned begin."""
    for _ in range(3):
        await asyncio.sleep(0)  # sleep: nothing else tells that a task has begun


async def test_a_question_is_one_short_user_message():
    """As routing.md has it, and its answer is the caller's."""
    model = ready()

    assert RouterVerdict(RouterOutcome.MATCHED, "code", '{"route": "code"}') == await router(
        model
    ).choose("which?", KNOWN, a_call())
    ((body, call),) = model.asked
    assert {
        "model": "m",
        "messages": [{"role": "user", "content": "which?"}],
        "temperature": 0.01,
        "max_tokens": 64,
        "stream": False,
    } == body
    assert "req-1" == call.request_id


FAILURES: dict[str, tuple[tuple[int, bytes] | Exception, str]] = {
    "refused": (ConnectFailed("x"), "http_error"),
    "late": (FirstByteTimeout("x"), "timeout"),
    "too long": (UpstreamMalformed("x"), "http_error"),
    "our own bug": (RuntimeError("x"), "http_error"),
    "503": ((503, MATCHED), "http_error"),
    "a redirect": ((302, MATCHED), "http_error"),
    "a web page": ((200, b"<html>"), "unreadable"),
    "nothing": ((200, b""), "unreadable"),
    "no choices": ((200, b'{"choices":[]}'), "unreadable"),
    "no text": ((200, completion(None)), "unreadable"),
    "other words": ((200, completion("I would rather not say")), "unreadable"),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_after_five_failures_in_a_row_nobody_asks(case):
    """An answer that cannot be read is a failure too: who babbles forever is not asked forever."""
    answer, outcome = FAILURES[case]
    model = ready(answer)
    asker = router(model)
    outcomes = [(await asker.choose(str(number), KNOWN, a_call())).outcome for number in range(8)]

    assert [outcome] * 5 + ["breaker_open"] * 3 == outcomes
    assert 5 == len(model.asked)


@pytest.mark.parametrize("text", ['{"route": "code"}', '{"route": "other"}', '{"route": "poetry"}'])
async def test_any_answer_that_can_be_read_ends_a_row(text):
    """Four failures, an answer, four failures: the router model is still asked."""
    model = ready((500, b""))
    asker = router(model)
    for number in range(4):
        await asker.choose(f"a{number}", KNOWN, a_call())
    model.answer = (200, completion(text))
    await asker.choose("b", KNOWN, a_call())
    model.answer = (500, b"")
    outcomes = {(await asker.choose(f"c{number}", KNOWN, a_call())).outcome for number in range(4)}

    assert {"http_error"} == outcomes


async def test_while_it_is_open_one_probe_a_second_is_made_and_no_call_waits():
    """The probe runs beside its call; the first good answer ends it."""
    clock = FakeClock(1000.0)
    model = ready((500, b""))
    asker = router(model, clock=clock.monotonic_s)
    for number in range(5):
        await asker.choose(str(number), KNOWN, a_call())
    model.may_answer.clear()
    model.answer = (200, MATCHED)
    counts = []
    for advance_s in (0.5, 0.4, 0.2, 0.5, 0.4, 0.2):
        clock.advance(advance_s)
        assert RouterVerdict(RouterOutcome.BREAKER_OPEN) == await asker.choose(
            f"at {clock.monotonic_s()}", KNOWN, a_call()
        )
        await turn_of_the_loop()
        counts.append(len(model.asked) - 5)
    assert [0, 0, 1, 1, 1, 2] == counts

    model.may_answer.set()
    await turn_of_the_loop()
    assert "matched" == (await asker.choose("again", KNOWN, a_call())).outcome


async def test_the_deadline_ends_a_question():
    """It counts from the moment the call begins to wait, and the question is given up with it."""
    model = Model()

    assert "timeout" == (await router(model, 0.01).choose("p", KNOWN, a_call())).outcome
    assert 1 == model.cancelled


async def test_a_call_that_joins_late_waits_no_longer_than_the_question():
    """Who shares a flight shares its end: nobody begins a deadline of its own behind it."""
    model = Model()
    asker = router(model, 0.05)
    first = started(asker.choose("p", KNOWN, a_call()))
    await turn_of_the_loop()
    second = await asker.choose("p", KNOWN, a_call())

    assert ("timeout", "timeout", 1) == ((await first).outcome, second.outcome, len(model.asked))


async def test_what_a_call_has_waited_already_counts():
    """Behind another question it has nothing left: it falls back, and the question goes on for
    others.
    """
    model = Model()
    asker = router(model)

    assert ("timeout", LONG_S) == (
        (late := await asker.choose("p", KNOWN, a_call(), LONG_S)).outcome,
        late.waited_s,
    )
    model.may_answer.set()
    assert "matched" == (await asker.choose("p", KNOWN, a_call())).outcome
    assert 1 == len(model.asked)


async def test_no_call_waits_longer_than_its_app():
    """`x-plano-timeout-ms` shortens this deadline too."""
    model = Model()
    impatient = a_call(admitted_s=990.0, client_timeout_s=10.01)

    assert "timeout" == (await router(model).choose("p", KNOWN, impatient)).outcome
    assert 0 == model.cancelled


async def test_beyond_its_limit_calls_fall_back_at_once():
    """Sixty-four different questions; the sixty-fifth is not queued, an identical one still
    shares.
    """
    model = Model()
    asker = router(model)
    tasks = [started(asker.choose(f"p{number}", KNOWN, a_call())) for number in range(CONCURRENT)]
    await turn_of_the_loop()
    busy = await asker.choose("one more", KNOWN, a_call())
    shared = started(asker.choose("p0", KNOWN, a_call()))
    await turn_of_the_loop()
    model.may_answer.set()

    assert (RouterVerdict(RouterOutcome.BUSY), True) == (busy, busy.is_fallback)
    assert {"matched"} == {asked.outcome for asked in [*await asyncio.gather(*tasks), await shared]}
    assert (64, 64) == (CONCURRENT, len(model.asked))
    assert "matched" == (await asker.choose("later", KNOWN, a_call())).outcome


async def test_a_caller_that_goes_away_ends_the_question_for_nobody():
    """Neither the first one nor a later one, nor all of them: the answer is the breaker's to
    know.
    """
    model = Model()
    asker = router(model)
    tasks = [started(asker.choose("p", KNOWN, a_call())) for _ in range(3)]
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
    asker = router(model)
    task = started(asker.choose("p", KNOWN, a_call()))
    await turn_of_the_loop()
    await asker.aclose()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 == model.cancelled

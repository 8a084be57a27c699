"""What the answer of a router model means. No server."""

from __future__ import annotations

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.doctor.findings import Finding, Kind, Verdict
from sidecar.doctor.router_check import RouterCheck, finding_of_verdict
from sidecar.domain.call import CHAT, Call
from sidecar.domain.decision import Route
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import RouterVerdict

ROUTE = Route("code", "writing code", ())


@pytest.mark.parametrize(
    ("verdict", "took_s", "result", "cause"),
    [
        (RouterVerdict(RouterOutcome.MATCHED, "code"), 0.1, Verdict.OK, "says 'code'"),
        (RouterVerdict(RouterOutcome.OTHER), 0.1, Verdict.OK, "says that no route fits"),
        (RouterVerdict(RouterOutcome.UNREADABLE), 0.1, Verdict.WARNING, "what it says names no route: it chats"),
        (RouterVerdict(RouterOutcome.UNKNOWN_ROUTE), 0.1, Verdict.WARNING, "it names a route that is not configured"),
        (RouterVerdict(RouterOutcome.HTTP_ERROR, cause="status 500"), 0.1, Verdict.WARNING, "status 500"),
        (RouterVerdict(RouterOutcome.BUSY), 0.1, Verdict.WARNING, "it was not asked (busy)"),
        (RouterVerdict(RouterOutcome.OTHER), 0.9, Verdict.WARNING, "it answers in 900 ms; calls wait 1000 ms"),
    ],
)  # fmt: skip
def test_an_answer_is_read_as_calls_read_it(verdict, took_s, result, cause):
    """None fails a call."""
    before = Finding(Kind.ROUTER, "small", Verdict.SKIPPED)
    finding = finding_of_verdict(before, verdict, took_s, 1.0)

    assert (result, cause) == (finding.verdict, finding.cause)
    assert (result is Verdict.OK) is not bool(finding.to_do)


def _check(asked: list[Call], routes: tuple[Route, ...]) -> RouterCheck:
    async def classify(call: Call, known: tuple[Route, ...]) -> RouterVerdict:
        asked.append(call)
        return RouterVerdict(RouterOutcome.MATCHED, known[0].name)

    return RouterCheck("small", classify, routes, DIALECTS.by_name[CHAT], lambda: 1.0, 1.0)


async def test_it_is_asked_with_a_conversation_of_one_message():
    """As if an app had made the call."""
    asked: list[Call] = []
    finding = await _check(asked, (ROUTE,)).run(may_spend=True)

    (call,) = asked
    assert b"sorts a list" in call.body
    assert (Verdict.OK, 0.0) == (finding.verdict, finding.took_ms)


@pytest.mark.parametrize(
    ("routes", "may_spend", "cause"),
    [
        ((), True, "never asked: there are no routing_preferences"),
        ((ROUTE,), False, "not asked (--no-spend)"),
    ],
)
async def test_it_is_not_asked_in_vain(routes, may_spend, cause):
    """Nor where its answer would cost something."""
    asked: list[Call] = []
    finding = await _check(asked, routes).run(may_spend=may_spend)

    assert ([], Verdict.SKIPPED, cause) == (asked, finding.verdict, finding.cause)

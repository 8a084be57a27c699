"""Calls that have ended, as observers hear of them."""

from __future__ import annotations

from typing import Any

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.decision import Binding, Candidate, Decision, Price, Source
from sidecar.domain.events import CallEnded
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass, RouterOutcome
from tests.support.values import a_call


def a_candidate(account: str, model_name: str = "openai/gpt-4o") -> Candidate:
    bare = model_name.partition("/")[2]
    price = Price(2.0, 8.0)
    return Candidate(
        account, model_name, bare, model_name, frozenset(DIALECTS.by_name), price=price
    )


FIRST, SECOND = a_candidate("openai-main"), a_candidate("anthropic", "anthropic/claude")
REFUSED = FailureReport("api.openai.com:443", "connection refused")
LIMITED = FailureReport("api.openai.com:443", "rate limit reached (429)", 429, "slow", "req_1")
TIMING = Timing(1.0, 0.25, 0.0625, 0.125, 0.5, 0.75)

PIN = Binding("openai/gpt-4o", "code", "openai/gpt-4o", 2, provider="openai-main")
PINNED = Decision(Source.PINNED, (FIRST, SECOND), "code", metric_route="code", binding=PIN)
ROUTED = Decision(
    Source.ROUTED,
    (SECOND, FIRST),
    "code",
    routing=RoutingFacts(RouterOutcome.MATCHED, "cheapest", (SECOND, FIRST), (3.0, None)),
)


def served_by(candidate: Candidate, outcome: AttemptOutcome = AttemptOutcome.OK) -> Attempt:
    return Attempt(candidate, outcome, 200, 0.5, 0.75)


def failed_at(
    candidate: Candidate,
    outcome: AttemptOutcome = AttemptOutcome.CONNECT_FAILED,
    reason: FailureClass = FailureClass.BUSY,
    report: FailureReport = REFUSED,
) -> Attempt:
    return Attempt(candidate, outcome, report.status, None, 0.25, 1000.5, 1, reason, report)


def ended(
    result: CallOutcome = CallOutcome.OK,
    status: int = 200,
    decision: Decision | None = PINNED,
    attempts: tuple[Attempt, ...] = (served_by(FIRST),),
    **changes: Any,
) -> CallEnded:
    """A call that has ended. ``changes`` of the outcome; those of the call are under ``call``."""
    call = a_call(**changes.pop("call", {}))
    facts: dict[str, Any] = {
        "streamed": True,
        "served": Served(Usage(1000, 500, 250), "gpt-4o-2024-08-06", "stop"),
        "candidate": FIRST,
        "bytes_out": 42,
        "attempts": attempts,
        "reply_headers": ((b"X-Request-Id", b"req_9"),),
        **changes,
    }
    return CallEnded(call, decision, Outcome(result, status, TIMING, **facts), "abcdef012345")


def refused(error_code: str, status: int, result: CallOutcome, **changes: Any) -> CallEnded:
    """A call that ended with an error of the sidecar's own."""
    nothing: dict[str, Any] = {
        "served": None,
        "candidate": None,
        "reply_headers": (),
        "bytes_out": 0,
    }
    return ended(result, status, error_code=error_code, **{**nothing, **changes})

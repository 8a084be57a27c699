"""What was special about a call, in letters."""

from __future__ import annotations

import dataclasses

import pytest

from sidecar.domain.decision import Decision, Source
from sidecar.domain.events import CallEnded
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    FailureClass,
    PinOutcome,
    RouterOutcome,
)
from sidecar.telemetry.call_flags import FLAGS, flags_of, flags_of_refused
from tests.telemetry.calls import (
    FIRST,
    PINNED,
    ROUTED,
    SECOND,
    ended,
    failed_at,
    refused,
    served_by,
)

UPSTREAM, OK = CallOutcome.UPSTREAM_ERROR, CallOutcome.OK


def _pin(outcome: PinOutcome | None) -> CallEnded:
    return ended(decision=dataclasses.replace(ROUTED, pin_outcome=outcome))


def _router(outcome: RouterOutcome) -> CallEnded:
    decision = Decision(Source.FALLBACK, (FIRST,), routing=RoutingFacts(outcome))
    return ended(decision=decision)


CASES: dict[str, tuple[CallEnded, list[str]]] = {
    "pinned": (ended(), ["AH"]),
    "pin read": (ended(decision=dataclasses.replace(PINNED, pin_outcome=PinOutcome.HIT)), ["AH"]),
    "no session": (_pin(None), []),
    "no pin": (_pin(PinOutcome.MISS), ["AM"]),
    "passed by": (_pin(PinOutcome.DIALECT), ["AB"]),
    "Redis slow": (_pin(PinOutcome.TIMEOUT), ["AE"]),
    "unreadable pin": (_pin(PinOutcome.STALE_VALUE), ["AE"]),
    "router slow": (_router(RouterOutcome.TIMEOUT), ["RT"]),
    "router failed": (_router(RouterOutcome.HTTP_ERROR), ["RX"]),
    "router not asked": (_router(RouterOutcome.BREAKER_OPEN), ["RD"]),
    "routed": (ended(decision=ROUTED), []),
    "left": (ended(CallOutcome.CANCELLED, 0, None), ["DC"]),
    "stopped reading": (ended(CallOutcome.DOWNSTREAM_IDLE), ["AH", "SI"]),
    "failed over": (ended(attempts=(failed_at(SECOND), served_by(FIRST))), ["AH", "UF"]),
    "none served": (
        refused("upstream_connect_failed", 503, UPSTREAM, attempts=(failed_at(FIRST),) * 2),
        ["AH", "UF", "URX"],
    ),
    "late": (
        refused(
            "upstream_timeout",
            504,
            UPSTREAM,
            attempts=(failed_at(FIRST, AttemptOutcome.TIMEOUT, FailureClass.FAILING),),
        ),
        ["AH", "UT"],
    ),
    "cut": (
        ended(CallOutcome.INCOMPLETE, attempts=(served_by(FIRST, AttemptOutcome.CUT),)),
        ["AH", "UC", "SX"],
    ),
    "an error event": (
        ended(UPSTREAM, attempts=(failed_at(FIRST, AttemptOutcome.ERROR_BODY),)),
        ["AH", "SX"],
    ),
    "an error": (
        ended(UPSTREAM, 503, attempts=(failed_at(FIRST, AttemptOutcome.SERVER_ERROR),)),
        ["AH"],
    ),
    "unseen attempts": (ended(UPSTREAM, 503, attempts=()), ["AH"]),
    "unknown model": (
        refused("model_not_found", 404, CallOutcome.CLIENT_ERROR, decision=None, attempts=()),
        ["NR"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("event", "expected"), CASES.values(), ids=CASES)
def test_a_calls_flags_say_what_was_special(event, expected):
    """In one order, each once."""
    assert expected == flags_of(event)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("overloaded", ["OM"]), ("invalid_body", ["DPE"]), ("origin_refused", [])],
)
def test_a_request_that_became_no_call_has_flags_by_its_error(code, expected):
    """There is nothing else to tell."""
    assert expected == flags_of_refused(code)
    assert set(expected) <= set(FLAGS)

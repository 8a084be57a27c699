"""Two failures are evidence where no single caller can have made both."""

from __future__ import annotations

import pytest

from sidecar.upstream.evidence import Activity, Caller, FailedCall, Suspicion
from tests.support.values import a_call

TENANTS = "several tenants are active"
BUSY = "several sessions of one tenant are active"
ALONE = "one session alone is active"


def activity(state: str = BUSY, now_s: float = 1000.0) -> Activity:
    made = Activity()
    made.others_s = now_s - (600.0 if state == ALONE else 599.0)
    made.tenants_s = now_s - (599.0 if state == TENANTS else 600.0)
    return made


def failed(
    session_id: str | None = None,
    body: bytes = b"x",
    *,
    now_s: float = 1000.0,
    duration_s: float = 0.1,
    state: str = BUSY,
    tenant: str | None = None,
) -> FailedCall:
    call = a_call(session_id=session_id, body=body, tenant=tenant)
    return FailedCall(call, activity(state, now_s), now_s - duration_s, now_s)


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (failed("s1"), failed("s2"), True),
        (failed("s1"), failed("s1", b"other"), False),
        (failed("s1", tenant="a"), failed("s1", tenant="b"), True),
        (failed("s1", tenant="a"), failed("s1", b"other", tenant="a"), False),
        (failed("s1"), failed("s1", b"other", state=ALONE), True),
        (failed("s1"), failed("s1", state=ALONE), False),
        (failed("s1"), failed("s2", state=ALONE), True),
        (failed("s1", tenant="a"), failed("s2", b"other", tenant="a", state=TENANTS), False),
        (failed(tenant="a"), failed(body=b"other", tenant="a", state=TENANTS), False),
        (failed("s1", tenant="a"), failed("s1", tenant="b", state=TENANTS), True),
        (failed("s1", tenant="a"), failed("s1", state=TENANTS), True),
        (failed("s1"), failed("s2", b"other", state=TENANTS), False),
        (failed("s1", tenant="a"), failed("s2", tenant="a"), True),
        (failed("s1", tenant="a"), failed("s1", b"other", tenant="a", state=ALONE), True),
        (failed(tenant="a"), failed(tenant="b"), True),
        (failed(), failed(), False),
        (failed(), failed(body=b"other"), True),
        (failed(), failed("s1"), False),
        (failed("s1"), failed(body=b"other"), True),
    ],
    ids=[
        "two sessions",
        "one session, two bodies, others are active",
        "two tenants with sessions of one name",
        "one session of one tenant",
        "one session alone, two bodies",
        "one session alone, the same call again",
        "two sessions, the second of which is alone now",
        "two sessions of one tenant, others are active",
        "two calls of one tenant without a session, others are active",
        "two tenants with the same call",
        "a tenant, and calls without one",
        "two sessions without a tenant, others are active",
        "two sessions of the only tenant",
        "two bodies of the only session of the only tenant",
        "two tenants without sessions",
        "the same call again, without a session",
        "two calls without a session",
        "the same body with and without a session",
        "two bodies, one of them with a session",
    ],
)
def test_failures_of_different_calls_are_evidence(earlier, later, expected):
    """Different is another tenant; where tenants cannot tell, another session; where sessions cannot
    tell, another body.
    """
    assert expected == later.confirms(earlier)


@pytest.mark.parametrize(
    ("durations_s", "apart_s", "expected"),
    [
        ((0.1, 0.1), 60.0, True),
        ((0.1, 0.1), 60.5, False),
        ((120.0, 0.1), 240.0, True),
        ((0.1, 120.0), 240.0, True),
        ((0.1, 120.0), 240.5, False),
    ],
)
def test_failures_that_lie_far_apart_are_two_incidents(durations_s, apart_s, expected):
    """A minute; calls that fail slowly, as by a timeout, have twice the longer one's duration."""
    first_s, second_s = durations_s
    earlier = failed("s1", duration_s=first_s)
    later = failed("s2", now_s=1000.0 + apart_s, duration_s=second_s)

    assert expected == later.confirms(earlier)


def test_bodies_are_told_apart_by_their_length_and_their_ends():
    """Of a long one the middle is not looked at: what it costs is bounded."""
    long = b"a" * 300_000
    same = [failed(body=long), failed(body=long[:150_000] + b"b" + long[150_001:])]
    others = [failed(body=b"b" + long[1:]), failed(body=long[:-1] + b"b"), failed(body=long[1:])]

    assert not same[1].confirms(same[0])
    assert [True] * 3 == [each.confirms(same[0]) for each in others]


def test_at_first_every_session_is_alone():
    """Nobody else was ever seen."""
    assert Caller.BODY is Activity().caller(a_call(session_id="s1", tenant="a"), 0.0)


@pytest.mark.parametrize(
    ("seen_s", "tenant", "session_id", "expected"),
    [
        (999.0, "a", "s1", Caller.BODY),
        (999.0, "a", "s2", Caller.SESSION),
        (999.0, "b", "s1", Caller.TENANT),
        (400.0, "a", "s2", Caller.BODY),
        (400.0, "b", "s1", Caller.BODY),
    ],
)
def test_a_call_that_was_not_sent_yet_is_one_of_those_that_are_active(
    seen_s, tenant, session_id, expected
):
    """The router model is asked before a call is noted: else the first failures of a second tenant
    would be told apart by their bodies.
    """
    made = Activity()
    made.tenant, made.session_id, made.seen_s = "a", "s1", seen_s

    assert expected is made.caller(a_call(tenant=tenant, session_id=session_id), 1000.0)


def test_failures_count_once_a_second_caller_has_met_one():
    """Both then, and each that follows; a success ends that."""
    suspicion = Suspicion(activity(TENANTS))
    seen = []
    for tenant in ("mallory", "mallory", "acme", "zeta", "zeta", None, "acme", "zeta"):
        if tenant is None:
            suspicion.served()
        else:
            call = a_call(tenant=tenant, session_id="s1")
            seen.append(suspicion.failed(call, 999.0, 1000.0))

    assert [0, 0, 2, 1, 0, 0, 2] == seen

"""Candidates that failed go last for a while, and no call is ever refused for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.vocabulary import CandidateCondition, FailureClass
from sidecar.upstream.cooling import EJECTED_S, Cooling
from sidecar.upstream.evidence import FailedCall
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.support.values import a_call

A, B, C = (Candidate(name, "openai/m", "m", "openai/m", frozenset()) for name in "abc")
A_OTHER_MODEL = Candidate("a", "openai/n", "n", "openai/*", frozenset())


def failed(
    penalty: Penalty = Penalty.COOL,
    retry_after_s: float | None = None,
    why: FailureClass = FailureClass.BUSY,
) -> Failure:
    return Failure(why, True, penalty, PinEffect.AWAY, retry_after_s)


def a_cooling(jitter: float = 0.0) -> Cooling:
    return Cooling(jitter=lambda: jitter)


def order(cooling: Cooling, now_s: float, *candidates: Candidate) -> tuple[str, int]:
    plan = cooling.order(Plan(candidates or (A, B, C), 3), now_s)
    return "".join(candidate.provider for candidate in plan.candidates), plan.max_attempts


def test_without_a_failure_a_plan_is_left_alone():
    """The very same plan, on every call."""
    plan = Plan((A, B), 3)
    cooling = a_cooling()
    assert plan is cooling.order(plan, 0.0)
    assert not cooling.cooldowns

    cooling.observe_failure(C, failed(), 0.0)
    assert plan is cooling.order(plan, 0.0)
    assert cooling.cooldowns


def test_a_cooling_candidate_goes_last_until_its_time_is_over():
    """The attempts stay as many as they were."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(), 10.0)

    assert [("bca", 3), ("bca", 3), ("abc", 3)] == [
        order(cooling, now_s) for now_s in (10.0, 10.9, 11.0)
    ]


def test_among_cooling_candidates_the_one_due_soonest_goes_first():
    """Equals keep their order."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(retry_after_s=9.0), 0.0)
    cooling.observe_failure(B, failed(retry_after_s=5.0), 0.0)
    assert ("cba", 3) == order(cooling, 0.0)

    cooling.observe_failure(C, failed(retry_after_s=5.0), 0.0)
    assert "b" == order(cooling, 0.0)[0][0]


def test_where_all_are_cooling_two_are_tried():
    """The call is not refused. One alone lost more calls where two providers failed by halves; the
    limit of the config holds all the same.
    """
    cooling = a_cooling()
    for each in (A, B, C):
        cooling.observe_failure(each, failed(), 0.0)
    plans = [cooling.order(Plan((A, B, C), attempts, (C,)), 0.0) for attempts in (1, 2, 9)]

    assert [(1, 0, (C,)), (2, 0, (C,)), (2, 7, (C,))] == [
        (plan.max_attempts, plan.spare_attempts, plan.requested) for plan in plans
    ]


@pytest.mark.parametrize("failing", [(A,), (A, B, C)])
def test_whoever_cools_the_model_that_was_asked_for_stays_known(failing):
    """What it would take, another one may not."""
    cooling = a_cooling()
    for each in failing:
        cooling.observe_failure(each, failed(), 0.0)

    assert "openai/asked" == cooling.order(Plan((A, B, C), 3, asked="openai/asked"), 0.0).asked


@pytest.mark.parametrize(
    ("waits", "expected"), [((9.0, 5.0, 6.0), "bac"), ((1.0, 5.0, 4.0), "acb")]
)
def test_where_all_are_cooling_the_plans_first_is_among_the_two(waits, expected):
    """A session's own model alone may be able to read its history."""
    cooling = a_cooling()
    for each, wait_s in zip((A, B, C), waits, strict=True):
        cooling.observe_failure(each, failed(retry_after_s=wait_s), 0.0)

    assert (expected, 2) == order(cooling, 0.0)


@pytest.mark.parametrize(
    ("jitter", "waits"), [(0.0, [1, 2, 4, 8, 16, 30, 30]), (0.5, [1.5, 3, 6, 12, 24, 30, 30])]
)
def test_failures_in_a_row_wait_ever_longer(jitter, waits):
    """1 to 2 s at first, doubling to 30 s."""
    cooling, now_s, seen = a_cooling(jitter), 100.0, []
    for _ in waits:
        cooling.observe_failure(A, failed(), now_s)
        due_s = cooling.due_s(A, now_s)
        assert due_s is not None
        seen.append(due_s - now_s)
        now_s = due_s

    assert waits == seen


def test_a_very_long_streak_waits_no_longer():
    """Nor does it overflow."""
    cooling, now_s = a_cooling(), 0.0
    for _ in range(2000):
        cooling.observe_failure(A, failed(), now_s)
        now_s += 30.0

    assert now_s == cooling.due_s(A, now_s - 1.0)


def test_calls_that_fail_together_count_once():
    """A hundred in flight do not make it thirty seconds; the last of them is counted from its own
    time.
    """
    cooling = a_cooling()
    for _ in range(100):
        cooling.observe_failure(A, failed(), 0.5)
    assert 1.5 == cooling.due_s(A, 0.5)

    cooling.observe_failure(A, failed(), 1.0)
    assert 2.0 == cooling.due_s(A, 1.0)


def test_retry_after_is_obeyed_and_never_shortened():
    """By a later failure that asks for less."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(retry_after_s=20.0), 0.0)
    cooling.observe_failure(A, failed(), 1.0)

    assert 20.0 == cooling.due_s(A, 1.0)


def test_a_minute_without_a_failure_forgives():
    """The next one waits shortly again."""
    cooling, now_s = a_cooling(), 0.0
    for _ in range(4):
        cooling.observe_failure(A, failed(), now_s)
        now_s = cooling.due_s(A, now_s) or now_s

    cooling.observe_failure(A, failed(), now_s + 60.0)
    assert now_s + 61.0 == cooling.due_s(A, now_s + 60.0)


def test_a_served_call_ends_it():
    """If it was sent after the failure; one that was under way before proves nothing."""
    cooling = a_cooling()
    cooling.observe_served(A, 0.0)
    cooling.observe_failure(A, failed(retry_after_s=20.0), 10.0)
    cooling.observe_served(A, 9.0)
    cooling.observe_served(B, 11.0)
    assert ("bca", 3) == order(cooling, 11.0)

    cooling.observe_served(A, 11.0)
    assert ("abc", 3) == order(cooling, 11.0)


def test_one_refusal_in_twenty_costs_the_others_nothing():
    """One model alone that is rate limited at times: every call is planned to it."""
    cooling, plans = a_cooling(), []
    for call in range(40):
        plans.append(order(cooling, float(call), A)[0])
        if call % 20 == 0:
            cooling.observe_failure(A, failed(), float(call))
        else:
            cooling.observe_served(A, float(call))

    assert ["a"] * 40 == plans


def test_ejection_lasts_minutes():
    """Until a reload makes a new one; what cools is due before it."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(Penalty.EJECT), 0.0)
    cooling.observe_failure(B, failed(), 298.0)

    assert [("cba", 3), ("bca", 3), ("abc", 3)] == [
        order(cooling, now_s) for now_s in (298.0, 299.0, 300.0)
    ]
    assert [[("a", "openai/m")], []] == [cooling.ejected(now_s) for now_s in (299.0, 300.0)]


def test_an_ejected_candidate_that_cools_later_is_ejected_no_more():
    """And one that is refused while it cools is ejected at once."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(Penalty.EJECT), 0.0)
    cooling.observe_failure(A, failed(), 10.0)
    assert [("a", "openai/m")] == cooling.ejected(20.0)

    cooling.observe_failure(A, failed(), 310.0)
    assert ([], 312.0) == (cooling.ejected(310.0), cooling.due_s(A, 310.0))
    cooling.observe_failure(A, failed(Penalty.EJECT), 311.0)
    assert [("a", "openai/m")] == cooling.ejected(311.0)


def test_what_leaves_candidates_alone_changes_nothing():
    """A caller's fault, or a caller's own key."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(Penalty.NONE, retry_after_s=20.0), 0.0)

    assert ("abc", 3) == order(cooling, 0.0)


FAILING = Failure(FailureClass.FAILING, True, Penalty.COOL_ON_EVIDENCE, PinEffect.AWAY)


def call_of(cooling: Cooling, session_id: str, now_s: float) -> FailedCall:
    return FailedCall(a_call(session_id=session_id), cooling.activity, now_s - 0.1, now_s)


def fails(cooling: Cooling, session_id: str, now_s: float, candidate: Candidate = A) -> bool:
    """A call of a session fails, while others are active. Returns: whether that is held against
    the candidate.
    """
    cooling.activity.others_s = now_s
    return cooling.observe_failure(candidate, FAILING, now_s, call_of(cooling, session_id, now_s))


def test_one_callers_failures_change_nothing_for_the_others():
    """However many: what made them may be the caller's own prompt."""
    cooling = a_cooling()
    seen = {fails(cooling, "s1", float(number)) for number in range(100)}

    assert ({False}, ("abc", 3), 0) == (seen, order(cooling, 99.0), len(cooling.cooldowns))


def test_failures_of_two_callers_let_a_candidate_cool():
    """From the second one on, and for longer with each that follows."""
    cooling = a_cooling()

    assert [False, True] == [fails(cooling, "s1", 0.0), fails(cooling, "s2", 1.0)]
    assert 2.0 == cooling.due_s(A, 1.0)
    assert [True, False, True] == [
        fails(cooling, session_id, now_s)
        for session_id, now_s in (("s1", 2.0), ("s1", 3.0), ("s2", 4.0))
    ]
    assert 8.0 == cooling.due_s(A, 4.0)


def test_one_caller_does_not_lengthen_a_cooldown():
    """While the candidate cools, and is tried since all others do."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(retry_after_s=20.0), 0.0)
    seen = [fails(cooling, "s1", float(now_s)) for now_s in range(1, 30)]

    assert ({False}, None) == (set(seen), cooling.due_s(A, 20.0))


def test_a_success_between_two_failures_clears_a_candidate():
    """Whoever was served, and also by a call that was under way before: it works."""
    cooling = a_cooling()
    fails(cooling, "s1", 10.0)
    cooling.observe_served(A, 9.0)
    assert not fails(cooling, "s2", 11.0)

    cooling.observe_served(B, 12.0)
    assert fails(cooling, "s1", 12.5)


def test_one_call_that_is_heard_of_twice_clears_nobody():
    """Its response may still end with an error event."""
    cooling = a_cooling()
    fails(cooling, "s1", 10.0)
    cooling.observe_served(A, 10.5)
    cooling.observe_served(A, 10.5)

    assert cooling.suspects


def test_a_failure_of_which_nobody_is_known_is_no_evidence():
    """It is kept nowhere."""
    cooling = a_cooling()

    assert not cooling.observe_failure(A, FAILING, 0.0)
    assert not cooling.suspects


def test_suspects_do_not_grow_the_memory():
    """The oldest is forgotten for a new one, and no cooldown is."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(retry_after_s=300.0), 0.0)
    for index in range(1100):
        invented = Candidate("w", f"openai/{index}", str(index), "openai/*", frozenset())
        fails(cooling, "s1", 0.0, invented)

    assert (1024, 300.0) == (len(cooling.suspects), cooling.due_s(A, 0.0))


@pytest.mark.parametrize("penalty", Penalty)
def test_what_is_held_against_a_candidate_is_told(penalty):
    """So that only such failures count among its first bytes."""
    cooling = a_cooling()
    is_held = penalty in (Penalty.COOL, Penalty.EJECT)

    assert is_held == cooling.observe_failure(A, failed(penalty), 0.0)


def test_models_of_one_entry_are_kept_apart():
    """A limit on one model says nothing about another."""
    cooling = a_cooling()
    cooling.observe_failure(A_OTHER_MODEL, failed(), 0.0)

    assert ("abc", 3) == order(cooling, 0.0)


def test_invented_models_do_not_grow_the_memory():
    """The oldest failure is forgotten for a new one."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(retry_after_s=300.0), 0.0)
    cooling.observe_failure(B, failed(retry_after_s=300.0), 0.0)
    for index in range(1023):
        cooling.observe_failure(
            Candidate("w", f"openai/{index}", str(index), "openai/*", frozenset()), failed(), 0.0
        )

    assert [None, 300.0] == [cooling.due_s(candidate, 0.0) for candidate in (A, B)]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([A, B, C]),
        st.sampled_from(Penalty),
        st.none() | st.floats(0.001, 300.0),
        st.floats(0.0, 100.0),
        st.booleans(),
    )
)


@given(EVENTS, st.floats(0.0, 1.0, exclude_max=True))
def test_order_never_loses_a_candidate(events, jitter):
    """And at least one is tried; without new failures all are ready after five minutes."""
    cooling, now_s = a_cooling(jitter), 0.0
    for candidate, penalty, wait_s, later_s, is_served in events:
        now_s += later_s
        if is_served:
            cooling.observe_served(candidate, now_s)
        else:
            cooling.observe_failure(candidate, failed(penalty, wait_s), now_s)
        ordered, attempts = order(cooling, now_s)
        assert ("abc", True) == ("".join(sorted(ordered)), attempts in (2, 3))

    assert ("abc", 3) == order(cooling, now_s + 301.0)


def test_what_is_ejected_is_named_as_the_config_names_it():
    """A wildcard's models are the clients' to invent: its entry is shown once, however many of them
    were refused.
    """
    cooling = a_cooling()
    for number in range(20):
        cooling.observe_failure(
            Candidate("a", f"openai/{number}", str(number), "openai/*", frozenset()),
            failed(Penalty.EJECT),
            0.0,
        )

    assert [("a", "openai/*")] == cooling.ejected(1.0)


def test_resetting_an_entry_ends_its_ejections_only():
    """The entry's other failures, and other entries, wait on."""
    cooling = a_cooling()
    cooling.observe_failure(A, failed(Penalty.EJECT), 0.0)
    cooling.observe_failure(A_OTHER_MODEL, failed(), 0.0)
    cooling.observe_failure(B, failed(Penalty.EJECT), 0.0)
    cooling.reset_ejections("a", 0.4)

    assert (None, 1.0, 300.0) == tuple(cooling.due_s(each, 0.5) for each in (A, A_OTHER_MODEL, B))


def test_a_call_sent_before_an_entry_was_mended_tells_nothing_of_it():
    """Its key has been replaced meanwhile, or the config."""
    cooling = a_cooling()
    cooling.reset_ejections("a", 5.0)

    assert [True, False, False] == [
        cooling.is_outdated(*each) for each in (("a", 4.9), ("a", 5.0), ("b", 4.9))
    ]


def test_what_is_ejected_can_be_told_while_calls_fail():
    """Whoever reads it, nothing is missed or raised for a failure that comes meanwhile."""
    cooling = a_cooling()

    class Racing:
        """Another candidate fails in the moment in which this one is looked at."""

        metric_model = "openai/m"
        due_s = 9.0

        @property
        def is_ejected(self) -> bool:
            cooling.observe_failure(B, failed(Penalty.EJECT), 0.0)
            return True

    cooling.cooldowns["a", "m"] = Racing()  # type: ignore[assignment] # as much of one as is looked at

    assert [("a", "openai/m")] == cooling.ejected(1.0)


def test_each_configured_candidate_tells_how_it_stands_and_why():
    """An ejection keeps its reason while it lasts; what is over is over."""
    cooling, configured = a_cooling(), [("a", "openai/m"), ("b", "openai/m"), ("c", "openai/m")]
    cooling.observe_failure(A, failed(), 0.0)
    cooling.observe_failure(B, failed(Penalty.EJECT, why=FailureClass.QUOTA), 0.0)
    cooling.observe_failure(B, failed(), 0.5)
    serving, ejected = CandidateCondition.SERVING, CandidateCondition.EJECTED

    assert [
        ("a", CandidateCondition.COOLING, FailureClass.BUSY),
        ("b", ejected, FailureClass.QUOTA),
        ("c", serving, None),
    ] == [
        (each.account, each.condition, each.reason) for each in cooling.snapshots(configured, 0.9)
    ]
    assert [serving, ejected, serving] == [
        each.condition for each in cooling.snapshots(configured, 200.0)
    ]


def test_a_candidate_that_waits_tells_for_how_long():
    """Operators see until when; one that serves waits for nothing."""
    cooling, configured = a_cooling(), [("b", "openai/m"), ("c", "openai/m")]
    cooling.observe_failure(B, failed(Penalty.EJECT, why=FailureClass.QUOTA), 10.0)

    assert [EJECTED_S - 60.0, None] == [each.left_s for each in cooling.snapshots(configured, 70.0)]


def test_a_wildcard_entry_stands_as_the_worst_of_its_models():
    """Which the app's callers name; it is one candidate all the same."""
    cooling = a_cooling()
    for number, penalty in enumerate((Penalty.COOL, Penalty.EJECT, Penalty.COOL)):
        model = Candidate("w", f"openai/{number}", str(number), "openai/*", frozenset())
        cooling.observe_failure(model, failed(penalty), 0.0)

    assert [("openai/*", CandidateCondition.EJECTED)] == [
        (each.model, each.condition) for each in cooling.snapshots([("w", "openai/*")], 0.5)
    ]

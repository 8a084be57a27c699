"""Candidates that failed go last for a while, and no call is ever refused for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.failure import Failure, Hold, PinEffect

A, B, C = (Candidate(name, "openai/m", "m", "openai/m", frozenset()) for name in "abc")
A_OTHER_MODEL = Candidate("a", "openai/n", "n", "openai/*", frozenset())


def failed(hold: Hold = Hold.COOL, retry_after_s: float | None = None) -> Failure:
    return Failure(FailureClass.CAPACITY, True, hold, PinEffect.AWAY, retry_after_s)


def cooling(jitter: float = 0.0) -> Cooling:
    return Cooling(jitter=lambda: jitter)


def order(book: Cooling, now_s: float, *candidates: Candidate) -> tuple[str, int]:
    plan = book.order(Plan(candidates or (A, B, C), 3), now_s)
    return "".join(candidate.provider for candidate in plan.candidates), plan.max_attempts


def test_without_a_failure_a_plan_is_left_alone():
    """The very same plan, on every call."""
    plan = Plan((A, B), 3)
    book = cooling()
    assert plan is book.order(plan, 0.0)
    assert not book.holds_any

    book.observe(C, failed(), 0.0)
    assert plan is book.order(plan, 0.0)
    assert book.holds_any


def test_a_cooling_candidate_goes_last_until_its_time_is_over():
    """The attempts stay as many as they were."""
    book = cooling()
    book.observe(A, failed(), 10.0)

    assert [("bca", 3), ("bca", 3), ("abc", 3)] == [
        order(book, now_s) for now_s in (10.0, 10.9, 11.0)
    ]


def test_among_cooling_candidates_the_one_due_soonest_goes_first():
    """Equals keep their order."""
    book = cooling()
    book.observe(A, failed(retry_after_s=9.0), 0.0)
    book.observe(B, failed(retry_after_s=5.0), 0.0)
    assert ("cba", 3) == order(book, 0.0)

    book.observe(C, failed(retry_after_s=5.0), 0.0)
    assert ("bca", 1) == order(book, 0.0)


def test_where_all_are_cooling_one_is_tried_once():
    """The call is not refused: the answer of the one due soonest is the app's."""
    book = cooling()
    book.observe(A, failed(), 0.0)

    assert ("a", 1) == order(book, 0.0, A)


@pytest.mark.parametrize(
    ("jitter", "waits"), [(0.0, [1, 2, 4, 8, 16, 30, 30]), (0.5, [1.5, 3, 6, 12, 24, 30, 30])]
)
def test_failures_in_a_row_wait_ever_longer(jitter, waits):
    """1 to 2 s at first, doubling to 30 s."""
    book, now_s, seen = cooling(jitter), 100.0, []
    for _ in waits:
        book.observe(A, failed(), now_s)
        due_s = book.due_s(A, now_s)
        assert due_s is not None
        seen.append(due_s - now_s)
        now_s = due_s

    assert waits == seen


def test_a_very_long_streak_waits_no_longer():
    """Nor does it overflow."""
    book, now_s = cooling(), 0.0
    for _ in range(2000):
        book.observe(A, failed(), now_s)
        now_s += 30.0

    assert now_s == book.due_s(A, now_s - 1.0)


def test_calls_that_fail_together_count_once():
    """A hundred in flight do not make it thirty seconds; the last of them is counted from its own
    time.
    """
    book = cooling()
    for _ in range(100):
        book.observe(A, failed(), 0.5)
    assert 1.5 == book.due_s(A, 0.5)

    book.observe(A, failed(), 1.0)
    assert 2.0 == book.due_s(A, 1.0)


def test_retry_after_is_obeyed_and_never_shortened():
    """By a later failure that asks for less."""
    book = cooling()
    book.observe(A, failed(retry_after_s=20.0), 0.0)
    book.observe(A, failed(), 1.0)

    assert 20.0 == book.due_s(A, 1.0)


def test_a_minute_without_a_failure_forgives():
    """The next one waits shortly again."""
    book, now_s = cooling(), 0.0
    for _ in range(4):
        book.observe(A, failed(), now_s)
        now_s = book.due_s(A, now_s) or now_s

    book.observe(A, failed(), now_s + 60.0)
    assert now_s + 61.0 == book.due_s(A, now_s + 60.0)


def test_a_served_call_ends_it():
    """If it was sent after the failure; one that was under way before proves nothing."""
    book = cooling()
    book.served(A, 0.0)
    book.observe(A, failed(retry_after_s=20.0), 10.0)
    book.served(A, 9.0)
    book.served(B, 11.0)
    assert ("bca", 3) == order(book, 11.0)

    book.served(A, 11.0)
    assert ("abc", 3) == order(book, 11.0)


def test_one_refusal_in_twenty_costs_the_others_nothing():
    """One model alone that is rate limited at times: every call is planned to it."""
    book, plans = cooling(), []
    for call in range(40):
        plans.append(order(book, float(call), A)[0])
        if call % 20 == 0:
            book.observe(A, failed(), float(call))
        else:
            book.served(A, float(call))

    assert ["a"] * 40 == plans


def test_ejection_lasts_minutes():
    """Until a reload makes a new book; what cools is due before it."""
    book = cooling()
    book.observe(A, failed(Hold.EJECT), 0.0)
    book.observe(B, failed(), 298.0)

    assert [("cba", 3), ("bca", 3), ("abc", 3)] == [
        order(book, now_s) for now_s in (298.0, 299.0, 300.0)
    ]
    assert [[("a", "openai/m")], []] == [book.ejected(now_s) for now_s in (299.0, 300.0)]


def test_an_ejected_candidate_that_cools_later_is_ejected_no_more():
    """And one that is refused while it cools is ejected at once."""
    book = cooling()
    book.observe(A, failed(Hold.EJECT), 0.0)
    book.observe(A, failed(), 10.0)
    assert [("a", "openai/m")] == book.ejected(20.0)

    book.observe(A, failed(), 310.0)
    assert ([], 312.0) == (book.ejected(310.0), book.due_s(A, 310.0))
    book.observe(A, failed(Hold.EJECT), 311.0)
    assert [("a", "openai/m")] == book.ejected(311.0)


def test_what_leaves_candidates_alone_changes_nothing():
    """A caller's fault, or a caller's own key."""
    book = cooling()
    book.observe(A, failed(Hold.NONE, retry_after_s=20.0), 0.0)

    assert ("abc", 3) == order(book, 0.0)


def test_models_of_one_entry_are_kept_apart():
    """A limit on one model says nothing about another."""
    book = cooling()
    book.observe(A_OTHER_MODEL, failed(), 0.0)

    assert ("abc", 3) == order(book, 0.0)


def test_invented_models_do_not_grow_the_memory():
    """The oldest failure is forgotten for a new one."""
    book = cooling()
    book.observe(A, failed(retry_after_s=300.0), 0.0)
    book.observe(B, failed(retry_after_s=300.0), 0.0)
    for index in range(1023):
        book.observe(
            Candidate("w", f"openai/{index}", str(index), "openai/*", frozenset()), failed(), 0.0
        )

    assert [None, 300.0] == [book.due_s(candidate, 0.0) for candidate in (A, B)]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([A, B, C]),
        st.sampled_from(Hold),
        st.none() | st.floats(0.001, 300.0),
        st.floats(0.0, 100.0),
        st.booleans(),
    )
)


@given(EVENTS, st.floats(0.0, 1.0, exclude_max=True))
def test_order_never_loses_a_candidate(events, jitter):
    """And at least one is tried; without new failures all are ready after five minutes."""
    book, now_s = cooling(jitter), 0.0
    for candidate, hold, wait_s, later_s, is_served in events:
        now_s += later_s
        if is_served:
            book.served(candidate, now_s)
        else:
            book.observe(candidate, failed(hold, wait_s), now_s)
        ordered, attempts = order(book, now_s)
        assert ("abc", True) == ("".join(sorted(ordered)), attempts in (1, 3))

    assert ("abc", 3) == order(book, now_s + 301.0)


def test_what_is_ejected_is_named_as_the_config_names_it():
    """A wildcard's models are the clients' to invent: its entry is shown once, however many of them
    were refused.
    """
    book = cooling()
    for number in range(20):
        book.observe(
            Candidate("a", f"openai/{number}", str(number), "openai/*", frozenset()),
            failed(Hold.EJECT),
            0.0,
        )

    assert [("a", "openai/*")] == book.ejected(1.0)


def test_a_pardon_is_for_what_was_ejected():
    """The entry's other failures, and other entries, wait on."""
    book = cooling()
    book.observe(A, failed(Hold.EJECT), 0.0)
    book.observe(A_OTHER_MODEL, failed(), 0.0)
    book.observe(B, failed(Hold.EJECT), 0.0)
    book.reset_ejections("a")

    assert (None, 1.0, 300.0) == tuple(book.due_s(each, 0.5) for each in (A, A_OTHER_MODEL, B))


def test_what_is_ejected_can_be_told_while_calls_fail():
    """Metrics are rendered in another thread."""
    book = cooling()

    class Racing:
        """Another candidate fails in the moment in which this one is looked at."""

        metric_model = "openai/m"
        due_s = 9.0

        @property
        def is_ejected(self) -> bool:
            book.observe(B, failed(Hold.EJECT), 0.0)
            return True

    book._held["a", "m"] = Racing()  # type: ignore[assignment] # as much of one as is looked at

    assert [("a", "openai/m")] == book.ejected(1.0)

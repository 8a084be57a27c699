"""Which candidate comes next, and how the requested model gets its turn."""

from __future__ import annotations

import pytest

from sidecar.domain.decision import Candidate, Plan
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.attempts import FailedAttempt
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from sidecar.upstream.walk import Walk, in_own_name


def candidate(name: str, *, passthrough_auth: bool = False) -> Candidate:
    return Candidate(name, f"openai/{name}", name, f"openai/{name}", frozenset(), passthrough_auth)


A, B, C, R, S = (candidate(name) for name in "abcrs")
OWN = candidate("own", passthrough_auth=True)
BY_NAME = {each.provider: each for each in (A, B, C, R, S, OWN)}
FAILURES = {
    "busy": Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY),
    "swapped": Failure(FailureClass.SWAPPED, True, Penalty.NONE, PinEffect.MOVES),
    "signed": Failure(FailureClass.SIGNED_STATE, True, Penalty.NONE, PinEffect.FOLLOWS),
    "renewed": Failure(
        FailureClass.OUR_CREDENTIAL,
        True,
        Penalty.NONE,
        PinEffect.UNTOUCHED,
        tries_again=True,
    ),
    "fault": Failure(FailureClass.CALLERS_FAULT, False, Penalty.NONE, PinEffect.UNTOUCHED),
}


def walked(
    candidates: str,
    max_attempts: int,
    requested: str,
    failures: dict[str, str],
    cooling: str = "",
    spare_attempts: int = 0,
) -> str:
    """Return the candidates that are tried; those without an entry in ``failures`` are busy."""
    plan = Plan(
        tuple(BY_NAME[name] for name in candidates),
        max_attempts,
        tuple(BY_NAME[name] for name in requested),
        spare_attempts,
    )
    walk = Walk(plan, plan.candidates[0], lambda each: each.provider in cooling)
    failed: list[FailedAttempt] = []
    tried: Candidate | None = plan.candidates[0]
    while tried is not None:
        failed.append(FailedAttempt(tried, FAILURES[failures.get(tried.provider, "busy")]))
        tried = walk.next(failed)
    return "".join(each.candidate.provider for each in failed)


@pytest.mark.parametrize(
    ("candidates", "max_attempts", "requested", "failures", "expected"),
    [
        ("abc", 3, "a", {}, "abc"),
        ("abc", 2, "a", {}, "ab"),
        ("abc", 1, "r", {"a": "swapped"}, "a"),
        ("abc", 3, "b", {"b": "fault"}, "ab"),
        ("a", 3, "r", {}, "a"),
        ("a", 3, "r", {"a": "swapped"}, "ar"),
        ("a", 3, "", {"a": "swapped"}, "a"),
        ("abc", 3, "r", {"a": "swapped"}, "abr"),
        ("abc", 2, "r", {"a": "swapped"}, "ar"),
        ("abc", 9, "r", {"b": "swapped"}, "abcr"),
        ("abc", 3, "r", {"c": "swapped"}, "abc"),
        ("arbc", 3, "r", {"a": "swapped"}, "arb"),
        ("abcr", 3, "r", {"a": "swapped"}, "abr"),
        ("abcr", 4, "r", {"a": "swapped"}, "abcr"),
        ("rab", 3, "rs", {"a": "swapped"}, "rab"),
        ("ab", 9, "rs", {"a": "swapped"}, "abr"),
    ],
    ids=[
        "in the plan's order",
        "as many as are allowed",
        "one attempt is one attempt",
        "the requested model's refusal ends it",
        "without a refusal the requested model is not appended",
        "a refusal appends it",
        "unless it does not speak the dialect",
        "the last attempt is its",
        "also where two are allowed",
        "at the end of the plan",
        "the last attempt of all was the refusal",
        "it has had its turn",
        "it is brought forward",
        "it comes in its own turn",
        "it was tried first",
        "once, also where it is a group",
    ],
)
def test_the_last_attempt_is_kept_for_the_requested_model_once_another_has_refused(
    candidates, max_attempts, requested, failures, expected
):
    """What one model refuses as wrong another one may serve, and the app has asked for that."""
    assert expected == walked(candidates, max_attempts, requested, failures)


@pytest.mark.parametrize(("cooling", "expected"), [("r", "as"), ("rs", "ar"), ("s", "ar")])
def test_of_a_requested_group_one_that_does_not_cool_is_kept(cooling, expected):
    """Where all of them do, the first one."""
    assert expected == walked("a", 3, "rs", {"a": "swapped"}, cooling)


@pytest.mark.parametrize(
    ("failures", "spare_attempts", "expected"),
    [
        ({"b": "signed"}, 0, "ab"),
        ({"b": "signed"}, 1, "abc"),
        ({"a": "signed"}, 1, "abc"),
        ({"a": "signed", "b": "signed"}, 1, "abc"),
        ({"a": "signed", "b": "signed"}, 2, "abcs"),
        ({}, 2, "ab"),
        ({"b": "fault"}, 2, "ab"),
    ],
)
def test_a_refusal_of_this_one_call_may_be_made_up_for(failures, spare_attempts, expected):
    """Where all cool, two are tried: a model that cannot read the history is none of them, and a
    third one might serve.
    """
    assert expected == walked("abcs", 2, "", failures, spare_attempts=spare_attempts)


def test_the_last_one_is_known_as_the_last():
    """An attempt that nothing follows may take all the time that there is."""
    walk = Walk(Plan((A, B, C), 9), A, lambda _each: False)
    failed = [FailedAttempt(A, FAILURES["busy"])]
    seen = [(walk.next(failed), walk.is_last), (walk.next(failed), walk.is_last)]
    bounded = Walk(Plan((A, B, C), 2), A, lambda _each: False)

    assert [(B, False), (C, True)] == seen
    assert (B, True) == (bounded.next(failed), bounded.is_last)


def test_a_callers_credential_goes_to_no_other_provider():
    """Neither on the way nor at its end; to the one that the call was meant for it may go."""
    swapped = [FailedAttempt(A, FAILURES["swapped"])]

    assert None is Walk(Plan((A, OWN), 3, (OWN,)), A, lambda _each: False).next(swapped)
    assert OWN is Walk(Plan((A, OWN), 3, (OWN,)), OWN, lambda _each: False).next(swapped)


def test_a_plan_in_its_own_name_lacks_those_that_would_get_the_callers_credential():
    """But for the one that was meant; a plan without any stays what it is."""
    plan = Plan((A, B), 3, (R,))

    assert plan is in_own_name(plan, A)
    assert Plan((A,), 3, (R,)) == in_own_name(Plan((A, OWN), 3, (R,)), A)
    assert Plan((A, OWN), 3, (R,)) == in_own_name(Plan((A, OWN), 3, (R,)), OWN)
    assert "openai/r" == in_own_name(Plan((A, OWN), 3, asked="openai/r"), A).asked


def test_a_candidate_with_another_key_is_tried_once_more_beyond_the_attempts():
    """The refusal of the old key says nothing of it, and takes no other candidate's place."""
    walk = Walk(Plan((A, B, C), 2, (A,)), A, lambda _: False)
    failed = [FailedAttempt(A, FAILURES["renewed"])]
    again = walk.next(failed), walk.is_last
    failed.append(FailedAttempt(A, FAILURES["busy"]))
    following = walk.next(failed), walk.is_last
    failed.append(FailedAttempt(B, FAILURES["busy"]))

    assert ((A, False), (B, True)) == (again, following)
    assert None is walk.next(failed)


@pytest.mark.parametrize(
    ("candidates", "max_attempts", "expected"),
    [((A,), 3, True), ((A, B), 1, True), ((A, B), 2, False)],
)
def test_the_first_candidate_may_be_the_last(candidates, max_attempts, expected):
    """Where it is alone, or one attempt is all."""
    assert expected is Walk(Plan(candidates, max_attempts, (A,)), A, lambda _: False).is_last

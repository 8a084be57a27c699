"""A session's pins and every change of them, on tables of what stands, what is changed, and what
others have changed meanwhile.
"""

from __future__ import annotations

import dataclasses

import pytest

from sidecar.affinity.lanes import (
    FIRST_LANE,
    MAX_LANES,
    NO_LANES,
    Lanes,
    claim,
    labelled,
    merge,
    release,
    replace,
    smaller,
)
from sidecar.domain.decision import Binding


def pin(lane: str | None, model: str = "m", bound_at_unix_s: float = 0.0) -> Binding:
    return Binding(model, None, lane, 1, bound_at_unix_s)


A, B, C = pin("a", "ma", 1.0), pin("b", "mb", 2.0), pin("c", "mc", 3.0)
A2, A3, B2 = pin("a", "ma2", 1.0), pin("a", "ma3", 1.0), pin("b", "mb2", 2.0)
PLANOS = pin(None, "plano")
PLANOS_A = pin("a", "plano")


def of(*bindings: Binding) -> Lanes:
    return Lanes(bindings)


@pytest.mark.parametrize(
    ("standing", "binding", "expected"),
    [
        (of(), A, of(A)),
        (of(A), A2, of(A)),
        (of(A), B, of(A, B)),
        (of(A, B), B2, of(A, B)),
        (of(), pin(None, "ma", 1.0), of(A)),
        (of(PLANOS), A, of(PLANOS_A)),
        (of(PLANOS, B), A, of(PLANOS_A, B)),
        (of(PLANOS, B), B2, of(PLANOS, B)),
    ],
)
def test_a_claim_binds_a_lane_that_is_free(standing, binding, expected):
    """The lane of plano's binding is that which asks first."""
    assert expected == claim(standing, binding.requested_model or "a", binding)


@pytest.mark.parametrize(
    ("standing", "lane", "seen", "binding", "expected"),
    [
        (of(A), "a", A, A2, of(A2)),
        (of(A, B), "b", B, B2, of(A, B2)),
        (of(A2), "a", A, A3, of(A2)),
        (of(B), "a", A, A2, of(B)),
        (of(), "a", A, A2, of()),
        (of(A), "a", A, pin(None, "ma2", 1.0), of(A2)),
    ],
)
def test_a_replace_takes_the_place_of_what_was_seen(standing, lane, seen, binding, expected):
    """And of nothing else."""
    assert expected == replace(standing, lane, seen, binding)


@pytest.mark.parametrize(
    ("standing", "lane", "seen", "expected"),
    [
        (of(A), "a", A, of()),
        (of(A2), "a", A, of(A2)),
        (of(), "a", A, of()),
        (of(A, B, C), "b", B, of(A, C)),
        (of(A, C, B), "a", A, of(B, C)),
    ],
)
def test_a_release_drops_what_was_seen(standing, lane, seen, expected):
    """A first lane is succeeded by the one that was bound longest ago."""
    assert expected == release(standing, lane, seen)


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "expected"),
    [
        # Mine is changed, theirs is not.
        (of(), of(A), of(), of(A)),
        (of(A), of(A2), of(A), of(A2)),
        (of(A), of(), of(A), of()),
        # Theirs is changed, mine is not.
        (of(A), of(A), of(A2), of(A2)),
        (of(A), of(A), of(), of()),
        # Another lane is changed: both.
        (of(), of(A), of(B), of(B, A)),
        (of(A), of(A2), of(A, B), of(A2, B)),
        (of(A, B), of(A2, B), of(A, B2), of(A2, B2)),
        (of(A, B), of(B), of(A, B2), of(B2)),
        (of(A, B), of(A2, B), of(A), of(A2)),
        # My lane is changed: theirs.
        (of(), of(A), of(A2), of(A2)),
        (of(A), of(A2), of(A3), of(A3)),
        (of(A), of(), of(A2), of(A2)),
        (of(A), of(A2), of(B), of(B)),
        # Plano's, of no lane: the first one's, and the others stand beside it.
        (of(A, B), of(A, B), of(PLANOS), of(PLANOS_A, B)),
        (of(), of(A), of(PLANOS), of(PLANOS_A)),
        (of(), of(), of(PLANOS), of(PLANOS)),
        (of(PLANOS), of(PLANOS), of(PLANOS), of(PLANOS)),
    ],
)
def test_a_change_is_made_again_on_what_stands_now(base, mine, theirs, expected):
    """What is lost to another lane is tried again; what is lost to the same lane is adopted."""
    assert expected == merge(base, mine, theirs)


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "expected"),
    [
        (of(A, B), of(A, B), of(), of(A, B)),
        (of(A, B), of(A2, B), of(), of(A2, B)),
        (of(A, B), of(A, B), of(A2, C), of(A2, C, B)),
        (of(A), of(A), of(A), of(A)),
    ],
)
def test_lanes_that_a_server_may_have_lost_are_put_back(base, mine, theirs, expected):
    """Where the first writer has not come before."""
    assert expected == merge(base, mine, theirs, revives=True)


def test_a_session_has_so_many_lanes_and_the_oldest_but_the_first_makes_room():
    """Whatever the clock of the one that was just bound says."""
    full = Lanes(tuple(pin(str(n), "m", float(n)) for n in range(MAX_LANES)))
    new = pin("new", "m", -1.0)
    kept = claim(full, "new", new).bindings

    assert (MAX_LANES, "0", "2", new) == (
        len(kept),
        kept[0].requested_model,
        kept[1].requested_model,
        kept[-1],
    )


def test_what_is_not_known_stays_with_the_lanes():
    """Through every change."""
    unknown = {None: {"x": 1}, "a": {"y": 2}}
    lanes = Lanes((A,), unknown)
    changed = [
        claim(lanes, "b", B),
        replace(lanes, "a", A, A2),
        release(lanes, "a", A),
        labelled(lanes, "z"),
        merge(lanes, Lanes((A2,), unknown), lanes),
        merge(of(A), of(A2), lanes),
    ]

    assert [unknown] * 6 == [each.unknown for each in changed]


def test_lanes_get_smaller_by_what_matters_least():
    """The lane that was bound longest ago, what is not known, then all."""
    lanes = Lanes((C, A, B), {None: {"x": 1}})
    steps = []
    while lanes.bindings:
        lanes = smaller(lanes)
        steps.append((lanes.bindings, bool(lanes.unknown)))

    assert [((C, B), True), ((C,), True), ((C,), False), ((), False)] == steps
    assert NO_LANES == lanes


def test_a_lane_is_found_by_its_name():
    """None is that of plano's own."""
    lanes = of(PLANOS, B)

    assert [PLANOS, B, None] == [lanes.of(lane) for lane in (None, "b", "c")]
    assert dataclasses.replace(PLANOS, requested_model="c") == labelled(lanes, "c").of("c")


def test_a_call_that_names_no_model_is_of_the_first_lane():
    """Whichever that is; without one there is none, and nothing is bound to it."""
    first, second = Binding("a", requested_model="x"), Binding("b", requested_model="y")

    assert [first, second, None] == [
        Lanes((first, second)).of(FIRST_LANE),
        Lanes((second,)).of(FIRST_LANE),
        NO_LANES.of(FIRST_LANE),
    ]
    assert None is Lanes((first,)).of("z")

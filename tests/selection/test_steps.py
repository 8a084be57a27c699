"""What comes next for a call: every situation, and the page that shows them to people."""

from __future__ import annotations

import pytest

import sidecar.selection
from sidecar.domain.decision import Binding
from sidecar.selection.steps import (
    BYPASSES,
    FIRST_STEPS,
    PINNING_STEPS,
    STANDING_STEPS,
    CallKind,
    PinState,
    Standing,
    Step,
    Strength,
    pinning_step,
    standing_step,
)

FIRM, PROVISIONAL = Binding("m"), Binding("m", provisional=True)
OTHER_FIRM, OTHER_PROVISIONAL = Binding("x"), Binding("x", provisional=True)


def tables_of_the_page() -> list[list[tuple[str, ...]]]:
    """The tables in the room's page, row by row, without their heads."""
    tables: list[list[tuple[str, ...]]] = [[]]
    for line in (sidecar.selection.__doc__ or "").splitlines():
        if line.startswith("|"):
            tables[-1].append(tuple(cell.strip() for cell in line.strip("|").split("|")))
        elif tables[-1]:
            tables.append([])
    return [rows[2:] for rows in tables if rows]


def test_the_page_shows_the_tables_of_the_code():
    """A person who reads the page knows what the code does: no row more, none less."""
    first = [
        (state.value, *(step.value for step in row), BYPASSES.get(state, "-"))
        for state, row in FIRST_STEPS.items()
    ]
    pinning = [(own.value, seen.value, step.value) for (own, seen), step in PINNING_STEPS.items()]
    standing = [
        (whose.value, "yes" if may else "no", step.value)
        for (whose, may), step in STANDING_STEPS.items()
    ]

    assert [first, pinning, standing] == tables_of_the_page()


def test_every_situation_has_its_row():
    """Nothing can come that the tables do not know."""
    assert set(PinState) == set(FIRST_STEPS)
    assert {(own, seen) for own in Strength for seen in Strength} == set(PINNING_STEPS)
    assert {(whose, may) for whose in Standing for may in (False, True)} == set(STANDING_STEPS)


@pytest.mark.parametrize(
    ("state", "routed", "grouped", "other"),
    [
        (PinState.NO_SESSION, Step.ASK, Step.SERVE_REQUESTED, Step.SERVE_REQUESTED),
        (PinState.UNREAD, Step.READ_PIN, Step.READ_PIN, Step.READ_PIN),
        (PinState.NONE, Step.ASK_AND_CLAIM, Step.CLAIM_REQUESTED, Step.SERVE_REQUESTED),
        (PinState.USABLE, Step.SERVE_PINNED, Step.SERVE_PINNED, Step.SERVE_PINNED),
        (PinState.PROVISIONAL, Step.ASK_AND_REPLACE, Step.SERVE_REQUESTED, Step.SERVE_REQUESTED),
        (PinState.OFF_LIST, Step.ASK, Step.SERVE_REQUESTED, Step.SERVE_REQUESTED),
        (PinState.OTHER_DIALECT, Step.ASK, Step.SERVE_REQUESTED, Step.SERVE_REQUESTED),
        (PinState.UNKNOWN_MODEL, Step.ASK, Step.SERVE_REQUESTED, Step.SERVE_REQUESTED),
        (PinState.OUTDATED, Step.ASK_AND_REPLACE, Step.REPLACE_REQUESTED, Step.SERVE_REQUESTED),
    ],
)
def test_a_pins_state_says_what_comes_first(state, routed, grouped, other):
    """For a call that is routed, for one that is not, and for one that makes no pin."""
    assert [routed, grouped, other] == [FIRST_STEPS[state][kind] for kind in CallKind]


@pytest.mark.parametrize(
    ("own", "seen", "expected"),
    [
        (None, None, Step.SERVE_OWN),
        (None, PROVISIONAL, Step.SERVE_OWN),
        (None, FIRM, Step.SERVE_OWN),
        (PROVISIONAL, None, Step.CLAIM),
        (PROVISIONAL, OTHER_PROVISIONAL, Step.ADOPT),
        (PROVISIONAL, OTHER_FIRM, Step.REPLACE),
        (FIRM, None, Step.CLAIM),
        (FIRM, OTHER_PROVISIONAL, Step.REPLACE),
        (FIRM, OTHER_FIRM, Step.REPLACE),
    ],
)
def test_a_routed_call_claims_replaces_or_adopts(own, seen, expected):
    """A provisional pin is not replaced by another one of its kind."""
    assert expected is pinning_step(own, seen)


@pytest.mark.parametrize(
    ("own", "standing", "may_replace", "expected"),
    [
        (FIRM, FIRM, False, Step.SERVE_OWN),
        (PROVISIONAL, PROVISIONAL, True, Step.SERVE_OWN),
        (FIRM, OTHER_PROVISIONAL, True, Step.REPLACE),
        (FIRM, OTHER_PROVISIONAL, False, Step.ADOPT),
        (FIRM, OTHER_FIRM, True, Step.ADOPT),
        (PROVISIONAL, OTHER_FIRM, False, Step.ADOPT),
    ],
)
def test_the_loser_of_a_race_adopts(own, standing, may_replace, expected):
    """Unless the winner's pin is provisional and this call may replace it."""
    assert expected is standing_step(own, standing, may_replace=may_replace)

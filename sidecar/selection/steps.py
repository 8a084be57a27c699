"""What comes next for a call, from facts: the pure core of this room.

Three tables, one for each moment at which there is something to decide. The page of this room shows
them to people; a test holds both equal.
"""

from __future__ import annotations

import enum
from typing import Final

from sidecar.domain.decision import Binding
from sidecar.domain.vocabulary import PinOutcome


class Step(enum.StrEnum):
    """What the selector does next. Values are the words of the page's tables."""

    SERVE_REQUESTED = "serve requested"
    """Serve the requested model, or its fallbacks."""
    READ_PIN = "read pin"
    """Ask the shared store for the session's pin."""
    SERVE_PINNED = "serve pinned"
    ASK = "ask"
    """Ask the router model; make no pin."""
    ASK_AND_CLAIM = "ask, claim"
    ASK_AND_REPLACE = "ask, replace"
    """Ask the router model; its route takes the place of the pin that was seen."""
    CLAIM_REQUESTED = "serve requested, claim"
    """Serve the requested model, and pin the session to the entry that is tried first."""
    REPLACE_REQUESTED = "serve requested, replace"
    """As CLAIM_REQUESTED, in the place of the pin that was seen."""
    CLAIM = "claim"
    REPLACE = "replace"
    ADOPT = "adopt"
    """Serve the pin that stands, if it is of use to this call; else the own decision."""
    SERVE_OWN = "serve own"
    """Serve what the router model said."""


class PinState(enum.StrEnum):
    """What a session's pin means to one call."""

    NO_SESSION = "no session"
    UNREAD = "not at hand"
    """The near cache does not have it; the shared store may."""
    NONE = "none"
    USABLE = "usable"
    PROVISIONAL = "provisional, may be replaced"
    """It was made while the router model could not be asked; now it can, and a conversation
    begins."""
    OFF_LIST = "on no list of the call"
    """It is not on the call's own list; or no route is in effect, and it is not what the call asks
    for.
    """
    OTHER_DIALECT = "speaks another dialect"
    UNKNOWN_MODEL = "unknown model, young"
    """Other pods may know the model: a rollout is under way."""
    OUTDATED = "unknown model, old"

    __hash__ = str.__hash__
    """A key of dicts on every call; Enum's own hash is a Python function."""


class CallKind(enum.IntEnum):
    """Who may choose for a call where no pin does. Values are the columns of `FIRST_STEPS`."""

    ROUTED = 0
    """The router model, among the routes in effect."""
    GROUPED = 1
    """Nobody: no route is in effect. Of a requested model with several entries the first one that
    serves is pinned."""
    OTHER = 2
    """Nobody, and no pin is made: a count of tokens, and a call that only the provider of the one
    before it can serve."""


_ASK, _REQUESTED = Step.ASK, Step.SERVE_REQUESTED

FIRST_STEPS: Final = {
    PinState.NO_SESSION: (_ASK, _REQUESTED, _REQUESTED),
    PinState.UNREAD: (Step.READ_PIN, Step.READ_PIN, Step.READ_PIN),
    PinState.NONE: (Step.ASK_AND_CLAIM, Step.CLAIM_REQUESTED, _REQUESTED),
    PinState.USABLE: (Step.SERVE_PINNED, Step.SERVE_PINNED, Step.SERVE_PINNED),
    PinState.PROVISIONAL: (Step.ASK_AND_REPLACE, _REQUESTED, _REQUESTED),
    PinState.OFF_LIST: (_ASK, _REQUESTED, _REQUESTED),
    PinState.OTHER_DIALECT: (_ASK, _REQUESTED, _REQUESTED),
    PinState.UNKNOWN_MODEL: (_ASK, _REQUESTED, _REQUESTED),
    PinState.OUTDATED: (Step.ASK_AND_REPLACE, Step.REPLACE_REQUESTED, _REQUESTED),
}
"""From a pin's state to the first step of each kind of call."""

BYPASSES: Final = {
    PinState.OFF_LIST: PinOutcome.INLINE_LIST,
    PinState.OTHER_DIALECT: PinOutcome.DIALECT,
    PinState.UNKNOWN_MODEL: PinOutcome.UNKNOWN_MODEL,
}
"""Why a call goes past its session's pin, which stays as it is."""


class Strength(enum.StrEnum):
    """How firmly a pin holds."""

    ABSENT = "none"
    PROVISIONAL = "provisional"
    """It was made without the router model's opinion."""
    FIRM = "firm"


PINNING_STEPS: Final = {
    (Strength.ABSENT, Strength.ABSENT): Step.SERVE_OWN,
    (Strength.ABSENT, Strength.PROVISIONAL): Step.SERVE_OWN,
    (Strength.ABSENT, Strength.FIRM): Step.SERVE_OWN,
    (Strength.PROVISIONAL, Strength.ABSENT): Step.CLAIM,
    (Strength.PROVISIONAL, Strength.PROVISIONAL): Step.ADOPT,
    (Strength.PROVISIONAL, Strength.FIRM): Step.REPLACE,
    (Strength.FIRM, Strength.ABSENT): Step.CLAIM,
    (Strength.FIRM, Strength.PROVISIONAL): Step.REPLACE,
    (Strength.FIRM, Strength.FIRM): Step.REPLACE,
}
"""From the pin that a routed call would make (none where its names cannot be written) and the pin
that was seen before it was routed, to what becomes of the pin."""


class Standing(enum.StrEnum):
    """Whose pin stands after a claim or a replacement."""

    OWN = "own"
    PROVISIONAL = "another's, provisional"
    FIRM = "another's, firm"


STANDING_STEPS: Final = {
    (Standing.OWN, False): Step.SERVE_OWN,
    (Standing.OWN, True): Step.SERVE_OWN,
    (Standing.PROVISIONAL, False): Step.ADOPT,
    (Standing.PROVISIONAL, True): Step.REPLACE,
    (Standing.FIRM, False): Step.ADOPT,
    (Standing.FIRM, True): Step.ADOPT,
}
"""From the pin that stands, and whether the call may replace a provisional one (its own pin is
firm, it starts a conversation, and it has not tried yet), to the next step."""


def pinning_step(own: Binding | None, seen: Binding | None) -> Step:
    """Return what becomes of the pin once a call has been routed."""
    return PINNING_STEPS[strength_of(own), strength_of(seen)]


def standing_step(own: Binding, standing: Binding, *, may_replace: bool) -> Step:
    """Return what a call does with the pin that stands after it wanted to write ``own``."""
    if standing == own:
        whose = Standing.OWN
    else:
        whose = Standing.PROVISIONAL if standing.provisional else Standing.FIRM
    return STANDING_STEPS[whose, may_replace]


def strength_of(binding: Binding | None) -> Strength:
    """Return how firmly a pin holds."""
    if binding is None:
        return Strength.ABSENT
    return Strength.PROVISIONAL if binding.provisional else Strength.FIRM

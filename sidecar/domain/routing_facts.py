"""What a routed decision rests on, for a replay that compares. This module is not compiled: mypyc
would drop what makes the class frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sidecar.domain.vocabulary import RouterOutcome

if TYPE_CHECKING:
    from sidecar.domain.decision import Candidate


class RoutingFacts(msgspec.Struct, frozen=True):
    """What the router model's help came to for a call, and how the candidates of its route were
    ordered.
    """

    outcome: RouterOutcome
    prefer: str = ""
    """``cheapest``, ``fastest`` or ``none``; empty where no route was named."""
    candidates: tuple[Candidate, ...] = ()
    """Those of the route, in rank order."""
    numbers: tuple[float | None, ...] = ()
    """Beside each of them what its model was ranked by: blended USD per million tokens, or
    seconds; None: unknown.
    """
    is_exploring: bool = False
    """Whether the first one goes first only to be measured."""
    confidence: float | None = None
    """How probable the router model holds its choice, from 0 to 1; None where it does not say."""

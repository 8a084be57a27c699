"""How a call would be decided: what a look at it comes to."""

from __future__ import annotations

from typing import NamedTuple

from sidecar.domain.decision import Decision, Route
from sidecar.routing.answer import RouterVerdict
from sidecar.routing.rank import Ranked


class Look(NamedTuple):
    """How a call would be decided, for a person to read."""

    decision: Decision
    routes: tuple[Route, ...] = ()
    """The routes in effect; without any, the router model was not asked."""
    prompt: str = ""
    verdict: RouterVerdict | None = None
    ranked: Ranked | None = None
    """The candidates of the route that the router model named."""
    prompt_s: float = 0.0
    """Seconds that it took to select the conversation's turns and to write the prompt."""
    rank_s: float = 0.0

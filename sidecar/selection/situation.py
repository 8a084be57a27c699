"""A call with what is found out about it once, before any waiting: the facts of this room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.call import Call
from sidecar.domain.decision import Route
from sidecar.domain.ids import Session
from sidecar.routing.resolved import Resolved
from sidecar.selection.steps import CallKind


@final
@dataclass(init=False, unsafe_hash=True)
class Situation:
    """A call with what is found out about it once, before any waiting."""

    call: Final[Call]
    resolved: Final[Resolved]
    """What the requested model stands for."""
    routes: Final[tuple[Route, ...]]
    """The routes in effect: the body's own list, else the configured ones."""
    has_own_list: Final[bool]
    """Whether these are others than the configured ones: the call brings a list, which may be
    empty, or there is no router model.
    """
    session: Final[Session | None]
    """None for a call that stands alone, and where there is nothing to choose."""
    kind: Final[CallKind]
    """Who may choose for it where no pin does."""

    def __init__(
        self,
        call: Call,
        resolved: Resolved,
        routes: tuple[Route, ...],
        has_own_list: bool,
        session: Session | None,
        kind: CallKind,
    ) -> None:
        self.call = call
        self.resolved = resolved
        self.routes = routes
        self.has_own_list = has_own_list
        self.session = session
        self.kind = kind

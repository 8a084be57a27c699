"""The port of the affinity store: what every implementation promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sidecar.affinity.call_budget import CallBudget
from sidecar.domain.decision import Binding
from sidecar.domain.ids import Session


class Pin(msgspec.Struct, frozen=True):
    """A pin as operators see it."""

    key: str
    tenant: str | None
    """As the app sent it; where it was too long for a key, ``%h`` and its hash."""
    session_id: str
    lane: str | None
    """The requested model of a lane beside the first."""
    binding: Binding
    left_s: float | None
    """Time left; None where the key does not expire."""


class Page(msgspec.Struct, frozen=True):
    """Some of the pins."""

    pins: Sequence[Pin]
    cursor: str | None
    """What to ask the next page with; None behind the last one."""


class AffinityStore(Protocol):
    """Where pins are kept. Nothing here raises for an outage: what cannot be read is None, what
    cannot be written is kept in this process, and an event says so. ``budget`` is what the call
    may still wait, all its operations together; without one an operation has the store's own
    budget.
    """

    def get_nowait(self, session: Session) -> Binding | None:
        """The session's binding if it can be told without waiting, else None."""
        ...

    async def get(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Return the binding of the session's lane, or None: as `get_nowait`, else as `read`."""
        ...

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Ask the shared store for a binding that `get_nowait` did not find."""
        ...

    async def claim(
        self, session: Session, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """Bind the session's lane unless somebody was first; return the binding that now stands."""
        ...

    async def replace(
        self, session: Session, seen: Binding, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """Put ``binding`` in the place of ``seen`` if that still stands; return the binding that
        now stands.
        """
        ...

    async def release(self, session: Session, seen: Binding) -> None:
        """Drop the session's binding if it still is ``seen``."""
        ...

    def budget(self) -> CallBudget:
        """What a new call may wait for the store."""
        ...

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> Page:
        """About ``limit`` pins of a tenant (of all where None), from ``cursor`` on.

        Raises: StoreUnreachable.
        """
        ...

    async def of_session(self, tenant: str | None, session_id: str) -> list[Pin]:
        """The pins of all lanes of a session.

        Raises: StoreUnreachable.
        """
        ...

    async def drop(self, keys: Sequence[str]) -> int:
        """Delete pins by key; how many there were.

        Raises: StoreUnreachable.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class StoreUnreachable(Exception):
    """An operator asked, and the store does not answer. Calls are never told so."""

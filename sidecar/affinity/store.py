"""The port of the affinity store: what every implementation promises."""

from __future__ import annotations

from typing import Protocol

from sidecar.domain.decision import Binding
from sidecar.domain.ids import SessionKey


class AffinityStore(Protocol):
    """Where pins are kept. Nothing here raises for an outage: what cannot be read is None, what cannot be written
    is not written, and an event says so.
    """

    def get_now(self, session: SessionKey) -> Binding | None:
        """The session's binding if it can be told without waiting, else None."""
        ...

    async def get(self, session: SessionKey) -> Binding | None:
        """The binding that holds for this session's lane, or None."""
        ...

    async def claim(self, session: SessionKey, binding: Binding) -> Binding:
        """Bind the session's lane unless somebody was first; return the binding that now stands."""
        ...

    async def replace(self, session: SessionKey, seen: Binding, binding: Binding) -> Binding:
        """Put ``binding`` in the place of ``seen`` if that still stands; return the binding that now stands."""
        ...

    async def release(self, session: SessionKey, seen: Binding) -> None:
        """Drop the session's binding if it still is ``seen``."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...

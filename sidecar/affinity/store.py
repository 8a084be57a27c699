"""The port of the affinity store: what every implementation promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sidecar.affinity.call_budget import CallBudget
from sidecar.affinity.lanes import Lanes
from sidecar.affinity.session import parse_key
from sidecar.domain.decision import Binding
from sidecar.domain.ids import Session
from sidecar.domain.ports import StoreSnapshot


class Pin(msgspec.Struct, frozen=True):
    """A pin as operators see it."""

    key: str
    tenant: str | None
    """As the app sent it; a tenant too long for a key is ``%h`` and its hash."""
    session_id: str
    agent: str | None
    """The sub-agent whose pin it is; None for the session's main loop."""
    lane: str | None
    """The requested model of a lane beside the first."""
    binding: Binding
    left_s: float | None
    """Time left; None where the key does not expire."""


def pins_of(key: str, prefix: str, lanes: Lanes | None, left_s: float | None) -> list[Pin]:
    """Return the pins of a session's lanes as operators see them; none where the key is not ours,
    or holds none.
    """
    parts = parse_key(key, prefix)
    if parts is None or lanes is None:
        return []
    tenant, session_id, agent, lane = parts
    return [
        Pin(
            key,
            tenant,
            session_id,
            agent,
            lane if binding is lanes.bindings[0] else binding.requested_model,
            binding,
            left_s,
        )
        for binding in lanes.bindings
    ]


class PinPage(msgspec.Struct, frozen=True):
    """Some of the pins."""

    pins: Sequence[Pin]
    cursor: str | None
    """Where the next page begins; None behind the last one."""


class PinBrowser(Protocol):
    """Pins as operators look at them and drop them. Every method may raise StoreUnreachable."""

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> PinPage:
        """Return about ``limit`` pins of a tenant (of all where None), from ``cursor`` on."""
        ...

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Pin]:
        """Return the pins of all lanes of a session: of one of its agents, or where that is None of
        its main loop and all of its agents.
        """
        ...

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        """Delete the pins that `of_session` returns; return how many there were."""
        ...


class StorePins(PinBrowser, Protocol):
    """The pins of a store that is at hand."""

    async def of_lane(self, session: Session) -> Binding | None:
        """Return the binding that a call of the session's lane would find. Nothing is written for
        it, nor kept or renewed.
        """
        ...


class StoreSettings(msgspec.Struct, frozen=True):
    """What may change under a store at work."""

    ttl_s: float
    """How long a pin lives that is made or renewed from now on; others keep the time they have."""
    is_sliding: bool
    """Whether a pin's time begins anew while it is used."""
    max_entries: int
    """Pins in this process."""
    budget_s: float
    """What one call may wait for a shared store."""


class AffinityStore(Protocol):
    """Keeps pins. No call fails because of it: what cannot be read is None, what cannot be written
    is kept in this process, and an event says so.

    Nothing but this port says which store it is. ``budget`` is what a call may still wait, all its
    operations together; without one an operation has the store's own budget.
    """

    key_prefix: str
    """What the keys of its sessions begin with."""
    is_shared: bool
    """Whether other processes see the same pins."""
    pins: StorePins

    def start(self) -> None:
        """Connect in the background; a store that is down fails no start."""
        ...

    def use(self, settings: StoreSettings) -> None:
        """Go by other settings from the next operation on."""
        ...

    @property
    def is_up(self) -> bool:
        """Whether the shared store is asked at all; always true where there is none."""
        ...

    async def wait_until_up(self) -> None:
        """Return once the shared store is asked."""
        ...

    def snapshot(self) -> StoreSnapshot | None:
        """Return what the store holds now; None where it is not shared."""
        ...

    def budget(self) -> CallBudget:
        """Return what a new call may wait for the store."""
        ...

    def get_nowait(self, session: Session) -> Binding | None:
        """Return the binding of the session's lane if it is known without waiting, else None."""
        ...

    async def get(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Return the binding of the session's lane: that of `get_nowait`, else that of `read`."""
        ...

    async def read(self, session: Session, budget: CallBudget | None = None) -> Binding | None:
        """Ask the shared store for a binding that `get_nowait` did not find. None where
        there is none, or none was found within ``budget``.
        """
        ...

    async def claim(
        self, session: Session, binding: Binding, budget: CallBudget | None = None
    ) -> Binding:
        """Bind the session's lane unless another call was first; return the binding that now
        stands.
        """
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

    async def aclose(self) -> None:
        """Close connections and end background tasks."""
        ...


class StoreUnreachable(Exception):
    """An operator asked, and the store does not respond. Calls never see this."""

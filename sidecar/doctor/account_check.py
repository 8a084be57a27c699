"""Asks what all entries of one account share: the connection, and the list of models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.doctor.model_list import read_model_list
from sidecar.domain.errors import UpstreamError
from sidecar.domain.vocabulary import FailureClass
from sidecar.http1.certificate import TlsFacts
from sidecar.runtime.timers import Timeout
from sidecar.upstream.entry_probe import EntryProbe, ProbeReply

_GUARDED: Final = (FailureClass.OUR_CREDENTIAL, FailureClass.REFUSED)
"""How a list is refused for want of a key; a server that is busy says nothing of that."""


class AccountFacts(msgspec.Struct, frozen=True):
    """What was learnt of an account."""

    is_connected: bool = False
    tls: TlsFacts | None = None
    listing: ProbeReply | None = None
    """The reply to the question for the list; None where none came."""
    listed: tuple[str, ...] | None = None
    """The models in it; None where it is no such list."""
    is_list_guarded: bool = False
    """Whether the list is refused without the key: who gets it has a key that is accepted."""
    error: UpstreamError | None = None
    """Why no reply came."""
    is_late: bool = False
    """Whether the time was over before all was asked."""
    took_s: float = 0.0
    """Until the first reply, or its failure."""
    spent_s: float = 0.0
    """All that it took."""


class AccountCheck:
    """Asks once for all entries of an account. What is asked first is known also where the time
    ends later.
    """

    def __init__(self, probe: EntryProbe, monotonic_s: Callable[[], float]) -> None:
        """Args: ``probe`` is that of any of the entries."""
        self._probe = probe
        self._monotonic_s = monotonic_s
        self._facts = AccountFacts()

    async def run(self, timeout_s: float) -> AccountFacts:
        """Return what could be learnt within ``timeout_s``. Raises: nothing."""
        began_s = self._monotonic_s()
        try:
            async with Timeout(timeout_s):
                await self._ask(began_s)
        except UpstreamError as error:
            self._learn(error=error)
        except TimeoutError:
            self._learn(is_late=True)
        spent_s = self._monotonic_s() - began_s
        self._learn(spent_s=spent_s, took_s=self._facts.took_s or spent_s)
        return self._facts

    async def _ask(self, began_s: float) -> None:
        tls = await self._probe.connect()
        self._learn(is_connected=True, tls=tls)
        listing = await self._probe.list_models()
        listed = read_model_list(listing.body) if listing.failure is None else None
        took_s = self._monotonic_s() - began_s
        self._learn(listing=listing, listed=listed, took_s=took_s)
        if listed is not None and self._probe.has_credential:
            without = await self._probe.list_models(with_key=False)
            self._learn(is_list_guarded=without.failure in _GUARDED)

    def _learn(self, **facts: object) -> None:
        self._facts = msgspec.structs.replace(self._facts, **facts)

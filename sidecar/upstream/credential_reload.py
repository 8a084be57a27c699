"""Keys that a provider refused are read again from their files: secrets are rotated under a running
process.

Source of the rules: contract.md, "What a failure means", our credential.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.runtime.lifecycle import Tasks
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.cooling import Cooling

_log: Final = logging.getLogger("sidecar.upstream")


class CredentialReloader:
    """Reads refused keys again, in the background: no call waits for a disk."""

    def __init__(
        self,
        links: Mapping[str, ProviderClient],
        cooling: Callable[[], Cooling],
        clock_s: Callable[[], float],
    ) -> None:
        """Args: ``clock_s`` is monotonic."""
        self._links = links
        self._cooling = cooling
        self._clock_s = clock_s
        self._tasks = Tasks()
        self._under_way: set[str] = set()
        self._renewed_s: dict[str, float] = {}
        self._told: set[str] = set()

    def is_outdated(self, provider: str, sent_s: float) -> bool:
        """Whether a call that was sent then had an older key than the one in use: its refusal says
        nothing of that.
        """
        return sent_s < self._renewed_s.get(provider, 0.0)

    def refused(self, provider: str) -> None:
        """An entry's key was refused. Where its file holds another by now, that one is used from
        then on, and the entry is ejected no more.
        """
        if provider not in self._under_way:
            self._under_way.add(provider)
            self._tasks.spawn(self._renew(provider), name="read a refused key again")

    async def aclose(self) -> None:
        """Give up what is under way."""
        await self._tasks.aclose()

    async def _renew(self, provider: str) -> None:
        try:
            is_new = await self._links[provider].renew_credential()
        finally:
            self._under_way.discard(provider)
        if is_new:
            self._renewed_s[provider] = self._clock_s()
            self._cooling().reset_ejections(provider)
            self._told.discard(provider)
            _log.warning(
                "provider %s refused its key; its file holds another one, which is used "
                "from now on",
                provider,
            )
        elif provider not in self._told:
            self._told.add(provider)
            _log.error(
                "provider %s refused its key, and no other one is known; the entry goes last",
                provider,
            )

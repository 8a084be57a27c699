"""A key that a provider refused is read again from its file: secrets are rotated under a running
process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.runtime.lifecycle import Tasks
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.cooling import Cooling

_log: Final = logging.getLogger("sidecar.upstream")

LOOK_AGAIN_S: Final = 5.0
"""Between two readings for an ejected entry. No call goes there, so no refusal would cause one."""


class CredentialReloader:
    """Reads refused keys again in tasks of its own, so that no call waits for a disk."""

    def __init__(
        self,
        clients: Mapping[str, ProviderClient],
        cooling: Cooling,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._clients = clients
        self._cooling = cooling
        self._monotonic_s = monotonic_s
        self._tasks = Tasks()
        self._under_way: set[str] = set()
        self._reloaded_s: dict[str, float] = {}
        self._watched: set[str] = set()
        """Ejected entries whose files held no other key yet."""

    def is_outdated(self, provider: str, sent_s: float) -> bool:
        """Return whether a call sent at ``sent_s`` carried an older key than the one in use: its
        refusal says nothing about the new key.
        """
        return sent_s < self._reloaded_s.get(provider, 0.0)

    def reload(self, provider: str) -> None:
        """Read the files of an entry whose key was refused. If they hold another key, use it from
        then on and end the entry's ejection.
        """
        if provider not in self._under_way:
            self._under_way.add(provider)
            self._tasks.spawn(self._reload(provider), name="read a refused key again")

    async def aclose(self) -> None:
        """Cancel what is under way."""
        await self._tasks.aclose()

    async def _reload(self, provider: str) -> None:
        try:
            is_new = await self._clients[provider].reload_credential()
        finally:
            self._under_way.discard(provider)
        if is_new:
            self._reloaded_s[provider] = self._monotonic_s()
            self._cooling.reset_ejections(provider)
            _log.info("%s has another key in its file, which is used from now on", provider)
        elif provider not in self._watched:
            self._watched.add(provider)
            self._tasks.spawn(self._watch(provider), name="read an ejected entry's key again")
            _log.info("%s is used where nothing else serves, until there is another key", provider)

    async def _watch(self, provider: str) -> None:
        """Read the files of an entry again and again, until they hold another key or its ejection
        has ended.
        """
        try:
            while any(each == provider for each, _ in self._cooling.ejected(self._monotonic_s())):
                await asyncio.sleep(LOOK_AGAIN_S)
                self.reload(provider)
        finally:
            self._watched.discard(provider)

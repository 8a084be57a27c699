"""A key that a provider refused is read again from its file: secrets are rotated under a running
process.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from sidecar.config.address import is_header_value
from sidecar.config.providers import Provider
from sidecar.config.secret import SecretSource
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.single_flight import TimedFlight
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.cooling import Cooling

_log: Final = logging.getLogger("sidecar.upstream")

LOOK_AGAIN_S: Final = 5.0
"""Between two readings for an ejected entry. No call goes there, so no refusal would cause one."""
WAIT_S: Final = 1.0
"""How long calls wait for a reading, from its beginning on: a disk may be gone. A file that is
there takes a millisecond.
"""
LOOKS: Final = 5
"""At files that hold another key, or cannot be read: they may be in the middle of being written."""
PAUSE_S: Final = 0.01
_NAMED_AT_MOST: Final = 3

_Group = tuple[str, ...]
"""Names of entries that have files in common."""


class CredentialReloader:
    """Reads refused keys again, once for all calls that are refused together and for all entries
    that use one of the same files. A disk that hangs holds up a thread that nothing waits for.
    """

    def __init__(
        self,
        clients: Mapping[str, ProviderClient],
        cooling: Cooling,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._clients = clients
        self._cooling = cooling
        self._monotonic_s = monotonic_s
        self._group_of = groups_of(
            {name: _files_of(each.provider) for name, each in clients.items()}
        )
        self._readings: TimedFlight[_Group, None] = TimedFlight("read a refused key again")
        self._renewed_s: dict[str, float] = {}
        self._watches = Tasks()
        self._watched: set[str] = set()
        """Ejected entries whose files held no other key yet."""

    async def is_renewed(self, provider: str, sent_s: float) -> bool:
        """Return whether an entry has another key by now than a call carried that was sent at
        ``sent_s`` and was refused for it. Its files are read for that, unless they have been since;
        that is waited for, but at most `WAIT_S`.
        """
        renewed_s = self._renewed_s
        for _ in range(2):
            # Behind what another call began to read, a file may have been written: then once more.
            if sent_s < renewed_s.get(provider, 0.0) or await self.read_again(provider):
                break
        return sent_s < renewed_s.get(provider, 0.0)

    async def read_again(self, provider: str) -> bool:
        """Read the files of an entry's key and headers, and use what they hold from then on; wait
        for that, but at most `WAIT_S`.

        Returns: False where another caller had begun to read already.
        """
        group = self._group_of.get(provider)
        if group is None:
            return True
        read = functools.partial(self._read, group)
        return await self._readings.wait_for(group, read, WAIT_S)

    def renewed_s(self, provider: str) -> float | None:
        """Return when the key that an entry uses was read, on the monotonic clock; None where it is
        that of the config.
        """
        return self._renewed_s.get(provider)

    def watch(self, provider: str) -> None:
        """Read the files of an ejected entry again and again, beside calls, until they hold another
        key or the ejection has ended.
        """
        if provider not in self._watched and provider in self._group_of:
            self._watched.add(provider)
            self._watches.spawn(self._watch(provider), name="read an ejected entry's key again")
            _log.info("%s is used where nothing else serves, until there is another key", provider)

    async def aclose(self) -> None:
        """Cancel what is under way."""
        await self._watches.aclose()
        await self._readings.aclose()

    async def _read(self, group: _Group) -> None:
        before = [self._clients[name].provider for name in group]
        renewed = await read_settled(before)
        now_s = self._monotonic_s()
        for provider in renewed:
            self._clients[provider.name].use(provider)
            self._renewed_s[provider.name] = now_s
            self._cooling.reset_ejections(provider.name, now_s)
        if renewed:
            names = ", ".join(each.name for each in renewed[:_NAMED_AT_MOST])
            if len(renewed) > _NAMED_AT_MOST:
                names += f" and {len(renewed) - _NAMED_AT_MOST} more"
            extra = event_fields("key_renewed", account=renewed[0].name, entries=len(renewed))
            _log.info("%s: another key is in the file and is used from now on", names, extra=extra)

    async def _watch(self, provider: str) -> None:
        try:
            while any(each == provider for each, _ in self._cooling.ejected(self._monotonic_s())):
                await self.read_again(provider)
                await asyncio.sleep(LOOK_AGAIN_S)
        finally:
            self._watched.discard(provider)


def groups_of(files: Mapping[str, frozenset[Path]]) -> dict[str, _Group]:
    """Return each entry's group: all that share a file with it, directly or through others. Entries
    without files have none. Pure.
    """
    users: dict[Path, list[str]] = {}
    for name, own in files.items():
        for path in own:
            users.setdefault(path, []).append(name)
    places = {name: place for place, name in enumerate(files)}
    found: dict[str, _Group] = {}
    for name in files:
        if name in found or not files[name]:
            continue
        names, left = {name}, [name]
        while left:
            for path in files[left.pop()]:
                # Each file's users are gone through once.
                new = [each for each in users.pop(path, ()) if each not in names]
                names.update(new)
                left += new
        group = tuple(sorted(names, key=places.__getitem__))
        found.update(dict.fromkeys(group, group))
    return found


async def read_settled(providers: Sequence[Provider]) -> list[Provider]:
    """Return those of ``providers`` whose files hold other secrets, with these. Files that were
    found changed, or that cannot be used, are looked at again until two looks agree, `LOOKS` times
    at most.

    Raises: OSError where no thread can be had.
    """
    seen: list[Provider | None] = []
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(PAUSE_S)
        found = await run_in_daemon_thread(
            functools.partial(read_now, providers), name="read a refused key again"
        )
        is_settled = found == seen and None not in found
        if is_settled or found == providers:
            seen = found
            break
        seen = found
    pairs = zip(seen, providers, strict=True)
    return [each for each, former in pairs if each is not None and each != former]


def read_now(providers: Sequence[Provider]) -> list[Provider | None]:
    """Return providers with the secrets that their files hold now, each value of a file read once;
    None for one whose secrets cannot be sent, or have a file that is empty or cannot be read. Reads
    the disk.
    """
    read = functools.cache(SecretSource.read)
    return [_renewed(provider, read) for provider in providers]


def _renewed(provider: Provider, read: Callable[[SecretSource], str | None]) -> Provider | None:
    key = None if provider.access_key is None else provider.access_key.renewed(read)
    headers = tuple((name, value.renewed(read)) for name, value in provider.headers)
    new = [secret for secret in (key, *(value for _, value in headers)) if secret is not None]
    for secret in new:
        if secret.source is not None and not (secret and is_header_value(secret.reveal())):
            return None
    return msgspec.structs.replace(provider, access_key=key, headers=headers)


def _files_of(provider: Provider) -> frozenset[Path]:
    secrets = (provider.access_key, *(value for _, value in provider.headers))
    sources = [each.source for each in secrets if each is not None]
    return frozenset(file for source in sources if source is not None for file in source.files)

"""Names to addresses, off the loop: kept for seconds, looked up once for all who ask, and outlived
by an outage.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from sidecar.runtime.lifecycle import Tasks

FRESH_S: Final = 5.0
"""Shorter than the TTL of any provider's name: an address that changes is followed at the next
connection.
"""
STALE_S: Final = 3600.0
"""How long the last good answer serves while the name server fails."""
_PATIENCE_S: Final = 0.5
"""How long a lookup is waited for where an older answer is at hand."""

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` has it."""
Lookup = Callable[[str, int], Awaitable[list[AddressInfo]]]


class _Known(msgspec.Struct, frozen=True):
    addresses: list[AddressInfo]
    at_s: float


async def _look_up(host: str, port: int) -> list[AddressInfo]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Resolver:
    """Answers from memory where it can. ``lookup`` is the system's in a thread, or a test's."""

    def __init__(self, lookup: Lookup = _look_up) -> None:
        self._lookup = lookup
        self._known: dict[tuple[str, int], _Known] = {}
        self._flights: dict[tuple[str, int], asyncio.Task[list[AddressInfo] | Exception]] = {}
        self._tasks = Tasks()

    async def addresses(self, host: str, port: int) -> list[AddressInfo]:
        """The host's addresses, at least one.

        Raises: OSError where the name is not known, or its server fails and nothing is remembered;
        UnicodeError for what is no name.
        """
        key, now_s = (host, port), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is not None and now_s - known.at_s < FRESH_S:
            return known.addresses
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = self._tasks.spawn(self._fly(key), name=f"resolve {host}")
        if known is None or now_s - known.at_s > STALE_S:
            found = await asyncio.shield(flight)
            if isinstance(found, Exception):
                raise found.with_traceback(None)
            return found
        await asyncio.wait([flight], timeout=_PATIENCE_S)
        if (
            flight.done()
            and not flight.cancelled()
            and not isinstance(found := flight.result(), Exception)
        ):
            return found
        return known.addresses

    async def aclose(self) -> None:
        """Give lookups up."""
        await self._tasks.aclose()

    async def _fly(self, key: tuple[str, int]) -> list[AddressInfo] | Exception:
        """The addresses, or why there are none: a name that nobody knows is no failure of this
        task.
        """
        try:
            addresses = await self._lookup(*key)
        except (OSError, UnicodeError) as error:
            return error
        else:
            if not addresses:
                return OSError("the name has no address")
            self._known[key] = _Known(addresses, asyncio.get_running_loop().time())
            return addresses
        finally:
            del self._flights[key]

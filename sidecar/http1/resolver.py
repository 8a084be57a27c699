"""Looks names up, and remembers what was found: a name server that fails is no failed call."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.runtime.single_flight import SingleFlight
from sidecar.runtime.timers import Timeout

FRESH_S: Final = 5.0
"""Shorter than the TTL of any large service's name: an address that changes is followed at the next
connection.
"""
STALE_S: Final = 3600.0
"""How long the last addresses found serve while the name server fails."""
_REFRESH_TIMEOUT_S: Final = 0.5
"""How long a lookup is waited for where older addresses are at hand."""

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` has it."""
Lookup = Callable[[str, int], Awaitable[list[AddressInfo]]]


class _Known(msgspec.Struct, frozen=True):
    addresses: list[AddressInfo]
    at_s: float


async def _look_up(host: str, port: int) -> list[AddressInfo]:
    return await run_in_daemon_thread(
        lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), name="look up a name"
    )


class Resolver:
    """Looks names up, from memory where it can. ``lookup`` is the system's in a thread, or a
    test's.
    """

    def __init__(self, lookup: Lookup = _look_up) -> None:
        self._lookup = lookup
        self._known: dict[tuple[str, int], _Known] = {}
        self._flights: SingleFlight[tuple[str, int], list[AddressInfo]] = SingleFlight("resolve")

    async def addresses(self, host: str, port: int) -> list[AddressInfo]:
        """Return the host's addresses, at least one.

        Raises: OSError where the name is not known, or its server fails and nothing is remembered;
        UnicodeError for what is no name.
        """
        key, now_s = (host, port), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is not None and now_s - known.at_s < FRESH_S:
            return known.addresses
        if known is None or now_s - known.at_s > STALE_S:
            return await self._flights.run(key, lambda: self._fly(key))
        try:
            async with Timeout(_REFRESH_TIMEOUT_S):
                return await self._flights.run(key, lambda: self._fly(key))
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            return known.addresses

    async def aclose(self) -> None:
        """Cancel the lookups under way."""
        await self._flights.aclose()

    async def _fly(self, key: tuple[str, int]) -> list[AddressInfo]:
        addresses = await self._lookup(*key)
        if not addresses:
            raise OSError("the name has no address")
        self._known[key] = _Known(addresses, asyncio.get_running_loop().time())
        return addresses

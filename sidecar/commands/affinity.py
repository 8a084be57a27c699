"""Pins as `plano-sidecar affinity` looks at them: through a running sidecar's admin port, or in
Redis itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from sidecar.affinity.store import PinBrowser, StoreUnreachable
from sidecar.build import build_store
from sidecar.commands.shell import FAILED, OK, run_loop
from sidecar.config.load import load_config
from sidecar.domain.clock import SystemClock
from sidecar.domain.errors import ConfigError
from sidecar.domain.observers import Observers
from sidecar.listener.admin import LIST_PATH, SESSION_PATH, pin_facts

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_CONNECT_S: Final = 3.0
_PAGE: Final = 500
_HEADS: Final = ("TENANT", "SESSION", "AGENT", "LANE", "MODEL", "ROUTE", "TTL", "NOTES")

Facts = dict[str, Any]
"""A pin, as `listener.admin.pin_facts` has it."""


class _Answer(msgspec.Struct):
    """What the admin port says. Another server's JSON has another form, or none of these."""

    pins: list[Facts] | None = None
    cursor: str | None = None
    deleted: int | None = None
    error: str | None = None


class PinSource(Protocol):
    """Where an operator's commands find pins. Raises: StoreUnreachable."""

    def all_of(self, tenant: str | None) -> AsyncIterator[Facts]:
        """Yield every pin of a tenant; of all tenants where it is None."""
        ...

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Facts]:
        """Return the pins of a session: those of one agent, or of its main loop and all agents."""
        ...

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        """Delete the pins that `of_session` returns; return how many there were."""
        ...


class AdminPins:
    """Pins as a running sidecar sees them, read at its admin port."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def all_of(self, tenant: str | None) -> AsyncIterator[Facts]:
        """Yield every pin of a tenant, or of all, as `PinSource.all_of`."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self._ask(
                "GET", LIST_PATH, {"tenant": tenant, "cursor": cursor or None, "limit": str(_PAGE)}
            )
            for facts in page.pins or ():
                yield facts
            cursor = page.cursor

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Facts]:
        """Return the pins of a session, as `PinSource.of_session`."""
        query = {"tenant": tenant, "session": session_id, "agent": agent}
        return (await self._ask("GET", SESSION_PATH, query)).pins or []

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        """Delete the pins of a session, as `PinSource.drop`; return how many there were."""
        query = {"tenant": tenant, "session": session_id, "agent": agent}
        return (await self._ask("DELETE", SESSION_PATH, query)).deleted or 0

    async def _ask(self, method: str, path: str, query: dict[str, str | None]) -> _Answer:
        given = {name: value for name, value in query.items() if value is not None}
        try:
            async with self._session.request(
                method, self._url + path, params=given, timeout=_TIMEOUT
            ) as reply:
                answer = msgspec.json.decode(await reply.read(), type=_Answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise StoreUnreachable(f"no sidecar's admin port answers at {self._url}") from error
        if answer.pins is None and answer.deleted is None:
            raise StoreUnreachable(
                f"{self._url}: {answer.error or 'this is no admin port of a sidecar'}"
            )
        return answer


class StorePins:
    """The pins of a shared store."""

    def __init__(self, pins: PinBrowser) -> None:
        self._pins = pins

    async def all_of(self, tenant: str | None) -> AsyncIterator[Facts]:
        """Yield every pin of a tenant, or of all, as `PinSource.all_of`."""
        cursor: str | None = None
        while True:
            page = await self._pins.page(tenant, cursor, _PAGE)
            for pin in page.pins:
                yield pin_facts(pin)
            cursor = page.cursor
            if cursor is None:
                return

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Facts]:
        """See `PinSource.of_session`."""
        return [pin_facts(pin) for pin in await self._pins.of_session(tenant, session_id, agent)]

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        """See `PinSource.drop`."""
        return await self._pins.drop(tenant, session_id, agent)


def affinity(arguments: argparse.Namespace) -> int:
    """Print the pins that were asked for, or how many were deleted. Raises: ConfigError."""
    return run_loop(_affinity(arguments))


async def _affinity(arguments: argparse.Namespace) -> int:
    try:
        async with pin_source(arguments.config, arguments.admin, os.environ) as source:
            lines = await describe_pins(
                source, arguments.what, arguments.tenant, arguments.session, arguments.agent
            )
    except StoreUnreachable as error:
        print(f"affinity: {error}", file=sys.stderr)
        return FAILED
    for line in lines:
        print(line)
    if not lines and arguments.session is not None:
        print("no pin of this session", file=sys.stderr)
        return FAILED
    return OK


@contextlib.asynccontextmanager
async def pin_source(
    config: Path | None, admin_url: str, environ: Mapping[str, str]
) -> AsyncIterator[PinSource]:
    """Open the source of pins: the Redis that a config names, else a sidecar's admin port.

    Raises: ConfigError, StoreUnreachable.
    """
    if config is None:
        async with aiohttp.ClientSession() as session:
            yield AdminPins(session, admin_url)
        return
    loaded = load_config(config, environ)
    store = build_store(loaded.config, SystemClock(), Observers())
    try:
        if not store.is_shared:
            raise ConfigError(
                [
                    (
                        f"{config}: session_cache.type is not redis: ask the running sidecar, "
                        f"without --config"
                    )
                ]
            )
        store.start()
        try:
            async with asyncio.timeout(_CONNECT_S):
                await store.wait_until_up()
        except TimeoutError as error:
            raise StoreUnreachable("redis does not answer") from error
        yield StorePins(store.pins)
    finally:
        await store.aclose()


async def describe_pins(
    source: PinSource,
    what: str,
    tenant: str | None,
    session_id: str | None,
    agent: str | None = None,
) -> list[str]:
    """Return what was asked for, as lines for a person; none where there is no pin.

    Args: ``what`` is list, get or delete.

    Raises: StoreUnreachable.
    """
    if what == "delete" and session_id is not None:
        count = await source.drop(tenant, session_id, agent)
        return [f"{count} deleted"] if count else []
    if session_id is not None:
        pins = await source.of_session(tenant, session_id, agent)
    else:
        # SCAN may tell of a key twice.
        pins = list({facts["key"]: facts async for facts in source.all_of(tenant)}.values())
    return _table([_HEADS, *map(_row, pins)]) if pins else []


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(pin: Facts) -> tuple[str, ...]:
    ttl = "-" if pin["ttl_s"] is None else f"{pin['ttl_s']:.0f} s"
    names = (
        pin["tenant"] or "-",
        pin["session"],
        pin["agent"] or "-",
        pin["lane"] or "-",
        pin["model"],
        pin["route"] or "-",
    )
    # What an app or a pod wrote must not drive a terminal.
    return (*(name.encode("unicode_escape").decode() for name in names), ttl, _notes(pin))


def _notes(pin: Facts) -> str:
    notes = [f"generation {pin['generation']}"]
    if pin["home"]:
        notes.append(f"away from {pin['home']}")
    if pin["provisional"]:
        notes.append("provisional")
    return ", ".join(notes)

"""Pins as `plano-sidecar affinity` looks at them: through a running sidecar's pages for operators,
or in Redis itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from sidecar.affinity.store import Pin, PinBrowser, PinPage, StoreUnreachable
from sidecar.build.foundation import build_store
from sidecar.commands.operators_client import operators_client
from sidecar.commands.shell import FAILED, OK, run_loop
from sidecar.config.load import load_config
from sidecar.domain.clock import SystemClock
from sidecar.domain.decision import Binding
from sidecar.domain.errors import ConfigError
from sidecar.domain.observers import Observers
from sidecar.listener.pins_page import LIST_PATH, SESSION_PATH
from sidecar.runtime.timers import Timeout

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_CONNECT_S: Final = 3.0
_PAGE: Final = 500
_HEADS: Final = (
    "TENANT",
    "SESSION",
    "AGENT",
    "LANE",
    "MODEL",
    "PROVIDER",
    "ROUTE",
    "TTL",
    "NOTES",
)


class _Facts(msgspec.Struct):
    """A pin, as `listener.pins_page.pin_facts` has it."""

    key: str
    session: str
    model: str
    tenant: str | None = None
    agent: str | None = None
    lane: str | None = None
    provider: str | None = None
    route: str | None = None
    requested_model: str | None = None
    generation: int = 0
    home: str | None = None
    home_provider: str | None = None
    provisional: bool = False
    ttl_s: float | None = None

    def pin(self) -> Pin:
        """Return the pin that the facts tell of."""
        binding = Binding(
            self.model,
            self.route,
            self.requested_model,
            generation=self.generation,
            home=self.home,
            provisional=self.provisional,
            provider=self.provider,
            home_provider=self.home_provider,
        )
        names = (self.tenant, self.session, self.agent, self.lane)
        return Pin(self.key, *names, binding, self.ttl_s)


class _Answer(msgspec.Struct):
    """What the page says. Another server's JSON has another form, or none of these."""

    pins: list[_Facts] | None = None
    cursor: str | None = None
    deleted: int | None = None
    error: str | None = None


class OperatorPins:
    """Implements `PinBrowser` by the pages of a running sidecar."""

    def __init__(self, session: aiohttp.ClientSession, url: str, address: str) -> None:
        """Args: ``address`` is how the user named the listener."""
        self._session = session
        self._url = url
        self._address = address

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> PinPage:
        """Return about ``limit`` pins, from a cursor on."""
        query = {"tenant": tenant, "cursor": cursor, "limit": str(limit)}
        answer = await self._ask("GET", LIST_PATH, query)
        return PinPage([facts.pin() for facts in answer.pins or ()], answer.cursor)

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Pin]:
        """Return the pins of a session and of its agents, or of one agent."""
        query = {"tenant": tenant, "session": session_id, "agent": agent}
        answer = await self._ask("GET", SESSION_PATH, query)
        return [facts.pin() for facts in answer.pins or ()]

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        """Delete the pins that `of_session` returns; return how many there were."""
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
            raise StoreUnreachable(f"no operators' pages answer at {self._address}") from error
        if answer.pins is None and answer.deleted is None:
            why = answer.error or "these are no operators' pages"
            raise StoreUnreachable(f"{self._address}: {why}")
        return answer


def affinity(arguments: argparse.Namespace) -> int:
    """Print the pins that were asked for, or how many were deleted. Raises: ConfigError."""
    return run_loop(_affinity(arguments))


async def _affinity(arguments: argparse.Namespace) -> int:
    try:
        async with pin_browser(arguments.config, arguments.admin, os.environ) as pins:
            lines = await describe_pins(
                pins, arguments.what, arguments.tenant, arguments.session, arguments.agent
            )
    except StoreUnreachable as error:
        print(f"affinity: {error}", file=sys.stderr)
        return FAILED
    for line in lines:
        print(line)
    if not lines and arguments.session is not None:
        print("no pin of this session", file=sys.stderr)
        return FAILED
    if not lines:
        print("no pins", file=sys.stderr)
    return OK


@contextlib.asynccontextmanager
async def pin_browser(
    config: Path | None, address: str, environ: Mapping[str, str]
) -> AsyncIterator[PinBrowser]:
    """Open where pins are found: the Redis that a config names, else a sidecar's pages.

    Raises: ConfigError, StoreUnreachable.
    """
    if config is None:
        async with operators_client(address) as (session, url):
            yield OperatorPins(session, url, address)
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
            async with Timeout(_CONNECT_S):
                await store.wait_until_up()
        except TimeoutError as error:
            raise StoreUnreachable("redis does not answer") from error
        yield store.pins
    finally:
        await store.aclose()


async def describe_pins(
    browser: PinBrowser,
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
        count = await browser.drop(tenant, session_id, agent)
        return [f"{count} deleted"] if count else []
    if session_id is not None:
        pins = await browser.of_session(tenant, session_id, agent)
    else:
        pins = await _all_of(browser, tenant)
    return _table([_HEADS, *map(_row, pins)]) if pins else []


async def _all_of(browser: PinBrowser, tenant: str | None) -> list[Pin]:
    # By key and lane: SCAN may tell of a key twice.
    pins: dict[tuple[str, str | None], Pin] = {}
    cursor: str | None = None
    while True:
        page = await browser.page(tenant, cursor, _PAGE)
        pins.update(((pin.key, pin.lane), pin) for pin in page.pins)
        cursor = page.cursor
        if cursor is None:
            return list(pins.values())


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(pin: Pin) -> tuple[str, ...]:
    ttl = "-" if pin.left_s is None else f"{pin.left_s:.0f} s"
    binding = pin.binding
    names = (
        pin.tenant,
        pin.session_id,
        pin.agent,
        pin.lane or binding.requested_model,
        binding.model_name,
        binding.provider,
        binding.route_name,
        ttl,
        _notes(binding),
    )
    # What an app or a pod wrote must not drive a terminal.
    return tuple(name.encode("unicode_escape").decode() if name else "-" for name in names)


def _notes(binding: Binding) -> str:
    notes = [f"generation {binding.generation}"]
    if binding.home is not None:
        entry = "" if binding.home_provider is None else f" ({binding.home_provider})"
        notes.append(f"away from {binding.home}{entry}")
    if binding.provisional:
        notes.append("provisional")
    return ", ".join(notes)

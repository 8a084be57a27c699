"""The page `/clusters`: every provider entry, and how it is at this moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from sidecar.listener.operators import OperatorPage
from sidecar.listener.page_replies import json_reply, text_reply, wants_text

PATH = "/clusters"
_HEADS = (
    "ENTRY", "FAMILY", "MODEL", "BASE URL", "DIALECTS", "STATE", "DUE", "CONNECTIONS", "FIRST BYTE",
    "KEY", "LAST FAILURE",
)  # fmt: skip


class EntryConnections(msgspec.Struct, frozen=True):
    """Connections to an entry's server. Entries of one server share them."""

    active: int
    idle: int


class EntryFailure(msgspec.Struct, frozen=True):
    """The last failure that was held against an entry."""

    ago_s: float
    model: str
    reason: str
    cause: str
    """A phrase that an operator can act on."""
    status: int | None
    code: str | None
    to_do: str | None


class ShownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One provider entry at one moment. Nothing in it is a credential."""

    entry: str
    family: str
    model: str
    """``prefix/*`` for all models of a wildcard entry."""
    is_router: bool
    base_url: str
    """Scheme, host, port and the path below which the APIs are."""
    dialects: list[str]
    state: str
    """``serving``, ``cooling`` or ``ejected``."""
    reason: str | None
    due_s: float | None
    """Seconds until calls go there first again; None where they do."""
    connections: EntryConnections
    first_byte_s: float | None
    """Average of the last streams, a failed attempt as 5 s; None where there was neither."""
    first_byte_samples: int
    last_failure: EntryFailure | None
    translated: list[str] = []
    """What it serves beside its own dialects, and in what it is asked then: ``chat>messages``."""
    key_renewed_ago_s: float | None = None
    """Seconds since another key was found in its file; None where the config's own is in use."""


class ClustersPage:
    """Shows the provider entries.

    Args: ``entries`` reads them.
    """

    def __init__(self, entries: Callable[[], Sequence[ShownEntry]]) -> None:
        self._entries = entries

    def pages(self) -> tuple[OperatorPage]:
        """Return the page."""
        text = "provider entries: state and why, connections, last failure: ?format=text"
        return (OperatorPage(PATH, ("GET",), self._serve, text),)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        entries = self._entries()
        if wants_text(request):
            return text_reply(200, entries_text(entries))
        return json_reply(200, {"entries": entries})


def entries_text(entries: Sequence[ShownEntry]) -> str:
    """Return the entries as a table for a person, a line each."""
    rows = [_HEADS, *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def _row(entry: ShownEntry) -> tuple[str, ...]:
    why = "" if entry.reason is None else f" ({entry.reason})"
    dialects = ",".join([*entry.dialects, *entry.translated])
    first_byte = "-"
    if entry.first_byte_s is not None:
        first_byte = f"{entry.first_byte_s:.3f} s of {entry.first_byte_samples}"
    return (
        entry.entry,
        entry.family,
        f"{entry.model} (router)" if entry.is_router else entry.model,
        entry.base_url,
        dialects or "-",
        entry.state + why,
        "-" if entry.due_s is None else f"{entry.due_s:.0f} s",
        f"{entry.connections.active} active, {entry.connections.idle} idle",
        first_byte,
        "-" if entry.key_renewed_ago_s is None else f"renewed {entry.key_renewed_ago_s:.0f} s ago",
        "-" if entry.last_failure is None else _failure(entry.last_failure),
    )


def _failure(failure: EntryFailure) -> str:
    to_do = "" if failure.to_do is None else f": {failure.to_do}"
    return f"{failure.ago_s:.0f} s ago: {failure.cause}{to_do}"

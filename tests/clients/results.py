"""What `make clients` found, in results.json, and as a table."""

from __future__ import annotations

from typing import Final

import msgspec

from tests.clients.table import HERE, read_table
from tests.clients.trial import Compared

FILE: Final = HERE / "results.json"
HEAD: Final = ("client", "version", "direct", "through the sidecar", "its session", "pinned", "API")
_CASES: Final = {
    "plain": "whole",
    "streamed": "streamed",
    "tools": "tools",
    "told_its_session": "session",
}


def read_results() -> dict[str, Compared]:
    """Return what the last run found, by client; empty where there was none."""
    if not FILE.is_file():
        return {}
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Compared])


def write_results(results: dict[str, Compared]) -> None:
    """Write them in the order of the table, without clients that it no longer has."""
    names = [each.name for each in read_table().client if each.name in results]
    ordered = {name: results[name] for name in names}
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")


def cell_of(outcomes: dict[str, str]) -> str:
    """Return what worked, and what did not, in a cell."""
    worked = [_CASES[case] for case, came in outcomes.items() if came == "ok"]
    failed = [f"{_CASES[case]}: {came}" for case, came in outcomes.items() if came != "ok"]
    return "; ".join([", ".join(worked), *failed] if worked else failed)


def through_of(came: Compared) -> str:
    """Return how it went through the sidecar, in a cell."""
    direct, through = came.calls
    more = f", in {through} calls instead of {direct}" if direct != through else ""
    return ("as directly" if came.direct == came.sidecar else cell_of(came.sidecar)) + more


def pinned_of(came: Compared) -> str:
    """Return what has to be done for its sessions, in a cell."""
    return "by itself" if came.is_pinned else "when told" if came.is_told else "no"


def table_of(results: dict[str, Compared]) -> str:
    """Return the results as text in columns."""
    rows = [HEAD, *(_row(name, came) for name, came in results.items())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _row(name: str, came: Compared) -> tuple[str, ...]:
    return (
        name,
        came.version,
        cell_of(came.direct),
        through_of(came),
        ", ".join(came.session) or "-",
        pinned_of(came),
        ", ".join(came.dialects),
    )

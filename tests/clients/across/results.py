"""What the crossings came to, in results.json, and as a table."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from tests.clients.across.session import Crossed
from tests.clients.across.table import TURNS, read_crossings

FILE: Final = Path(__file__).with_name("results.json")
COLUMNS: Final = (
    "agent",
    "version",
    "turns",
    "tools run",
    "models, by turn",
    "calls, by translation",
    "failed over",
    "refused",
    "pinned",
    "cached",
)


def read_results() -> dict[str, Crossed]:
    """Return what the last run found, by crossing; empty where there was none."""
    if not FILE.is_file():
        return {}
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Crossed])


def write_results(results: dict[str, Crossed]) -> None:
    """Write them in the order of the table, without crossings that it no longer has."""
    names = [each.name for each in read_crossings().crossing if each.name in results]
    ordered = {name: results[name] for name in names}
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")


LOST_COLUMNS: Final = ("agent", "translated", "named as left out")


def row_of(name: str, came: Crossed) -> tuple[str, ...]:
    """Return a session as cells."""
    ways = ", ".join(f"{count} {way}" for way, count in came.translated.items())
    return (
        name.partition(": ")[0],
        came.version,
        f"{came.turns} of {TURNS}",
        str(came.tools),
        _models(came.served),
        ways,
        str(came.failovers),
        str(came.refused),
        f"{came.pinned} of {came.calls}",
        ", ".join(f"{share:.0%}" for share in came.cached),
    )


def losses_of(results: dict[str, Crossed]) -> list[tuple[str, ...]]:
    """Return what was named as left out: rows of an agent, a way of translation, and names."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, came in results.items():
        for way, lost in came.lost.items():
            found.setdefault((name.partition(": ")[0], way), set()).update(lost)
    return [
        (*key, ", ".join(f"`{each}`" for each in sorted(lost)) or "nothing")
        for key, lost in found.items()
    ]


def _models(served: list[str]) -> str:
    """Return runs of turns: ``1-5 a, 6-10 b``."""
    found, first = [], 1
    for model, run in groupby(served):
        last = first + len(list(run)) - 1
        turns = str(first) if first == last else f"{first}-{last}"
        found.append(f"{turns} {model or 'none'}")
        first = last + 1
    return ", ".join(found)


def table_of(results: dict[str, Crossed]) -> str:
    """Return the results as text in columns, and below it what was lost and what went wrong."""
    rows = [COLUMNS, *(row_of(name, came) for name, came in results.items())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    for name, came in results.items():
        lines.append(f"{name}: {came.whole_histories} whole histories")
        lines += [f"  lost by {way}: {', '.join(lost)}" for way, lost in came.lost.items()]
        lines += [f"  {each}" for each in came.problems]
    return "\n".join(line.rstrip() for line in lines)

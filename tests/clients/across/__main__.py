"""Install the agents, put each before models of other APIs, and write results.json.

``python -m tests.clients.across [NAME ...]``: all, or those whose names have one of these words; the
results of the others stay as they are.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.clients import sandbox
from tests.clients.across.results import read_results, table_of, write_results
from tests.clients.across.session import Crossed, cross
from tests.clients.across.table import TURNS, Crossing, Crossings, client_of, read_crossings
from tests.clients.install import install_all
from tests.clients.table import read_table


async def _cross_all(
    crossings: Crossings, chosen: list[Crossing], results: dict[str, Crossed]
) -> int:
    with tempfile.TemporaryDirectory() as work:
        for crossing in chosen:
            print(f"trying {crossing.name}", flush=True)
            results[crossing.name] = await cross(crossings, crossing, Path(work))
            write_results(results)
    found = {each.name: results[each.name] for each in chosen}
    print(table_of(found))
    return int(any(each.problems or each.refused or each.turns < TURNS for each in found.values()))


def main(words: list[str]) -> int:
    """Returns: 1 if a session did not go as it should; 0 also where none has such a name."""
    crossings = read_crossings()
    chosen = [
        each
        for each in crossings.crossing
        if not words or any(word.lower() in each.name.lower() for word in words)
    ]
    if not chosen:
        print(f"no crossing is named {' or '.join(words)}")
        return 0
    if not os.environ.get(sandbox.INSIDE):
        clients = {client_of(crossings.agent_of(each)).name for each in chosen}
        table = read_table()
        install_all(table, [each for each in table.client if each.name in clients])
    sandbox.enter(words, "tests.clients.across")
    return asyncio.run(_cross_all(crossings, chosen, read_results() if words else {}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

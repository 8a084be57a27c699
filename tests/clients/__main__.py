"""Install the clients, try each directly and through a sidecar, and write results.json.

``python -m tests.clients [NAME ...]``: all, or those whose names have one of these words; the
results of the others stay as they are.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

from tests.clients import sandbox
from tests.clients.install import install_all
from tests.clients.results import read_results, table_of, write_results
from tests.clients.table import Client, read_table
from tests.clients.trial import Compared, try_client


async def _try_all(clients: list[Client], results: dict[str, Compared]) -> int:
    worse = []
    with tempfile.TemporaryDirectory() as work:
        for client in clients:
            print(f"trying {client.name} {client.version}", flush=True)
            results[client.name] = came = await try_client(client, Path(work))
            write_results(results)
            if came.is_worse:
                worse.append(client.name)
    print(table_of({each.name: results[each.name] for each in clients}))
    if worse:
        print(f"worse through the sidecar: {', '.join(worse)}")
    return 1 if worse else 0


def main(words: list[str]) -> int:
    """Returns: 1 if a client is worse off through the sidecar."""
    table = read_table()
    chosen = [
        each
        for each in table.client
        if not each.untried
        and (
            not words
            or any(re.search(rf"\b{re.escape(word)}\b", each.name, re.IGNORECASE) for word in words)
        )
    ]
    if not chosen:
        print(f"no client is named {' or '.join(words)}")
        return 1
    if not os.environ.get(sandbox.INSIDE):
        install_all(table, chosen)
    sandbox.enter(words)
    return asyncio.run(_try_all(chosen, read_results() if words else {}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

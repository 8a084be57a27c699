"""What one tenant's poisonous calls cost another tenant's in time. Run: ``python -m
tests.bench.bench_poison``.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from tests.support.poison import POISONS, Shared, poison_all, shared_sidecar_process


async def _milliseconds(shared: Shared, calls: int) -> list[float]:
    """How long calls of a pinned session take, one after the other."""
    took: list[float] = []
    for _ in range(calls):
        began_s = time.perf_counter()
        await shared.ask("acme", "s1")
        took.append((time.perf_counter() - began_s) * 1e3)
    return sorted(took)


async def _measure(name: str | None, work: Path) -> str:
    """How long the others' calls take while nothing, or a poison, is sent: a row."""
    async with shared_sidecar_process(work) as shared:
        await _milliseconds(shared, 50)
        names = () if name is None else (name,)
        async with asyncio.TaskGroup() as group:
            group.create_task(poison_all(shared, names, 200, at_once=1))
            took = await _milliseconds(shared, 200)
        after = await _milliseconds(shared, 200)
    figures = [
        sorted_ms[int(len(sorted_ms) * share)]
        for sorted_ms in (took, after)
        for share in (0.5, 0.99)
    ]
    return "{:20} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}".format(name or "nothing", *figures)


async def main() -> None:
    """Print a table. All processes share the machine's cores: a busy provider shows too."""
    print(f"{'milliseconds':20} {'p50':>9} {'p99':>9} {'p50 later':>9} {'p99 later':>9}")
    for name in (None, *POISONS):
        with tempfile.TemporaryDirectory() as work:
            print(await _measure(name, Path(work)))


if __name__ == "__main__":
    asyncio.run(main())

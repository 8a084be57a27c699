"""What another app's bad calls cost: model, source and latency of one app's calls, alone and between
another one's. Run: ``python -m tests.bench.bench_steering``.
"""

from __future__ import annotations

import asyncio
import collections
import statistics
import tempfile
import time
from pathlib import Path

from tests.support.steered import POISONS, Steered, served, steered_sidecar

CALLS = 100


async def _measured(steered: Steered, session_id: str) -> tuple[float, str]:
    """Make a call. Returns: its milliseconds, and who served it and why."""
    began_s = time.perf_counter()
    reply = await steered.ask(session_id)
    took_ms = (time.perf_counter() - began_s) * 1e3
    return took_ms, " ".join(map(str, served(reply)[:3]))


async def _between(poison: str | None) -> None:
    with tempfile.TemporaryDirectory() as work:
        async with steered_sidecar(Path(work)) as steered:
            for _ in range(20):
                await steered.ask("good")
            times: dict[str, list[float]] = {"pinned": [], "new": []}
            seen: collections.Counter[str] = collections.Counter()
            for number in range(CALLS):
                if poison is not None:
                    await POISONS[poison](steered, number)
                    steered.provider.script.clear()
                for kind, session_id in (("pinned", "good"), ("new", f"good {number}")):
                    took_ms, what = await _measured(steered, session_id)
                    times[kind].append(took_ms)
                    seen[what] += 1
    shown = ", ".join(
        f"{kind} p50 {statistics.median(took):.2f} ms, p99 {sorted(took)[-2]:.2f} ms"
        for kind, took in times.items()
    )
    print(f"{poison or 'alone'}: {dict(seen)}; {shown}")


async def main() -> None:
    """Print a line for each kind of bad call."""
    for poison in (None, *POISONS):
        await _between(poison)


if __name__ == "__main__":
    asyncio.run(main())

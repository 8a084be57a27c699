"""What the router model adds to a call: well, hanging, and left alone. Run: ``python -m
tests.bench.bench_router``.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from tests.support.routed import Routed, routed

DEADLINE_MS = 200


async def milliseconds(sidecar: Routed, count: int, **more: Any) -> list[float]:
    """How long each of ``count`` calls took, one after the other, each with a text of its own."""
    took = []
    for number in range(count):
        began_s = time.perf_counter()
        await sidecar.ask(f"text {number}", **more)
        took.append((time.perf_counter() - began_s) * 1e3)
    return took


def shown(took: list[float]) -> str:
    """Median and extremes."""
    return f"p50 {statistics.median(took):.2f}, min {min(took):.2f}, max {max(took):.2f} ms"


async def main() -> None:
    """Print a table."""
    async with routed(routing={"router_timeout_ms": DEADLINE_MS}) as sidecar:
        print(
            f"no routing:                   {shown(await milliseconds(sidecar, 300, routing_preferences=[]))}"
        )
        print(f"routed:                       {shown(await milliseconds(sidecar, 300))}")
        sidecar.router.script.always("hang")
        print(f"it hangs, deadline {DEADLINE_MS} ms:    {shown(await milliseconds(sidecar, 5))}")
        print(f"it hangs, breaker open:       {shown(await milliseconds(sidecar, 300))}")


if __name__ == "__main__":
    asyncio.run(main())

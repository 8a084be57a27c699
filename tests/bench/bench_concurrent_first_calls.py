"""10,000 sessions, 8 concurrent first calls each over 4 sidecars and one Redis. Prints; exits with
1 for a disagreement.

python -m tests.bench.bench_concurrent_first_calls [SESSIONS]
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.support.fleet import AT_ONCE, PROCESSES, measure_agreement, running_fleet


async def main(sessions: int) -> int:
    """Run it. Returns: the exit status."""
    async with running_fleet() as fleet:
        began_s = time.monotonic()
        came = await measure_agreement(fleet, sessions)
        took_s = time.monotonic() - began_s
    calls = sessions * (AT_ONCE + PROCESSES)
    print(
        f"{sessions} sessions, {calls} calls in {took_s:.0f} s: {came.disagreements} disagreements, "
        f"{came.router_calls / sessions:.2f} router calls a session (at most {PROCESSES})"
    )
    return int(came.disagreements != 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))

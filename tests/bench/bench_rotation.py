"""How many calls fail while the provider's key, Redis' password and the CA are rotated again and
again.

    python tests/bench/bench_rotation.py [--rounds N] [--workers N]

Each round rotates all three under load, at the intervals that the product has. Prints figures,
asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from tests.support.rotated import Rotated, rotated


async def measure(rounds: int, workers: int) -> None:
    """Print a line for each kind of rotation, and how all calls ended."""
    with tempfile.TemporaryDirectory() as folder:
        async with rotated(Path(folder)) as made, made.load(workers):
            for rotate in (Rotated.rotate_key, Rotated.rotate_password, Rotated.rotate_ca):
                took_s, before = [], made.ended.copy()
                sent, accepted = made.provider.seen, made.front.accepted
                for _ in range(rounds):
                    began_s = time.perf_counter()
                    await rotate(made)
                    took_s.append(time.perf_counter() - began_s)
                ended = made.ended - before
                repeated = made.provider.seen - sent - ended.total()
                print(
                    f"{rotate.__name__}: {rounds} rotations, {ended.total()} calls, "
                    f"{ended.total() - ended['whole']} failed, about {max(0, repeated)} sent again, "
                    f"{made.front.accepted - accepted} connections, slowest rotation {max(took_s):.2f} s"
                )
            print("calls by end:", dict(made.ended))


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.rounds, arguments.workers))


if __name__ == "__main__":
    main()

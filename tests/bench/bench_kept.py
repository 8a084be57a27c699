"""How often a request meets the moment in which the server closes its kept connection, and what
becomes of it.

    python tests/bench/bench_kept.py [--loop stdlib|uvloop|aiofastnet|both] [--close-s S]
        [--keep-s S ...] [--spread F] [--lag-ms MS] [--workers N] [--seconds S]

The server, a process of its own, closes a connection that was idle for ``--close-s``, as uvicorn
and vLLM do after 5 s. Each worker calls, is idle for about that long (within a share ``--spread``,
around which all the races are), and calls again. ``--keep-s`` is how long the client keeps
connections: one run for each. ``--lag-ms`` blocks the client's loop for so long every tenth of a
second, which is when a closing is noticed late. Prints figures, asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import random
import time
from collections import Counter
from multiprocessing.connection import Connection as Pipe
from typing import cast

from sidecar.domain.errors import UpstreamError
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.pool import Pool
from tests.bench.bench_upstream import factory_of

TIMEOUTS = ExchangeTimeouts(connect_s=5, first_byte_s=30, response_s=60, idle_s=30)
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n"
BODY = b"x" * 1000
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class ClosingServer(asyncio.Protocol):
    """Answers each request whole, and closes when it was idle for too long."""

    worked_on = 0

    def __init__(self, close_s: float) -> None:
        self.close_s = close_s
        self.seen_bytes = 0
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.seen_bytes += len(data)
        while self.seen_bytes >= len(REQUEST) + len(BODY):
            self.seen_bytes -= len(REQUEST) + len(BODY)
            ClosingServer.worked_on += 1
            self.transport.write(RESPONSE)
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(self.close_s, self.transport.close)


def serve(pipe: Pipe, close_s: float) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: ClosingServer(close_s), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(ClosingServer.worked_on)
        server.close()

    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner() as runner:
        runner.run(run())


async def measure(port: int, keep_s: float, options: argparse.Namespace) -> Counter[str]:
    pool = Pool(Origin("http", "127.0.0.1", port), keepalive_s=keep_s, max_idle=options.workers)
    seen: Counter[str] = Counter()
    end_s = time.monotonic() + options.seconds

    async def work() -> None:
        while time.monotonic() < end_s:
            opened = pool.opened_total
            try:
                reply = await pool.send(REQUEST, [BODY], TIMEOUTS)
                reply.read_nowait()
                seen["resent" if reply.sends > 1 else "served"] += 1
            except UpstreamError as error:
                seen[f"failed: {error.code}"] += 1
            seen["opened"] += pool.opened_total - opened
            share = 1 + random.uniform(-options.spread, options.spread)
            await asyncio.sleep(options.close_s * share)

    async def lag() -> None:
        while time.monotonic() < end_s:
            await asyncio.sleep(0.1)
            time.sleep(options.lag_ms / 1e3)

    jobs = [work() for _ in range(options.workers)]
    if options.lag_ms:
        jobs.append(lag())
    await asyncio.gather(*jobs)
    await pool.aclose()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--loop", default="both", choices=["stdlib", "uvloop", "aiofastnet", "both"]
    )
    parser.add_argument("--close-s", type=float, default=5.0)
    parser.add_argument("--keep-s", type=float, nargs="+", default=[20.0, 4.0])
    parser.add_argument("--spread", type=float, default=0.02)
    parser.add_argument("--lag-ms", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, options.close_s))
    server.start()
    try:
        port, before = ours.recv(), 0
        for keep_s in options.keep_s:
            with asyncio.Runner(loop_factory=factory_of(options.loop)) as runner:
                seen = runner.run(measure(port, keep_s, options))
            ours.send(True)
            worked_on = ours.recv()
            calls = sum(seen.values()) - seen.pop("opened")
            what = ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))
            twice = worked_on - before - calls
            print(
                f"closes after {options.close_s:g} s, kept {keep_s:g} s, lag {options.lag_ms:g} ms: "
                f"{calls} calls, {what}; {max(0, twice)} worked on more often than asked"
            )
            before = worked_on
    finally:
        ours.send(False)
        server.join()


if __name__ == "__main__":
    main()

"""The demo provider and router model as processes of their own: ``python -m sidecar.demo``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from sidecar.demo.provider import DemoProvider
from sidecar.demo.router_model import DemoRouterModel

_TOKEN_GAP_S = 0.02
"""A pace at which a person can see a stream."""


async def _serve(host: str, port: int, router_port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        provider = DemoProvider(token_gap_s=_TOKEN_GAP_S)
        router = DemoRouterModel()
        for server, its_port in ((provider, port), (router, router_port)):
            stack.push_async_callback(server.aclose)
            await server.start(host, its_port)
        print(f"provider {provider.url}, router model {router.url}", flush=True)
        await stop.wait()


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sidecar.demo", description="A provider and a router model that need no key."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="the provider's (default: 8000)")
    parser.add_argument(
        "--router-port", type=int, default=8001, help="the router model's (default: 8001)"
    )
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.host, arguments.port, arguments.router_port))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The commands that serve: `run`, and `demo`, which serves a demo provider too."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from sidecar.commands.shell import OK, load_to_trace, log_warnings_to_stderr, run_loop


def run(arguments: argparse.Namespace) -> int:
    """Serve by a config file, or by the API keys in the environment, until SIGTERM or SIGINT.

    Raises: ConfigError.
    """
    from sidecar.process import PodFacts, serve

    environ = dict(os.environ)  # a reload finds again what the start found
    pod = PodFacts(arguments.mode, arguments.termination_grace)
    run_loop(serve(load_to_trace(arguments.config or arguments.file), environ, pod))
    return OK


def demo(arguments: argparse.Namespace) -> int:
    """Show two sidecars at work in front of a provider that needs no key."""
    log_warnings_to_stderr()
    return run_loop(_show(once=arguments.once))


async def _show(*, once: bool) -> int:
    """Run the demo with sidecars of the real kind; stay up until a signal, but for ``once``."""
    from sidecar.app import App
    from sidecar.demo.shared_store import find_redis
    from sidecar.demo.show import SidecarHandle, run_demo

    @contextlib.asynccontextmanager
    async def start_sidecar(config: Path) -> AsyncIterator[SidecarHandle]:
        async with App(load_to_trace(config)) as app:
            ports = (app.ports.data, app.ports.admin, app.ports.operators)
            yield SidecarHandle(*(f"http://127.0.0.1:{port}" for port in ports))

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await run_demo(
        once=once,
        start_sidecar=start_sidecar,
        out=sys.stdout,
        stop=stop,
        redis_program=find_redis(),
    )

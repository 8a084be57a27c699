"""One sidecar as a process: its log, its signals, its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from typing import Any

from sidecar.app import App
from sidecar.config.load import LoadedConfig
from sidecar.domain.log_fields import event_fields
from sidecar.listener.server import listener_path
from sidecar.reload import Reloader
from sidecar.runtime.lifecycle import Tasks
from sidecar.telemetry.log_writer import LineWriter, logging_to
from sidecar.telemetry.start_line import start_fields

_log = logging.getLogger("sidecar")

_STDOUT, _STDERR = 1, 2
"""The file descriptors: `sys.stderr` has a buffer and a lock that a full pipe would hold."""


async def serve(loaded: LoadedConfig, environ: Mapping[str, str]) -> None:
    """Run one sidecar until SIGTERM or SIGINT has drained it; a second signal stops it at once.
    SIGHUP, and a change of the config's files, reload the config.

    The log goes to stderr, the access log to stdout.
    Args: ``environ`` is the environment of the start, for reloads too.
    Raises: ConfigError where a port cannot be had.
    """
    settings = loaded.config.logging
    with logging_to(_STDERR, settings.format, settings.level) as stderr:
        for warning in loaded.warnings:
            _log.warning("%s", warning)
        stdout = LineWriter(_STDOUT, "stdout")
        try:
            await _serve(loaded, environ, stderr, stdout)
        finally:
            stdout.close()


async def _serve(
    loaded: LoadedConfig, environ: Mapping[str, str], stderr: LineWriter, stdout: LineWriter
) -> None:
    loop = asyncio.get_running_loop()
    first_signal, second_signal, reload_wanted = (asyncio.Event() for _ in range(3))

    def on_signal() -> None:
        (second_signal if first_signal.is_set() else first_signal).set()

    # Before anything slow: PID 1 has no default action for SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, reload_wanted.set)
    tasks = Tasks()
    try:
        async with App(loaded, environ) as app:
            app.foundation.telemetry.write_to(stderr, stdout)
            ports = app.ports
            listening = {
                "data_port": ports.data,
                "admin_port": ports.admin,
                "operators": ports.operators_place or "off",
            }
            fields = start_fields(loaded, listening, listener_path())
            ready = "ready: data port %d, admin port %d, operators at %s"
            _log.info(ready, *listening.values(), extra=event_fields("ready", **fields))
            reloader = Reloader(app, environ)
            tasks.spawn(reloader.run(), name="reload")
            loop.add_signal_handler(signal.SIGHUP, reloader.ask)
            if reload_wanted.is_set():  # during the start
                reloader.ask()
            await _first(
                tasks,
                {"signal": first_signal.wait(), "wish": app.foundation.shutdown.wanted.wait()},
            )
            await _first(tasks, {"drain": app.drain(), "second signal": second_signal.wait()})
    finally:
        await tasks.aclose()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _first(tasks: Tasks, works: Mapping[str, Coroutine[Any, Any, Any]]) -> None:
    """Run works, by name, and wait until one of them has ended."""
    ends = [tasks.spawn(work, name=name) for name, work in works.items()]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

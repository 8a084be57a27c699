"""One sidecar as a process: its log, its signals, its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import msgspec

from sidecar.config.load import LoadedConfig
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.installation import ZSTD, as_if_missing, without_default_certificates
from sidecar.runtime.lifecycle import DrainTimes, Tasks
from sidecar.runtime.shutdown import Shutdown
from sidecar.telemetry.log_writer import LineWriter, logging_to
from sidecar.telemetry.start_line import start_fields

# What aiohttp would load: zstd, for bodies that no app has sent yet, and the system's certificates,
# twice, for its client, which here gets contexts of our own.
with as_if_missing(*ZSTD), without_default_certificates():
    from sidecar.app import App
    from sidecar.listener.server import listener_path
    from sidecar.reload import Reloader

_log = logging.getLogger("sidecar")

_STDOUT, _STDERR = 1, 2
"""The file descriptors: `sys.stderr` has a buffer and a lock that a full pipe would hold."""

NATIVE: Final = "native"
"""An init container that is restarted always: SIGTERM comes once the app has ended."""
CONTAINER: Final = "container"
"""A container like the app's: SIGTERM comes to both at the same time."""
_BEHIND_DRAIN_S = 5.0
"""What is kept of a pod's grace for the way from the end of the drain to that of the process, so
that no SIGKILL overtakes the last error events, pins and spans."""


class PodFacts(msgspec.Struct, frozen=True):
    """How the sidecar stands in its pod: the pod's own facts, which a config that many pods share
    cannot know.
    """

    mode: str | None = None
    """`NATIVE`, `CONTAINER`, or None where nothing is known."""
    termination_grace_s: float | None = None
    """Between SIGTERM and SIGKILL."""

    def drain_grace_s(self) -> float | None:
        """Return how long a drain may last; None where that is for the config to say."""
        if self.termination_grace_s is None:
            return None
        return self.termination_grace_s - min(_BEHIND_DRAIN_S, self.termination_grace_s / 3)


_NOTHING_KNOWN: Final = PodFacts()


async def serve(
    loaded: LoadedConfig, environ: Mapping[str, str], pod: PodFacts = _NOTHING_KNOWN
) -> None:
    """Run one sidecar until SIGTERM or SIGINT has drained it; a second signal stops it at once, but
    for a SIGTERM in a pod. SIGHUP, and a change of the config's files, reload the config.

    The log goes to stderr, the access log to stdout.
    Args: ``environ`` is the environment of the start, for reloads too.
    Raises: ConfigError where a port cannot be had.
    """
    settings = loaded.config.logging
    with logging_to(_STDERR, settings.format, settings.level) as stderr:
        for warning in loaded.warnings:
            _log.warning("%s", warning, extra=event_fields("config_warning", warning=warning))
        stdout = LineWriter(_STDOUT, "stdout")
        try:
            await _serve(loaded, environ, pod, (stderr, stdout))
        finally:
            stdout.close()


async def _serve(
    loaded: LoadedConfig,
    environ: Mapping[str, str],
    pod: PodFacts,
    outputs: tuple[LineWriter, LineWriter],
) -> None:
    loop = asyncio.get_running_loop()
    first_signal, second_signal, reload_wanted = (asyncio.Event() for _ in range(3))

    def on_signal(number: int) -> None:
        if not first_signal.is_set():
            first_signal.set()
        elif number == signal.SIGINT or pod.mode is None:
            second_signal.set()
        # In a pod a second SIGTERM is the first one, repeated by a kubelet that has been restarted.

    # Before anything slow: PID 1 has no default action for SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    loop.add_signal_handler(signal.SIGHUP, reload_wanted.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # as `sidecar.__main__` has it
    tasks = Tasks()
    try:
        async with App(loaded, environ) as app:
            app.foundation.telemetry.write_to(*outputs)
            shutdown = _shutdown_of(app, pod)
            _log_ready(app, loaded)
            reloader = Reloader(app, environ)
            tasks.spawn(reloader.run(), name="reload")
            loop.add_signal_handler(signal.SIGHUP, reloader.ask)
            if reload_wanted.is_set():  # during the start
                reloader.ask()
            await _first(tasks, {"signal": first_signal.wait(), "wish": shutdown.wanted.wait()})
            tasks.spawn(_mind_app(app, pod, first_signal), name="mind the app")
            await _first(tasks, {"drain": app.drain(), "second signal": second_signal.wait()})
    finally:
        await tasks.aclose()
        _disregard_signals(loop)


def _shutdown_of(app: App, pod: PodFacts) -> Shutdown:
    """Return the process's way down, with the grace that the pod gives where it says one."""
    shutdown, grace_s = app.foundation.shutdown, pod.drain_grace_s()
    if grace_s is not None:
        shutdown.times = DrainTimes(shutdown.times.quiet_s, grace_s, is_grace_fixed=True)
    return shutdown


async def _mind_app(app: App, pod: PodFacts, signalled: asyncio.Event) -> None:
    """Let the drain last as the app needs it, once a signal tells that the pod ends. An operator's
    wish that the process ends tells nothing of the app.
    """
    await signalled.wait()
    shutdown = app.foundation.shutdown
    if pod.mode == NATIVE:
        shutdown.app_has_ended()
    elif pod.mode == CONTAINER:
        # The app goes on for as long as it likes. When its process ends its connections do.
        times = shutdown.times
        shutdown.times = DrainTimes(times.quiet_s, times.grace_s, lambda: app.has_connections)


def _disregard_signals(loop: asyncio.AbstractEventLoop) -> None:
    """The process has ended but for its last lines: a signal does not change its exit code.

    A handler in Python would be lost when the interpreter ends. The loop restores the default when
    it gives up a signal: one that comes to this thread in between waits, and is then ignored.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _log_ready(app: App, loaded: LoadedConfig) -> None:
    ports = app.ports
    listening = {
        "data_port": ports.data,
        "admin_port": ports.admin,
        "operators": ports.operators_place or "off",
    }
    fields = start_fields(loaded, listening, listener_path())
    ready = "ready: data port %d, admin port %d, operators at %s"
    _log.info(ready, *listening.values(), extra=event_fields("ready", **fields))


async def _first(tasks: Tasks, works: Mapping[str, Coroutine[Any, Any, Any]]) -> None:
    """Run works, by name, and wait until one of them has ended."""
    ends = [tasks.spawn(work, name=name) for name, work in works.items()]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

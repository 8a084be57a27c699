"""A changed config is put into service under a running sidecar; one that cannot be used leaves the
one before in service, and is told of once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from sidecar.app import App
from sidecar.config.load import LoadedConfig, load_config
from sidecar.domain.errors import ConfigError
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.runtime.file_watch import LOOK_EVERY_S, SETTLE_S, FileReader, FileWatch
from sidecar.runtime.lifecycle import Tasks

_log: Final = logging.getLogger("sidecar")

_READINGS: Final = 5
"""Of files that change while they are read, until one is of a single moment."""
_SLOW_S: Final = 30.0
"""A reading that takes longer hangs: a network disk is gone."""
_IGNORED_EVERY_S: Final = 1.0
"""Between two lines of the log that say that a reload which was asked for is not made."""
_TURN_S: Final = 0.0005
_TOLD_AT_MOST: Final = 20
"""Changes and problems in one line of the log."""


class Reloader:
    """Reloads the config of an app whenever one of its files holds something else, and when it is
    asked to. One reload at a time.
    """

    def __init__(
        self,
        app: App,
        environ: Mapping[str, str],
        *,
        every_s: float = LOOK_EVERY_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        """Args: ``environ`` is the environment of the start, which a file's ``$VAR`` refer to."""
        self._app = app
        self._environ = environ
        self._began = app.generation.loaded
        self._watch = FileWatch(self._began.digests, every_s=every_s, settle_s=settle_s)
        self._wanted = asyncio.Event()
        self._is_asked = False
        """Whether somebody wants the next reload, rather than that a file has changed."""
        self._ignored_s = -math.inf
        """When the log said last that a reload is not made, on the loop's clock."""

    def ask(self) -> None:
        """Reload at once. Where a reload is under way, once more after it."""
        self._is_asked = True
        self._wanted.set()

    async def run(self) -> None:
        """Reload whenever that is due, until this is cancelled."""
        tasks = Tasks()
        try:
            if self._began.files:
                tasks.spawn(self._watch_files(), name="watch the config's files")
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                is_asked, self._is_asked = self._is_asked, False
                why_not = self._why_not()
                if why_not is None:
                    await self._reload(tasks, is_asked=is_asked)
                elif is_asked:
                    self._ignore(why_not)
        finally:
            await tasks.aclose()

    async def _watch_files(self) -> None:
        while True:
            await self._watch.next_change()
            self._wanted.set()

    def _why_not(self) -> str | None:
        if not self._began.files:
            return "there is no config file, it was made from the environment"
        return "this sidecar is draining" if self._app.foundation.latch.is_draining else None

    def _ignore(self, why_not: str) -> None:
        """Tell the log that a reload is not made, unless it has just been told."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._ignored_s + _IGNORED_EVERY_S:
            return
        self._ignored_s = now_s
        extra = event_fields("reload_ignored", cause=why_not)
        _log.warning("the config is not reloaded: %s", why_not, extra=extra)

    async def _reload(self, tasks: Tasks, *, is_asked: bool) -> None:
        """Read the config, and let the app use it. Raises: nothing but cancellation."""
        serving, path = self._app.generation.loaded, self._began.files[0]
        reading = tasks.spawn(
            run_in_daemon_thread(
                lambda: _read(path, self._environ, serving, self._began), name="read the config"
            ),
            name="read the config",
        )
        try:
            read = await self._wait_for(reading, path, is_asked=is_asked)
            self._watch.expect(read.digests)
            why_not = self._why_not()
            if why_not is not None:  # a drain has begun meanwhile
                if is_asked:
                    self._ignore(why_not)
                return
            if read.loaded is None:
                self._refuse(read.problems, is_asked=is_asked)
                return
            self._app.swap(read.loaded)
            self._tell(read.loaded, serving, read)
        except ConfigError as error:
            self._refuse([f"{path}: {problem}" for problem in error.problems], is_asked=is_asked)
        except Exception as error:  # noqa: BLE001 - the config before serves on, whatever it is
            _log.exception("the config could not be reloaded")
            self._refuse([f"{path}: {type(error).__name__}"], is_asked=is_asked)

    async def _wait_for(self, reading: asyncio.Task[_Read], path: Path, *, is_asked: bool) -> _Read:
        """Wait for a reading. While it hangs, each that asks for a reload is told so."""
        while True:
            _, hanging = await asyncio.wait({reading}, timeout=_SLOW_S)
            if not hanging:
                return await reading
            problem = f"{path}: its files are not read within {_SLOW_S:g} s"
            self._refuse([problem], is_asked=is_asked)
            # The wish itself stays: once the disk answers, the config is read once more.
            is_asked, self._is_asked = self._is_asked, False

    def _refuse(self, problems: Sequence[str], *, is_asked: bool) -> None:
        reloads = self._app.foundation.reloads
        before = reloads.status
        reloads.status = msgspec.structs.replace(
            before,
            at_unix_s=self._app.foundation.clock.unix_s(),
            is_successful=False,
            problems=list(problems),
        )
        if before.problems == list(problems) and not is_asked:
            return  # the log has it
        shown = _shortened(problems)
        _log.error(
            "the config cannot be used, the one before serves on: %s",
            "; ".join(shown),
            extra=event_fields("config_refused", problems=shown),
        )

    def _tell(self, loaded: LoadedConfig, before: LoadedConfig, read: _Read) -> None:
        """Say what a reload changed: once in the log, and from now on on pages and in metrics."""
        app, now_s = self._app, self._app.foundation.clock.unix_s()
        reloads = app.foundation.reloads
        reloads.status = msgspec.structs.replace(
            reloads.status,
            at_unix_s=now_s,
            is_successful=True,
            success_unix_s=now_s,
            problems=[],
            changes=list(read.changes),
            awaits_restart=list(read.awaits_restart),
        )
        changes, awaits = _shortened(read.changes), _shortened(read.awaits_restart)
        what = ", ".join(changes) or "nothing has changed"
        _log.log(
            logging.WARNING if awaits else logging.INFO,
            "config reloaded: %s%s",
            what,
            f"; a restart is needed for {', '.join(awaits)}" if awaits else "",
            extra=event_fields(
                "config_reloaded",
                config_hash=loaded.hash,
                generation=app.generation.number,
                changes=changes,
                awaits_restart=awaits,
            ),
        )
        for warning in dict.fromkeys(loaded.warnings):
            if warning not in before.warnings:
                extra = event_fields("config_warning", warning=warning)
                _log.warning("%s", warning, extra=extra)


class _Read(msgspec.Struct, frozen=True):
    """What the files held."""

    digests: Mapping[Path, bytes]
    loaded: LoadedConfig | None
    """None where it cannot be used."""
    problems: Sequence[str] = ()
    changes: Sequence[str] = ()
    """What it has otherwise than the config that serves."""
    awaits_restart: Sequence[str] = ()
    """What it has otherwise than the first config, and takes effect by a restart only."""


def _read(
    path: Path, environ: Mapping[str, str], serving: LoadedConfig, began: LoadedConfig
) -> _Read:
    """Read the config's files, all as they are at one moment. For a thread: it waits for disks, and
    a config of a megabyte takes seconds. Meanwhile the loop's thread gets its turn after
    `_TURN_S`, not after Python's usual 5 ms.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        return _read_at_one_moment(path, environ, serving, began)
    finally:
        sys.setswitchinterval(usual_s)


def _read_at_one_moment(
    path: Path, environ: Mapping[str, str], serving: LoadedConfig, began: LoadedConfig
) -> _Read:
    for _ in range(_READINGS):
        reader, seen = FileReader(), FileReader()
        problems: Sequence[str] = ()
        loaded: LoadedConfig | None = None
        try:
            loaded = load_config(path, environ, reader)
        except ConfigError as error:
            problems = error.problems
        seen.look(reader.digests)
        if seen.digests == reader.digests:
            break
    if loaded is None:
        return _Read(reader.digests, None, problems)
    from sidecar.config.changes import changes_between  # most processes never reload

    awaits_restart = changes_between(began, loaded).restart
    changes = changes_between(serving, loaded).lines
    return _Read(reader.digests, loaded, (), changes, awaits_restart)


def _shortened(lines: Sequence[str]) -> list[str]:
    left = len(lines) - _TOLD_AT_MOST
    return list(lines) if left <= 0 else [*lines[:_TOLD_AT_MOST], f"and {left} more"]

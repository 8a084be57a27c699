"""The commands that look at a config or at the installation, and serve nothing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar import __version__
from sidecar.commands.shell import DIFFERENT, FAILED, NEEDS_RESTART, OK, run_loop
from sidecar.domain.errors import ConfigError, SidecarError
from sidecar.runtime.file_watch import FileReader
from sidecar.runtime.installation import (
    can_export_spans,
    is_compiled,
    is_installed,
    needs_extra,
)
from sidecar.runtime.lifecycle import fast_loop_factory

if TYPE_CHECKING:
    from sidecar.config.load import LoadedConfig
    from sidecar.selection.explain import TriedCall

_PACKAGES: Final = (
    "aiohttp", "httptools", "msgspec", "prometheus-client", "PyYAML", "redis", "hiredis", "uvloop",
    "aiofastnet",
)  # fmt: skip
"""What a report of a bug should name."""


class _LenientReader(FileReader):
    """Reads a text of its own where a file that the config names is not there."""

    _STAND_IN: Final = b"{routes}{conversation}"
    """It will do for a key, for a password and for the router model's prompt."""

    def __init__(self, config: Path) -> None:
        """Args: ``config`` has to be there."""
        super().__init__()
        self._config = config
        self.missing: list[Path] = []

    def read(self, path: Path, *, accepts_pipe: bool = False) -> bytes:
        """Return a file's content. Raises: ValueError, but not for a file that is missing."""
        try:
            return super().read(path, accepts_pipe=accepts_pipe or path == self._config)
        except ValueError as error:
            if path == self._config or not isinstance(error.__cause__, FileNotFoundError):
                raise
        self.missing.append(path)
        return self._STAND_IN


def check(arguments: argparse.Namespace) -> int:
    """Print the warnings of a config file, and that it is fine; with ``diff``, what the second of
    two files changes, and what of it a reload does not bring. Raises: ConfigError.
    """
    is_lenient = arguments.allow_missing_files
    if arguments.diff is not None:
        old, new = (_checked(file, is_lenient=is_lenient) for file in arguments.diff)
        return _print_changes(old, new)
    loaded = _checked(arguments.file, is_lenient=is_lenient)
    print(f"{arguments.file}: ok")
    _print_memory(loaded)
    return OK


def _checked(file: Path, *, is_lenient: bool) -> LoadedConfig:
    """Return a config, with its warnings printed. Raises: ConfigError."""
    from sidecar.config.load import load_config

    reader = _LenientReader(file) if is_lenient else None
    loaded = load_config(file, os.environ, reader)
    missing = (
        [] if reader is None else [f"{path}: there is no such file yet" for path in reader.missing]
    )
    for warning in (*loaded.warnings, *missing):
        print(f"warning: {warning}", file=sys.stderr)
    lacking = _missing_extras(loaded)
    if lacking:
        raise ConfigError([f"{file}: {problem}" for problem in lacking])
    return loaded


def _missing_extras(loaded: LoadedConfig) -> list[str]:
    """Return what keeps `run` from serving a config with this installation, as `run` says it."""
    problems = []
    if loaded.config.routing.session_cache.type == "redis" and not is_installed("redis"):
        problems.append(f"session_cache.type redis {needs_extra('redis')}")
    if loaded.tracing is not None and loaded.tracing.is_asked_for and not can_export_spans():
        problems.append(f"tracing {needs_extra('otel')}")
    return problems


def _print_memory(loaded: LoadedConfig) -> None:
    """Print how much memory a sidecar may use here for what it keeps, and the longest body."""
    from sidecar.build.memory import build_memory

    memory = build_memory(loaded.config.limits)
    limit, longest = memory.budget.limit_bytes, memory.bodies.longest_bytes
    where = "" if loaded.config.limits.memory_bytes else " (not set: by this container's limit)"
    print(f"limits.memory_bytes: {limit}{where}")
    if longest < loaded.config.limits.body_bytes:
        said = f"warning: limits.body_bytes: bodies of more than {longest} bytes are refused here"
        print(f"{said}: limits.memory_bytes has no room for them", file=sys.stderr)


def _print_changes(old: LoadedConfig, new: LoadedConfig) -> int:
    from sidecar.config.changes import changes_between

    changes = changes_between(old, new)
    for line in changes.lines:
        print(line)
    for line in changes.restart:
        print(f"needs a restart: {line}")
    if changes.restart:
        return NEEDS_RESTART
    return DIFFERENT if changes.lines else OK


def schema(_: argparse.Namespace) -> int:
    """Print the config's JSON Schema."""
    from sidecar.config.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return OK


def route(arguments: argparse.Namespace) -> int:
    """Print which model a text or a request would go to, and why. Raises: ConfigError."""
    try:
        tried = _tried_call(arguments)
    except (OSError, ValueError, RecursionError) as error:
        print(f"{arguments.body}: {error}", file=sys.stderr)
        return FAILED
    return run_loop(_route(arguments, tried))


def _tried_call(arguments: argparse.Namespace) -> TriedCall:
    """Raises: OSError, ValueError, RecursionError where a body cannot be read, is no JSON, or does
    not tell its API.
    """
    from sidecar.dialects.guess import dialect_of_body
    from sidecar.domain.call import DialectName
    from sidecar.selection.explain import NamedSession, TriedCall, body_of_text

    session = NamedSession(arguments.session, arguments.tenant, arguments.agent)
    if arguments.body is None:
        return TriedCall(body_of_text(arguments.text), arguments.model, session)
    body: bytes = arguments.body.read_bytes()
    named = arguments.dialect
    dialect = dialect_of_body(body) if named is None else DialectName(named)
    if dialect is None:
        raise ValueError("its API cannot be told from it: name it by --dialect")
    return TriedCall(body, arguments.model, session, dialect)


async def _route(arguments: argparse.Namespace, tried: TriedCall) -> int:
    from sidecar.app import App
    from sidecar.config.load import load_config
    from sidecar.selection.explain import describe

    loaded = load_config(arguments.config, os.environ)
    async with App(loaded, os.environ, listens=False) as app:
        try:
            explanation = await app.explain(tried)
        except SidecarError as error:
            print(f"{error.code}: {error.message}", file=sys.stderr)
            return FAILED
        print(describe(explanation))
    return OK


def version(_: argparse.Namespace) -> int:
    """Print the versions of the sidecar and of what it stands on, one a line."""
    import importlib.metadata

    from sidecar.listener.server import listener_path

    print(f"plano-sidecar {__version__}{' (hot path compiled)' if is_compiled() else ''}")
    print(f"python {platform.python_version()}")
    for name in _PACKAGES:
        try:
            print(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} not installed")
    print(f"listener path {listener_path()}")
    print(f"loop {_loop()}")
    return OK


def _loop() -> str:
    """Return the module of the event loop that `run` uses."""
    factory = fast_loop_factory()
    if factory is None:
        return "asyncio"
    loop = factory()
    try:
        return type(loop).__module__.partition(".")[0]
    finally:
        loop.close()

"""What the commands share: exit codes, the config, the event loop, the log, kinds of arguments."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

from sidecar.runtime.lifecycle import fast_loop_factory

if TYPE_CHECKING:
    from sidecar.config.load import LoadedConfig

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 64
CONFIG: Final = 78
"""Exit codes; 64 and 78 are EX_USAGE and EX_CONFIG of BSD's sysexits.h."""
DIFFERENT: Final = 2
NEEDS_RESTART: Final = 3
"""Exit codes of `check --diff`, where the configs are not the same: whether a reload is enough."""

SECONDS_AT_MOST: Final = 86_400.0

_Result = TypeVar("_Result")


def run_loop(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run ``work`` on the fastest event loop that is installed, and return its result."""
    with asyncio.Runner(loop_factory=fast_loop_factory()) as runner:
        return runner.run(work)


def load_to_trace(config: Path | None) -> LoadedConfig:
    """Load a config, and take out of this process's environment the variables at which
    OpenTelemetry's library would fail, some of them as soon as it is imported.

    Raises: ConfigError.
    """
    from sidecar.config.load import load_config

    loaded = load_config(config, os.environ)
    if loaded.tracing is not None:
        for name in loaded.tracing.unusable:
            os.environ.pop(name, None)
    return loaded


def is_coloured(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether ``out`` is a terminal that wants colours: https://no-color.org."""
    return out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def log_warnings_to_stderr() -> None:
    """Log from WARNING on, for commands whose output is read by a person."""
    form = "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=form)


def seconds(text: str) -> float:
    """Return a duration of more than no time. Raises: argparse.ArgumentTypeError."""
    try:
        duration_s = float(text)
    except ValueError:
        duration_s = 0.0
    if not 0 < duration_s <= SECONDS_AT_MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return duration_s


def port(text: str) -> int:
    """Return the number of a port that something listens at. Raises: argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return int(text)

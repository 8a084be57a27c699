"""What the commands share: exit codes, the event loop and the log."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from sidecar.runtime.lifecycle import fast_loop_factory

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 64
CONFIG: Final = 78
"""Exit codes; 64 and 78 are EX_USAGE and EX_CONFIG of BSD's sysexits.h."""

_Result = TypeVar("_Result")


def run_loop(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run ``work`` on the fastest event loop that is installed, and return its result."""
    with asyncio.Runner(loop_factory=fast_loop_factory()) as runner:
        return runner.run(work)


def log_to_stderr() -> None:
    """Log from INFO on, with times."""
    _log(logging.INFO, "%(asctime)s %(levelname)s %(name)s: %(message)s")


def log_warnings_to_stderr() -> None:
    """Log from WARNING on, for commands whose output is read by a person."""
    _log(logging.WARNING, "%(levelname)s %(name)s: %(message)s")


def _log(level: int, form: str) -> None:
    logging.basicConfig(level=level, stream=sys.stderr, format=form)

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


def log_warnings_to_stderr() -> None:
    """Log from WARNING on, for commands whose output is read by a person."""
    form = "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=form)

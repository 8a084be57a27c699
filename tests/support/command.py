"""A command of `plano-sidecar` in this process, as `sidecar.cli` runs it: a process of its own would
import everything first. That commands are processes is tested where it matters: signals, pipes,
bytes that are no UTF-8, hash seeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import NamedTuple

from sidecar.cli import main


class Ended(NamedTuple):
    """What a shell would have of a command."""

    code: int
    out: str
    errors: str


async def command(*arguments: str) -> Ended:
    """Run it beside this loop, in a thread with a loop of its own, and wait for its end."""
    return await asyncio.to_thread(_run, arguments)


def _run(arguments: tuple[str, ...]) -> Ended:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse's way to end
            code = int(ended.code or 0)
    return Ended(code, out.getvalue(), errors.getvalue())

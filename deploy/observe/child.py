"""A process that is started here and ended here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

_END_LIMIT_S: Final = 20.0
"""A sidecar's drain ends its last stream by then."""


class ProgramMissing(Exception):
    """A program that is needed is not on PATH; the message names it."""


def find_program(name: str) -> str:
    """Return the path of a program. Raises: ProgramMissing."""
    found = shutil.which(name)
    if found is None:
        raise ProgramMissing(f"{name} is not installed")
    return found


async def start_child(
    *command: str | Path, stdout: Path, stderr: Path, environment: Mapping[str, str] | None = None
) -> Process:
    """Start a process in a session of its own, so that Ctrl-C does not end it before its callers.

    Args: its output is appended to the files ``stdout`` and ``stderr``; ``environment`` is added to
        this process' own.
    """
    variables = os.environ | (environment or {})
    with stdout.open("ab") as out, stderr.open("ab") as err:
        return await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=out, stderr=err, env=variables, start_new_session=True
        )


async def end_child(process: Process) -> int:
    """Ask a process to end, and make it after a while. Returns: its exit code. Idempotent."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_LIMIT_S):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


@contextlib.asynccontextmanager
async def running_child(
    *command: str | Path, stdout: Path, stderr: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """A process while the context lasts; see `start_child`. Also ended where the context is
    cancelled.
    """
    process = await start_child(*command, stdout=stdout, stderr=stderr, environment=environment)
    try:
        yield process
    finally:
        await asyncio.shield(end_child(process))

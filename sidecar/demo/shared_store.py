"""Runs a Redis for the demo's two sidecars, if the machine has one."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import socket
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

_START_LIMIT_S: Final = 10.0
_END_LIMIT_S: Final = 5.0


def find_redis() -> str | None:
    """Return the path of redis-server; None if it is not on PATH, or redis-py is not installed."""
    return shutil.which("redis-server") if importlib.util.find_spec("redis") else None


@contextlib.asynccontextmanager
async def running_redis(program: str, folder: Path) -> AsyncIterator[str | None]:
    """Run a server on loopback that saves nothing. Yields: its URL; None if it does not start."""
    port = _free_port()
    listens = ("--port", str(port), "--bind", "127.0.0.1")
    saves_nothing = ("--save", "", "--appendonly", "no", "--dir", str(folder))
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *listens,
            *saves_nothing,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,  # so that Ctrl-C does not end it before the sidecars
        )
    except OSError:
        yield None
        return
    try:
        yield f"redis://127.0.0.1:{port}/0" if await _starts(process, port) else None
    finally:
        await _end(process)


async def _starts(process: asyncio.subprocess.Process, port: int) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_START_LIMIT_S):
            while process.returncode is None:
                if await _accepts(port):
                    return True
                await asyncio.sleep(0.02)
    return False


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(_END_LIMIT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

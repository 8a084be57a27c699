"""`plano-sidecar wait`: returns once the sidecar is ready, for a postStart hook.

A kubelet starts a pod's containers in the order in which they are listed, and waits for the hook of
one before it starts the next. The hook needs no shell, and reaches the admin port by loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from typing import Final

from sidecar.commands.shell import FAILED, OK
from sidecar.runtime.timers import Timeout

_LOOK_S: Final = 0.05
"""Time between two looks."""
_REPLY_S: Final = 1.0
_ASK: Final = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_READY: Final = b"HTTP/1.1 200 "
_LOOPBACKS: Final = ("127.0.0.1", "::1")


def wait(arguments: argparse.Namespace) -> int:
    """Wait until the admin port says ready; fail where it does not in time."""
    # On asyncio's own loop: the app waits for this, and the faster ones take longer to import.
    return asyncio.run(_wait(arguments.port, arguments.timeout))


async def _wait(port: int, timeout_s: float) -> int:
    try:
        async with Timeout(timeout_s):
            while not await _is_ready(port):  # noqa: ASYNC110 - another process is waited for
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        print(f"wait: no sidecar is ready at port {port} of this pod", file=sys.stderr)
        return FAILED
    return OK


async def _is_ready(port: int) -> bool:
    """Ask once, on the loopback of either family."""
    for address in _LOOPBACKS:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with Timeout(_REPLY_S):
                reader, writer = await asyncio.open_connection(address, port)
                try:
                    writer.write(_ASK)
                    if await reader.readexactly(len(_READY)) == _READY:
                        return True
                finally:
                    writer.close()
                    await writer.wait_closed()
    return False

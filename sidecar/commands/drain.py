"""`plano-sidecar drain`: asks a running sidecar to drain, for an operator or a hook.

What runs in the container reaches loopback, which a kubelet's own request does not.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import sys
from typing import Final

import aiohttp
import msgspec

from sidecar.commands.operators_client import operators_client
from sidecar.commands.shell import FAILED, OK, run_loop
from sidecar.listener.drain_page import DRAIN_PATH

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_LOOK_S: Final = 0.2
"""Time between two looks at whether the drain has ended."""

_NOBODY_LISTENS: Final = (errno.ECONNREFUSED, errno.ENOENT)
"""Only this says that the process has ended: a busy one may be slow to answer."""


class _Answer(msgspec.Struct):
    """What the page says."""

    draining: bool
    ended: bool
    in_flight: int


def drain(arguments: argparse.Namespace) -> int:
    """Begin the drain, and with ``--wait`` wait until it has ended or the process is gone."""
    return run_loop(_drain(arguments.admin, waits=arguments.wait))


async def _drain(address: str, *, waits: bool) -> int:
    async with operators_client(address) as (session, url):
        try:
            answer = await _ask(session, "POST", url)
        except (aiohttp.ClientError, OSError, ValueError):
            print(f"drain: no operators' pages answer at {address}", file=sys.stderr)
            return FAILED
        print(f"draining, {answer.in_flight} in flight", flush=True)
        while waits and not answer.ended:
            await asyncio.sleep(_LOOK_S)
            try:
                answer = await _ask(session, "GET", url)
            except aiohttp.ClientConnectorError as error:
                if error.os_error.errno in _NOBODY_LISTENS:
                    print("the process has ended")
                    return OK
                print(f"drain: {address} cannot be reached: {error.strerror}", file=sys.stderr)
                return FAILED
            except (ValueError, aiohttp.ClientResponseError):
                print(f"drain: no sidecar answers at {address} any more", file=sys.stderr)
                return FAILED
            except (aiohttp.ClientError, OSError):
                continue  # too slow, or cut off: the next look tells
    if waits:
        print("drained")
    return OK


async def _ask(session: aiohttp.ClientSession, method: str, url: str) -> _Answer:
    """Raises: ClientError, OSError, ValueError where no sidecar answers."""
    async with session.request(method, url + DRAIN_PATH, timeout=_TIMEOUT) as reply:
        return msgspec.json.decode(await reply.read(), type=_Answer)

"""Blocking work in a thread that the end of the process does not wait for.

The threads of a loop's own pool are joined at exit: a name server that is silent would hold that up
for half a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def run_in_daemon_thread(work: Callable[[], Result], *, name: str) -> Result:
    """Run ``work`` in a thread of its own, and return its result. Cancelled, it leaves the thread
    to itself.

    Raises: what ``work`` raises; OSError where no thread can be had.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        if not done.done():
            settle()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised where the result is waited for
            failure = error  # Python unbinds the name of an exception behind its block
            settle = lambda: done.set_exception(failure)  # noqa: E731 - one of two
        else:
            settle = lambda: done.set_result(result)  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits any more
            loop.call_soon_threadsafe(finish, settle)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise OSError("no thread can be had") from error
    return await done

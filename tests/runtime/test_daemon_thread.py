"""Blocking work that no exit waits for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sidecar.runtime.daemon_thread import run_in_daemon_thread


async def test_the_result_comes_back():
    """From a daemon of that name."""
    thread = await run_in_daemon_thread(threading.current_thread, name="look up")

    assert ("look up", True) == (thread.name, thread.daemon)


async def test_what_the_work_raises_is_raised():
    """As if it had been called here."""

    def fail() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError):
        await run_in_daemon_thread(fail, name="fail")


async def test_who_waits_no_more_leaves_it_alone():
    """Its late result is nothing to anybody."""
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(10)
        ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run_in_daemon_thread(work, name="late")
    go_on.set()
    await asyncio.to_thread(ended.wait, 10)

    assert ended.is_set()


def test_a_loop_that_is_closed_is_nothing_to_it():
    """The process is about to end."""
    go_on, threads = threading.Event(), []

    def work() -> None:
        threads.append(threading.current_thread())
        go_on.wait(10)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await run_in_daemon_thread(work, name="late")

    asyncio.run(give_up())
    go_on.set()
    threads[0].join(10)

    assert not threads[0].is_alive()


async def test_no_thread_is_an_error_of_the_system(monkeypatch):
    """Which whoever connects knows how to meet."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="no thread"):
        await run_in_daemon_thread(lambda: None, name="x")

"""Live connections are looked at once a second, and only while there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from sidecar.http1.reset_watch import ResetWatch, Watched, may_miss_resets


class _Timer:
    def __init__(self, due_s: float, call: Callable[[], None]) -> None:
        self.due_s, self.call, self.is_cancelled = due_s, call, False

    def cancel(self) -> None:
        self.is_cancelled = True


class _Loop:
    def __init__(self) -> None:
        self.timers: list[_Timer] = []

    def call_later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> _Timer:
        self.timers.append(_Timer(delay_s, lambda: call(*arguments)))
        return self.timers[-1]


class _Connection:
    def __init__(self, live: list[Watched]) -> None:
        self.looks, self._live = 0, live

    def look_again(self) -> None:
        """One that is found reset leaves at once."""
        self.looks += 1
        if self.looks == 2:
            self._live.remove(self)


def test_each_is_looked_at_until_none_is_left():
    """One timer at a time."""
    live: list[Watched] = []
    connections = [_Connection(live), _Connection(live)]
    live.extend(connections)
    loop, watch = _Loop(), ResetWatch(live)
    for _ in range(2):
        watch.begin(cast("asyncio.AbstractEventLoop", loop))
    assert [1.0] == [timer.due_s for timer in loop.timers]
    for _ in range(2):
        loop.timers.pop().call()

    assert [2, 2] == [each.looks for each in connections]
    assert [] == loop.timers


def test_once_stopped_no_timer_is_left():
    """Stopping twice is stopping; a connection opened afterwards is looked at again."""
    loop, watch = _Loop(), ResetWatch([])
    watch.begin(cast("asyncio.AbstractEventLoop", loop))
    watch.stop()
    watch.stop()
    assert [True] == [timer.is_cancelled for timer in loop.timers]
    watch.begin(cast("asyncio.AbstractEventLoop", loop))

    assert 2 == len(loop.timers)


def _of(module: str) -> Any:
    """An object whose class is of a module."""
    return type("Anything", (), {"__module__": module})()


@pytest.mark.parametrize(
    ("loop", "transport", "expected"),
    [
        ("uvloop", "aiofastnet.selector_transport", True),
        ("uvloop", "aiofastnet.ssl_transport", True),
        ("uvloop", "uvloop.loop", False),
        ("asyncio.unix_events", "aiofastnet.selector_transport", False),
        ("asyncio.unix_events", "asyncio.selector_events", False),
    ],
)
def test_only_aiofastnet_on_uvloop_needs_it(loop, transport, expected):
    """The others tell each reset themselves."""
    assert expected == may_miss_resets(_of(loop), _of(transport))

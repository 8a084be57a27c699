"""Facts that no observer hears are never constructed, in a whole sidecar that serves calls."""

from __future__ import annotations

import asyncio
import collections
import sys
import types

import pytest

import sidecar.app  # noqa: F401 - brings every room that emits
from sidecar.domain.events import Event, Listeners, Observer
from sidecar.domain.observers import Observers
from sidecar.listener.kept_connections import ConnectionLimits
from tests.support.faults import Fault
from tests.support.routed import PREFERENCES, routed

KINDS = Event.__subclasses__()


class _Made(collections.Counter[str]):
    """How often an event was constructed, by the name of its type."""

    def counting(self, kind: type[Event]) -> type[Event]:
        """The same event, but each construction is counted."""
        made = self

        def count(_: Event) -> None:
            made[kind.__name__] += 1

        return types.new_class(
            kind.__name__, (kind,), {"frozen": True}, lambda body: body.update(__post_init__=count)
        )


class _HearsNothing:
    """Hears nothing."""

    def listeners(self) -> Listeners:
        return {}


class _All:
    """Hears everything, and does nothing."""

    def __init__(self, kinds: list[type[Event]]) -> None:
        self._kinds = kinds

    def listeners(self) -> Listeners:
        return dict.fromkeys(self._kinds, lambda _: None)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[_Made, list[type[Event]]]:
    """A count of constructed events, and the counting types, which all rooms use meanwhile."""
    counter = _Made()
    counting = {kind: counter.counting(kind) for kind in KINDS}
    rooms = [module for name, module in sys.modules.items() if name.startswith("sidecar.")]
    for room in rooms:
        for kind, counted in counting.items():
            if room.__name__ != kind.__module__ and vars(room).get(kind.__name__) is kind:
                monkeypatch.setattr(room, kind.__name__, counted)
    return counter, list(counting.values())


def _listen(monkeypatch: pytest.MonkeyPatch, observer: Observer) -> None:
    """Put one observer in the place of those that the sidecar brings."""
    real = Observers.__init__
    monkeypatch.setattr(Observers, "__init__", lambda self, _=(): real(self, [observer]))


async def _serve_and_refuse() -> None:
    """A routed, a pinned, a failed-over, a broken and a refused call, and an idle connection."""
    asking = {"openai/gpt-4o-mini": {"usage": "ask"}}
    async with routed(asking, routing_preferences=PREFERENCES) as house:
        for _ in range(2):
            await house.ask(headers={"x-model-affinity": "s"})
        house.provider.script.next("429")
        await house.ask()
        house.provider.script.next("cut-stream after=3")
        await house.ask(stream=True)
        house.provider.script.next(Fault(status=400, body=b"stream_options"))
        await house.ask(stream=True, routing_preferences=[])
        await house.ask(model="unknown/none")
        await house.ask(path="/no/such/path")
        reader, writer = await asyncio.open_connection("127.0.0.1", house.app.ports.data)
        kept = house.app.foundation.kept_connections
        while kept.counts() != (0, 1):
            await asyncio.sleep(0)
        kept.configure(ConnectionLimits(idle_s=1e-6))
        await reader.read()
        writer.close()


async def test_an_unheard_fact_is_never_constructed(made, monkeypatch):
    """Whatever the call meets."""
    counter, _ = made
    _listen(monkeypatch, _HearsNothing())
    await _serve_and_refuse()

    assert {} == dict(counter)


async def test_a_heard_fact_is_constructed(made, monkeypatch):
    """The same calls report all but what is a constant: operations on a pin in memory."""
    counter, kinds = made
    _listen(monkeypatch, _All(kinds))
    await _serve_and_refuse()

    assert {kind.__name__ for kind in KINDS} - {"AffinityOperation"} == set(counter)

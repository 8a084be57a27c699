"""A refused key is read again beside the calls."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from sidecar.domain.decision import Candidate
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream import credential_reload
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.credential_reload import CredentialReloader
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.support.values import FakeClock

A = Candidate("a", "openai/m", "m", "openai/m", frozenset())
REFUSED = Failure(FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY)


class _Client:
    """A client whose file holds another key, or the same one."""

    def __init__(self, *, is_new: bool) -> None:
        self.is_new = is_new
        self.reads = 0

    async def reload_credential(self) -> bool:
        self.reads += 1
        return self.is_new


def _reloader(client: _Client) -> tuple[CredentialReloader, Cooling, FakeClock]:
    clients: Any = {"a": client}
    cooling, clock = Cooling(), FakeClock(1000.0)
    cooling.observe_failure(A, REFUSED, 1000.0)
    return CredentialReloader(clients, cooling, clock.monotonic_s), cooling, clock


async def _finish(reloader: CredentialReloader) -> None:
    while reloader._under_way:
        await asyncio.sleep(0)


async def test_another_key_ends_the_ejection_and_outdates_earlier_calls():
    """A refusal of what was sent before says nothing about the new key."""
    reloader, cooling, clock = _reloader(_Client(is_new=True))
    reloader.reload("a")
    clock.advance(1.0)
    await _finish(reloader)

    assert None is cooling.due_s(A, 1001.0)
    assert (True, False) == (reloader.is_outdated("a", 1000.5), reloader.is_outdated("a", 1001.0))


async def test_the_same_key_leaves_the_entry_ejected_and_is_logged_once(caplog):
    """However many calls it refuses."""
    reloader, cooling, _ = _reloader(_Client(is_new=False))
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            reloader.reload("a")
            await _finish(reloader)

    assert None is not cooling.due_s(A, 1001.0)
    assert not reloader.is_outdated("a", 0.0)
    assert ["INFO"] == [record.levelname for record in caplog.records]
    await reloader.aclose()


async def test_a_rotated_key_is_found_though_no_call_goes_there(monkeypatch):
    """An ejected entry is asked by nobody, so that no refusal would have its file read."""
    monkeypatch.setattr(credential_reload, "LOOK_AGAIN_S", 0.0)
    client = _Client(is_new=False)
    reloader, cooling, _ = _reloader(client)
    reloader.reload("a")
    while client.reads < 4:
        await asyncio.sleep(0)
    client.is_new = True
    while cooling.due_s(A, 1001.0) is not None:
        await asyncio.sleep(0)
    while reloader._watched:
        await asyncio.sleep(0)

    assert not reloader.is_outdated("a", 1000.0)


async def test_a_key_is_looked_at_no_more_once_the_ejection_is_over(monkeypatch):
    """Calls go there again, and tell."""
    monkeypatch.setattr(credential_reload, "LOOK_AGAIN_S", 0.0)
    reloader, _, clock = _reloader(_Client(is_new=False))
    reloader.reload("a")
    await _finish(reloader)
    clock.advance(3600.0)
    while reloader._tasks._tasks:
        await asyncio.sleep(0)

    assert set() == reloader._watched


async def test_calls_that_are_refused_together_read_the_file_once():
    """A hundred in flight are one reading."""
    client = _Client(is_new=True)
    reloader, _, _ = _reloader(client)
    for _ in range(100):
        reloader.reload("a")
    await _finish(reloader)

    assert 1 == client.reads
    await reloader.aclose()

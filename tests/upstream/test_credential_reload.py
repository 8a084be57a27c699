"""A refused key is read again from its file."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.providers import Provider
from sidecar.config.secret import Secret
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.decision import Candidate
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.lifecycle import Tasks
from sidecar.upstream import credential_reload
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.credential_reload import (
    LOOKS,
    CredentialReloader,
    groups_of,
    read_now,
    read_settled,
)
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from tests.config.loading import load
from tests.support.values import FakeClock

REFUSED = Failure(FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY)
LIMIT_S = 10.0


def _candidate(name: str) -> Candidate:
    return Candidate(name, "openai/m", "m", "openai/m", frozenset())


class _Reloading:
    """Entries whose keys are in files, all of them ejected, and what reads these again."""

    def __init__(self, **keys: str) -> None:
        entries = "".join(
            f"  - {{model: openai/m, name: {name}, access_key: '{key}'}}\n"
            for name, key in keys.items()
        )
        nothing: Any = None
        self.clients = {
            each.name: ProviderClient(each, nothing, DIALECTS.by_name)
            for each in load(f"model_providers:\n{entries}").providers
        }
        self.cooling, self.clock = Cooling(), FakeClock(1000.0)
        for name in keys:
            self.cooling.observe_failure(_candidate(name), REFUSED, 1000.0)
        self.reloader = CredentialReloader(self.clients, self.cooling, self.clock.monotonic_s)

    def key_of(self, name: str) -> str:
        key = self.clients[name].provider.access_key
        assert key is not None
        return key.reveal()

    def is_ejected(self, name: str) -> bool:
        return self.cooling.due_s(_candidate(name), 1001.0) is not None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("old\n")
    return path


async def test_another_key_is_used_and_ends_the_ejection(file):
    """What was sent before was refused for the old one; what is sent from now on is not."""
    made = _Reloading(a=f"${{file:{file}}}")
    file.write_text("new\n")
    made.clock.advance(1.0)
    renewed = await made.reloader.is_renewed("a", 1000.5)

    assert (True, "new", False) == (renewed, made.key_of("a"), made.is_ejected("a"))
    assert not await made.reloader.is_renewed("a", 1001.0)
    assert (True, False) == tuple(made.cooling.is_outdated("a", at) for at in (1000.5, 1001.0))
    assert 1001.0 == made.reloader.renewed_s("a")


@pytest.mark.parametrize("content", ["old", "old\r\n", "", "\n", "two\nlines", None])
async def test_a_file_without_another_usable_key_changes_nothing(file, content):
    """The same key, none, one that cannot stand in a header, no file."""
    made = _Reloading(a=f"${{file:{file}}}")
    file.unlink()
    if content is not None:
        file.write_text(content)
    renewed = await made.reloader.is_renewed("a", 1000.5)

    assert (False, "old", True) == (renewed, made.key_of("a"), made.is_ejected("a"))
    assert None is made.reloader.renewed_s("a")


async def test_a_key_that_is_in_no_file_is_not_looked_for(monkeypatch):
    """There is nowhere to look."""
    monkeypatch.setattr(credential_reload, "read_now", None)
    made = _Reloading(a="plain")
    renewed = await made.reloader.is_renewed("a", 1000.5)
    made.reloader.watch("a")

    assert (False, set()) == (renewed, made.reloader._watched)


async def test_all_entries_that_use_the_file_have_its_new_key_and_one_line_says_so(file, caplog):
    """Regions and models of one account: each would be refused once otherwise."""
    keys = dict.fromkeys("abcde", f"${{file:{file}}}")
    made = _Reloading(**keys, other="plain")
    file.write_text("new-secret")
    with caplog.at_level(logging.INFO):
        await made.reloader.is_renewed("c", 1000.5)

    assert {"new-secret"} == {made.key_of(name) for name in keys}
    assert (False, True) == (made.is_ejected("a"), made.is_ejected("other"))
    assert ["a, b, c and 2 more: another key is in the file and is used from now on"] == [
        record.getMessage() for record in caplog.records
    ]
    assert "new-secret" not in caplog.text


async def test_calls_that_are_refused_together_read_the_files_once(file, monkeypatch):
    """A hundred in flight are one reading, which looks twice where it finds another key."""
    looks = []

    def counted(providers: Sequence[Provider]) -> list[Provider | None]:
        looks.append(1)
        return read_now(providers)

    monkeypatch.setattr(credential_reload, "read_now", counted)
    made = _Reloading(a=f"${{file:{file}}}")
    file.write_text("new")
    made.clock.advance(1.0)
    found = await asyncio.gather(*[made.reloader.is_renewed("a", 1000.5) for _ in range(100)])

    assert ({True}, 2) == (set(found), len(looks))


async def test_a_key_that_came_behind_a_reading_is_found_by_those_who_had_joined_it(
    file, monkeypatch
):
    """That reading saw the file as it was before they were refused."""
    has_read, may_go_on = threading.Event(), threading.Event()

    def slow(providers: Sequence[Provider]) -> list[Provider | None]:
        found = read_now(providers)
        has_read.set()
        may_go_on.wait(LIMIT_S)
        return found

    monkeypatch.setattr(credential_reload, "read_now", slow)
    monkeypatch.setattr(credential_reload, "WAIT_S", LIMIT_S)
    made, tasks = _Reloading(a=f"${{file:{file}}}"), Tasks()
    made.clock.advance(1.0)
    first = tasks.spawn(made.reloader.is_renewed("a", 1000.5), name="first")
    await asyncio.sleep(0)
    assert await asyncio.to_thread(has_read.wait, LIMIT_S)
    file.write_text("new")
    second = tasks.spawn(made.reloader.is_renewed("a", 1000.5), name="second")
    await asyncio.sleep(0)
    may_go_on.set()

    assert await second
    assert "new" == made.key_of("a")
    await first


async def test_a_disk_that_hangs_holds_up_calls_for_a_moment_only(file, monkeypatch):
    """Those that come later do not wait for that reading at all."""
    monkeypatch.setattr(credential_reload, "WAIT_S", 0.02)
    hanging = threading.Event()

    def hang(providers: Sequence[Provider]) -> list[Provider | None]:
        hanging.wait(LIMIT_S)
        return read_now(providers)

    monkeypatch.setattr(credential_reload, "read_now", hang)
    made = _Reloading(a=f"${{file:{file}}}")
    file.write_text("new")
    first = await made.reloader.is_renewed("a", 1000.5)
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    second = await made.reloader.is_renewed("a", 1000.5)
    hanging.set()

    assert (False, False, []) == (first, second, turns)
    await made.reloader.aclose()


@pytest.mark.parametrize(
    ("contents", "expected", "looks"),
    [
        (["old"], None, 1),
        (["new", "new"], "new", 2),
        (["", "ne", "new", "new"], "new", 4),
        (["1", "2", "3", "4", "5"], "5", LOOKS),
        (["", "", "", "", ""], None, LOOKS),
    ],
)
async def test_a_file_that_is_being_written_is_looked_at_until_it_stays_the_same(
    file, monkeypatch, contents, expected, looks
):
    """Empty at first, then half of it: neither is taken for the key; but a bounded number of
    times.
    """
    left = list(contents)

    def written(providers: Sequence[Provider]) -> list[Provider | None]:
        file.write_text(left.pop(0))
        return read_now(providers)

    monkeypatch.setattr(credential_reload, "read_now", written)
    monkeypatch.setattr(credential_reload, "PAUSE_S", 0.0)
    (client,) = _Reloading(a=f"${{file:{file}}}").clients.values()
    renewed = [each.access_key for each in await read_settled([client.provider])]

    assert looks == len(contents) - len(left)
    assert renewed == ([] if expected is None else [Secret(expected)])


def test_entries_with_a_file_in_common_are_one_group(tmp_path):
    """Also by way of a third one; those without files have none."""
    x, y, z = (tmp_path / name for name in "xyz")
    files = {
        "a": frozenset({x}),
        "b": frozenset({y}),
        "env": frozenset[Path](),
        "c": frozenset({x, y}),
        "d": frozenset({z}),
    }

    assert {"a": ("a", "b", "c"), "b": ("a", "b", "c"), "c": ("a", "b", "c"), "d": ("d",)} == (
        groups_of(files)
    )


def test_each_file_of_the_entries_is_looked_at_once(tmp_path):
    """Of thousands of entries, each with a file, the groups are found on the loop's thread."""
    looks = 0

    class Counted(frozenset[Path]):
        def __iter__(self):
            nonlocal looks
            looks += 1
            return super().__iter__()

        def isdisjoint(self, other):
            nonlocal looks
            looks += 1
            return super().isdisjoint(other)

    files = {f"m{index}": Counted({tmp_path / str(index)}) for index in range(500)}

    assert {name: (name,) for name in files} == groups_of(files)
    assert looks <= 2 * len(files)


async def test_a_rotated_key_is_found_though_no_call_goes_there(file, monkeypatch, caplog):
    """An ejected entry is asked by no call, so that no refusal would have its file read; that it
    is so is logged once.
    """
    monkeypatch.setattr(credential_reload, "LOOK_AGAIN_S", 0.001)
    made = _Reloading(a=f"${{file:{file}}}")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            made.reloader.watch("a")
        await asyncio.sleep(0.01)  # sleep: some looks that find nothing
        lines = len(caplog.records)
        file.write_text("new")
        async with asyncio.timeout(LIMIT_S):
            while made.reloader._watched:
                await asyncio.sleep(0.001)  # sleep: the file is read in a thread

    assert (1, "new", False) == (lines, made.key_of("a"), made.is_ejected("a"))


async def test_a_key_is_looked_at_no_more_once_the_ejection_is_over(file, monkeypatch):
    """Calls go there again, and tell."""
    monkeypatch.setattr(credential_reload, "LOOK_AGAIN_S", 0.001)
    made = _Reloading(a=f"${{file:{file}}}")
    made.reloader.watch("a")
    made.clock.advance(3600.0)
    async with asyncio.timeout(LIMIT_S):
        while made.reloader._watched:
            await asyncio.sleep(0.001)  # sleep: the file is read in a thread

    assert "old" == made.key_of("a")


async def test_nothing_is_left_running_at_the_end(file):
    """Neither watches nor readings."""
    made = _Reloading(a=f"${{file:{file}}}")
    made.reloader.watch("a")
    await asyncio.sleep(0)
    await made.reloader.aclose()

    assert {asyncio.current_task()} == asyncio.all_tasks()

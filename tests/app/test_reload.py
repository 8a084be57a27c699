"""A changed config is put into service; one that cannot be used changes nothing, and is told of
once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sidecar import reload
from sidecar.app import App
from sidecar.config.load import load_config
from sidecar.reload import Reloader
from sidecar.runtime.lifecycle import Tasks
from sidecar.telemetry.status import ReloadStatus

ONE, OTHER = "openai/gpt-4o", "openai/gpt-4o-mini"
NEVER_S = 3600.0


def config_text(alias: str = ONE, **more: Any) -> str:
    """A config by which the name ``fast`` means a model; a mapping in ``more`` replaces a key."""
    return json.dumps(
        {
            "listeners": [{"address": "127.0.0.1", "port": 0}],
            "admin": {"address": "127.0.0.1", "port": 0},
            "model_providers": [
                {"model": model, "access_key": "sk-marked", "base_url": "http://127.0.0.1:1"}
                for model in (ONE, OTHER)
            ],
            "model_aliases": {"fast": {"target": alias}},
            **more,
        },
        indent=1,
    )


class Running:
    """An app whose config is reloaded."""

    def __init__(self, app: App, reloader: Reloader, file: Path) -> None:
        self.app = app
        self.file = file
        self.ask = reloader.ask

    @property
    def alias(self) -> str:
        """What the name ``fast`` means in the config that serves."""
        return self.app.generation.loaded.config.model_aliases["fast"].target

    @property
    def status(self) -> ReloadStatus:
        return self.app.foundation.reloads.status

    def gauge(self, name: str) -> float | None:
        registry = self.app.foundation.telemetry.metrics.registry
        return registry.get_sample_value(f"plano_sidecar_config_{name}")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until something holds."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.001)  # sleep: files are looked at again and again

    async def reloaded(self) -> None:
        """Wait until a reload that is asked for now has ended."""
        before = self.status
        self.ask()
        await self.until(lambda: self.status is not before)


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    every_s: float = 0.002,
    *,
    has_file: bool = True,
) -> AsyncIterator[Running]:
    """Start an app by a config file, and what reloads it."""
    file, environ = folder / "c.yaml", environ or {}
    file.write_text(text)
    tasks = Tasks()
    loaded = load_config(file if has_file else None, environ)
    # Without a file it would listen at the usual ports, which may be taken on the machine of a test.
    async with App(loaded, listens=has_file) as app:
        reloader = Reloader(app, environ, every_s=every_s, settle_s=0.001)
        tasks.spawn(reloader.run(), name="reload")
        try:
            yield Running(app, reloader, file)
        finally:
            await tasks.aclose()


def _events(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The fields of each line of an event."""
    return [
        record.__dict__["fields"]
        for record in caplog.records
        if record.__dict__.get("event") == event
    ]


async def test_a_changed_file_is_in_service_by_itself(tmp_path, caplog):
    """One line of the log says what has changed, and pages and metrics tell of it."""
    caplog.set_level(logging.INFO, "sidecar")
    async with running(tmp_path, config_text()) as it:
        began = it.status
        it.file.write_text(config_text(OTHER))
        await it.until(lambda: it.alias == OTHER)
        await it.until(lambda: it.status is not began)
        number, hashed = it.app.generation.number, it.app.generation.loaded.hash

        assert (1.0, it.status.success_unix_s) == (
            it.gauge("last_reload_successful"),
            it.gauge("last_reload_success_timestamp_seconds"),
        )
        assert it.status.at_unix_s > began.at_unix_s
    changes = [f"~ alias fast: target {ONE} -> {OTHER}"]
    fields = {"config_hash": hashed, "generation": 2, "changes": changes, "awaits_restart": []}
    assert (2, changes, [fields]) == (number, it.status.changes, _events(caplog, "config_reloaded"))


async def test_a_bad_file_changes_nothing_and_is_told_of_once(tmp_path, caplog):
    """Though it is looked at again and again. A good one ends that."""
    async with running(tmp_path, config_text()) as it:
        serving, began = it.app.generation, it.status
        it.file.write_text(config_text().replace("model_aliases", "model_alias"))
        await it.until(lambda: not it.status.is_successful)
        looked = it.app.foundation.clock.monotonic_s()
        await it.until(lambda: it.app.foundation.clock.monotonic_s() > looked + 0.05)
        refused = it.status

        assert (serving, 0.0) == (it.app.generation, it.gauge("last_reload_successful"))
        assert began.success_unix_s == it.gauge("last_reload_success_timestamp_seconds")
        it.file.write_text(config_text(OTHER))
        await it.until(lambda: it.status.is_successful)
        assert (1.0, OTHER, []) == (
            it.gauge("last_reload_successful"), it.alias, it.status.problems
        )  # fmt: skip
    (fields,) = _events(caplog, "config_refused")
    assert {"problems": refused.problems} == fields
    (problem,) = refused.problems
    assert problem.startswith(f"{it.file}:")
    assert "did you mean 'model_aliases'" in problem
    assert "marked" not in caplog.text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text(file.read_text()[:100]),
        lambda file: file.write_text(""),
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: file.write_bytes(b"# \n" * (2 << 20)),
    ],
    ids=["cut", "empty", "no text", "gone", "a folder", "huge"],
)
async def test_a_file_that_is_no_config_changes_nothing(tmp_path, spoil):
    """When it is back as it was, all is well again, though nothing has changed."""
    text = config_text()
    async with running(tmp_path, text) as it:
        spoil(it.file)
        await it.until(lambda: not it.status.is_successful)
        number = it.app.generation.number
        if it.file.is_dir():
            it.file.rmdir()
        it.file.write_text(text)
        await it.until(lambda: it.status.is_successful)

    assert (1, []) == (number, it.status.changes)


async def test_a_pipe_in_the_files_place_holds_nothing_up(tmp_path):
    """It is never opened: neither by the watch, nor by a reload that is asked for."""
    async with running(tmp_path, config_text()) as it:
        it.file.unlink()
        os.mkfifo(it.file)
        await it.until(lambda: not it.status.is_successful)
        await it.reloaded()

        assert [f"{it.file}: is no regular file"] == it.status.problems


async def test_a_pipe_in_the_place_of_a_key_is_told_with_its_line(tmp_path, caplog):
    """It is not waited for, and the key before serves on; of what a config gives away the log tells
    as it tells of other warnings.
    """
    key = tmp_path / "key"
    key.write_text("sk-marked")
    text = config_text(alias="openai/${NAME:-gpt-4o}").replace('"sk-marked"', '"${file:key}"')
    async with running(tmp_path, text) as it:
        key.unlink()
        os.mkfifo(key)
        await it.until(lambda: not it.status.is_successful)
        problems = it.status.problems
        key.unlink()
        key.write_text("sk-another")
        it.file.write_text(text.replace("http://127.0.0.1:1", "http://llm.example:1"))
        await it.until(lambda: it.status.is_successful)

    place = "model_providers[0].access_key: file 'key' is no regular file"
    assert problems[0].endswith(place)
    assert problems[0].removesuffix(place).split(":")[1].isdigit()
    warned = [each["warning"] for each in _events(caplog, "config_warning")]
    assert 2 == len(warned)
    assert all("in the clear" in each and "sk-" not in each for each in warned)


async def test_a_reload_that_is_asked_for_comes_at_once(tmp_path):
    """The file is not looked at by itself here. Of two wishes in a row the second one is heard
    too.
    """
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        it.file.write_text(config_text(OTHER))
        await it.reloaded()
        was = it.alias
        it.file.write_text(config_text())
        it.ask()
        await it.reloaded()
        await it.until(lambda: it.alias == ONE)

    assert (OTHER, ONE) == (was, it.alias)


async def test_a_reload_of_the_same_file_is_one_too(tmp_path, caplog):
    """The log answers whoever asked."""
    caplog.set_level(logging.INFO, "sidecar")
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        await it.reloaded()

    assert [[]] == [each["changes"] for each in _events(caplog, "config_reloaded")]
    assert "config reloaded: nothing has changed" in caplog.text


async def test_a_bad_file_is_told_of_again_to_whoever_asks(tmp_path, caplog):
    """A person who sends SIGHUP looks at the log."""
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        it.file.write_text("")
        await it.reloaded()
        await it.reloaded()

    assert 2 == len(_events(caplog, "config_refused"))


async def test_a_key_out_of_a_file_is_watched_too(tmp_path):
    """Its change is a reload, and its text is nowhere."""
    key = tmp_path / "key"
    key.write_text("sk-marked-1")
    entry = {"model": ONE, "access_key": f"${{file:{key}}}", "base_url": "http://127.0.0.1:1"}
    async with running(tmp_path, config_text(model_providers=[entry])) as it:
        key.write_text("sk-marked-2")
        await it.until(lambda: it.app.generation.number == 2)
        await it.until(lambda: it.status.changes != [])
        (provider,) = it.app.generation.loaded.providers
        assert provider.access_key is not None

        assert "sk-marked-2" == provider.access_key.reveal()
    assert [f"~ model {ONE}: access_key changed"] == it.status.changes


async def test_a_file_that_only_the_bad_config_names_is_watched(tmp_path):
    """The config came before the secret that it needs: once that is there, it serves."""
    key = tmp_path / "key"
    entry = {"model": ONE, "access_key": f"${{file:{key}}}", "base_url": "http://127.0.0.1:1"}
    async with running(tmp_path, config_text()) as it:
        it.file.write_text(config_text(model_providers=[entry]))
        await it.until(lambda: not it.status.is_successful)
        assert "No such file" in it.status.problems[0]
        key.write_text("sk-marked")
        await it.until(lambda: it.status.is_successful)

    assert [f"- model {OTHER}"] == it.status.changes


async def test_variables_stay_those_of_the_start(tmp_path, monkeypatch):
    """An environment cannot change under a process."""
    text = config_text(propagate=["$NAME"])
    async with running(tmp_path, text, {"NAME": "x-a"}, every_s=NEVER_S) as it:
        monkeypatch.setenv("NAME", "x-b")
        await it.reloaded()

        assert (("x-a",), []) == (it.app.generation.loaded.config.propagate, it.status.changes)


async def test_what_needs_a_restart_is_named_until_it_is_taken_back(tmp_path, caplog):
    """Compared with the config that the process began with, through any number of reloads."""
    caplog.set_level(logging.INFO, "sidecar")
    awaits = []
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        for more in (
            {"logging": {"format": "json"}},
            {"logging": {"format": "json"}, "limits": {"in_flight": 5}},
            {},
        ):
            it.file.write_text(config_text(**more))
            await it.reloaded()
            awaits.append(it.status.awaits_restart)

    assert [["logging.format unset -> json"]] * 2 + [[]] == awaits
    assert awaits == [each["awaits_restart"] for each in _events(caplog, "config_reloaded")]
    lines = [record for record in caplog.records if "config reloaded" in record.message]
    assert ["WARNING", "WARNING", "INFO"] == [line.levelname for line in lines]
    assert "a restart is needed for logging.format unset -> json" in lines[0].message


async def test_warnings_are_told_of_once(tmp_path, caplog):
    """By the reload that brings them, not by later ones."""
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        for alias in (ONE, OTHER):
            it.file.write_text(config_text(alias, ratelimits=[]))
            await it.reloaded()

    warned = [each.message for each in caplog.records if "ratelimits" in each.message]
    assert 1 == len(warned)


async def test_a_config_of_the_environment_is_not_reloaded(tmp_path, caplog):
    """Whoever asks is told so."""
    environ = {"OPENAI_API_KEY": "sk-x"}
    async with running(tmp_path, "", environ, has_file=False) as it:
        it.ask()
        await it.until(lambda: bool(_events(caplog, "reload_ignored")))

        assert 1 == it.app.generation.number
    (fields,) = _events(caplog, "reload_ignored")
    assert "no config file" in fields["cause"]


async def test_a_draining_sidecar_is_not_reloaded(tmp_path, caplog):
    """It ends by the config that it has; whoever asks is told so."""
    async with running(tmp_path, config_text()) as it:
        it.app.foundation.latch.drain()
        it.file.write_text(config_text(OTHER))
        it.ask()
        await it.until(lambda: bool(_events(caplog, "reload_ignored")))

        assert ONE == it.alias
    (fields,) = _events(caplog, "reload_ignored")
    assert {"cause": "this sidecar is draining"} == fields


async def test_a_storm_of_wishes_while_it_drains_costs_one_line_a_second(tmp_path, caplog):
    """The log is for what an operator has to know."""
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        it.app.foundation.latch.drain()
        for _ in range(20):
            it.ask()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    assert 1 == len(_events(caplog, "reload_ignored"))


async def test_a_reload_that_began_before_the_drain_does_not_end_in_it(
    tmp_path, monkeypatch, caplog
):
    """The drain goes by one config, that of its beginning."""
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:

        def read_while_it_begins_to_drain(*arguments: Any) -> Any:
            it.app.foundation.latch.drain()
            return load_config(*arguments)

        monkeypatch.setattr(reload, "load_config", read_while_it_begins_to_drain)
        it.file.write_text(config_text(OTHER))
        it.ask()
        await it.until(lambda: bool(_events(caplog, "reload_ignored")))

        assert (1, ONE) == (it.app.generation.number, it.alias)


async def test_what_cannot_be_built_leaves_the_old_config_whole(tmp_path):
    """A certificate that is none is found by no check of the file alone."""
    authority = tmp_path / "ca.pem"
    authority.write_text("no certificate")
    tls = {"model": ONE, "access_key": "sk", "base_url": "https://127.0.0.1:1",
           "tls": {"ca_file": str(authority)}}  # fmt: skip
    async with running(tmp_path, config_text()) as it:
        serving = it.app.generation
        it.file.write_text(config_text(model_providers=[tls]))
        await it.until(lambda: not it.status.is_successful)

        assert [serving] == it.app.foundation.reloads.generations
    (problem,) = it.status.problems
    assert problem.startswith(f"{it.file}: provider {ONE}: its tls files cannot be used")


def _fail(_: object) -> None:
    raise KeyError("x")


async def test_a_bug_of_ours_leaves_the_old_config_in_service(tmp_path, monkeypatch, caplog):
    """It is logged, and the next good config serves."""
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        with monkeypatch.context() as patched:
            patched.setattr(it.app, "swap", _fail)
            await it.reloaded()
        refused = it.status
        it.file.write_text(config_text(OTHER))
        await it.reloaded()

        assert OTHER == it.alias
    assert (False, [f"{it.file}: KeyError"]) == (refused.is_successful, refused.problems)
    assert "could not be reloaded" in caplog.text


async def test_files_that_change_while_they_are_read_are_read_again(tmp_path, monkeypatch):
    """A config never serves with the key of another moment."""
    key = tmp_path / "key"
    key.write_text("sk-1")
    entry = {"model": ONE, "access_key": f"${{file:{key}}}", "base_url": "http://127.0.0.1:1"}
    readings = []

    def torn(*arguments: Any) -> Any:
        loaded = load_config(*arguments)
        readings.append(loaded)
        if len(readings) == 1:
            key.write_text("sk-2")
        return loaded

    async with running(tmp_path, config_text(model_providers=[entry]), every_s=NEVER_S) as it:
        monkeypatch.setattr(reload, "load_config", torn)
        await it.reloaded()
        (provider,) = it.app.generation.loaded.providers
        assert provider.access_key is not None

        assert (2, "sk-2") == (len(readings), provider.access_key.reveal())


def _hang(monkeypatch) -> threading.Event:
    """Let every reading of a config from now on wait for the event that is returned, and be told of
    soon.
    """
    goes_on = threading.Event()

    def hanging(*arguments: Any) -> Any:
        goes_on.wait(20)
        return load_config(*arguments)

    monkeypatch.setattr(reload, "_SLOW_S", 0.01)
    monkeypatch.setattr(reload, "load_config", hanging)
    return goes_on


async def test_a_disk_that_hangs_is_told_of_and_holds_no_call_up(tmp_path, monkeypatch):
    """Once it answers, what it says is used all the same."""
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        goes_on = _hang(monkeypatch)
        it.file.write_text(config_text(OTHER))
        it.ask()
        await it.until(lambda: not it.status.is_successful)
        assert "are not read within" in it.status.problems[0]
        goes_on.set()
        await it.until(lambda: it.status.is_successful)

        assert OTHER == it.alias


async def test_who_asks_while_a_disk_hangs_is_told_so(tmp_path, monkeypatch, caplog):
    """Though the first reading may never end."""
    async with running(tmp_path, config_text(), every_s=NEVER_S) as it:
        goes_on = _hang(monkeypatch)
        for count in (1, 2, 3):
            it.ask()
            await it.until(lambda: count == len(_events(caplog, "config_refused")))  # noqa: B023 - at once
        goes_on.set()
        await it.until(lambda: it.status.is_successful)


async def test_a_line_of_the_log_has_an_end(tmp_path, caplog):
    """However many models a change brings; the pages tell of all."""
    caplog.set_level(logging.INFO, "sidecar")
    entries = [
        {"model": f"openai/m{number}", "access_key": "sk", "base_url": "http://127.0.0.1:1"}
        for number in range(30)
    ]
    text = config_text("m1", model_providers=entries)
    async with running(tmp_path, text, every_s=NEVER_S) as it:
        it.file.write_text(config_text("m1", model_providers=entries[:2]))
        await it.reloaded()

    (fields,) = _events(caplog, "config_reloaded")
    assert (28, 21, "and 8 more") == (
        len(it.status.changes), len(fields["changes"]), fields["changes"][-1],
    )  # fmt: skip

"""Configs change under load as Kubernetes changes them, many of them broken: no call notices."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sidecar.app import App
from sidecar.config.load import load_config
from sidecar.reload import Reloader
from sidecar.runtime.lifecycle import Tasks
from tests.support.config_map import MODELS, ConfigMap, broken, config_text
from tests.support.net import exchange, raw_request
from tests.support.routed import PREFERENCES, decision_of, routed
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

RELOADS = 45
"""A third of them of broken files."""
CALLERS = 6


class Callers:
    """Apps that call all the time: with and without a session, whole and streamed."""

    def __init__(self, port: int) -> None:
        self.served = 0
        self.failed: list[tuple[int, bytes]] = []
        self._port = port
        self._may_go_on = True

    async def call(self, who: int) -> None:
        for number in itertools.count():
            if not self._may_go_on:
                return
            body = {
                "model": "fast",
                "stream": number % 2 == 0,
                "messages": [{"role": "user", "content": f"hello {number}"}],
            }
            headers = {"x-model-affinity": f"session-{who}"} if who % 2 else {}
            request = raw_request(
                "POST", "/v1/chat/completions", json.dumps(body).encode(), headers=headers
            )
            reply = await exchange(self._port, request)
            if reply.status == 200 and (number % 2 or b"[DONE]" in reply.body):
                self.served += 1
            else:
                self.failed.append((reply.status, reply.body))

    def end(self) -> None:
        self._may_go_on = False


@contextlib.asynccontextmanager
async def reloading(file: Path) -> AsyncIterator[App]:
    """A sidecar whose config is looked at all the time."""
    async with App(load_config(file, {})) as app:
        tasks = Tasks()
        tasks.spawn(Reloader(app, {}, every_s=0.002, settle_s=0.001).run(), name="reload")
        try:
            yield app
        finally:
            await tasks.aclose()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)  # sleep: files are looked at again and again


async def test_no_call_fails_under_many_reloads_of_which_many_are_broken(tmp_path):
    """Every good config comes into service, no broken one does; nothing of the old ones is left:
    no generation, no task, no descriptor.
    """
    config_map = ConfigMap(tmp_path)
    async with ScriptedProvider() as provider:
        config_map.mount(config_text(provider.url, 0))
        async with reloading(config_map.file) as app:
            reloads, callers = app.foundation.reloads, Callers(app.ports.data)
            await exchange(app.ports.data, raw_request("GET", "/"))
            tasks_before, files_before = _task_names(), len(os.listdir("/proc/self/fd"))
            apps = [Tasks().spawn(callers.call(who), name="caller") for who in range(CALLERS)]
            for number in range(1, RELOADS + 1):
                before, text = reloads.status, config_text(provider.url, number)
                is_broken = number % 3 == 0
                config_map.mount(broken(text, number) if is_broken else text)
                await _until(lambda: reloads.status is not before)  # noqa: B023 - awaited at once
                assert is_broken is not reloads.status.is_successful
            callers.end()
            await asyncio.gather(*apps)
            await _until(lambda: len(reloads.generations) == 1)
            await app.foundation.pools.close_all_but(())
            await _until(lambda: len(os.listdir("/proc/self/fd")) <= files_before)
            await _until(lambda: _task_names() == tasks_before)
            number_serving = app.generation.number

    assert [] == callers.failed
    assert callers.served > RELOADS
    assert 1 + RELOADS - RELOADS // 3 == number_serving


def _task_names() -> list[str]:
    """Tasks of the process but for those that a look at the files has."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return sorted(re.sub(r"\d+", "N", name) for name in names)


@pytest.mark.parametrize("has_route", [True, False], ids=["route stays", "route goes too"])
async def test_a_session_whose_model_is_removed_is_served_by_what_is_left(tmp_path, has_route):
    """Its pin names a model that the next config does not have, and a route that may be gone."""
    session = {"x-model-affinity": "session-1"}
    async with routed() as sidecar:
        first = decision_of(await sidecar.ask(headers=session))
        config = json.loads(sidecar.app.generation.loaded.files[0].read_text())
        gone = "anthropic/claude-demo"
        config["model_providers"] = [e for e in config["model_providers"] if e["model"] != gone]
        config["routing_preferences"] = [
            {**each, "models": [model for model in each["models"] if model != gone]}
            for each in PREFERENCES[not has_route :]
        ]
        file = tmp_path / "next.yaml"
        file.write_text(json.dumps(config))
        sidecar.app.swap(load_config(file, {}))
        later = [decision_of(await sidecar.ask(headers=session)) for _ in range(2)]

    assert (200, "routed", "code generation", gone) == first
    assert [200, 200] == [status for status, *_ in later]


async def test_pins_and_what_was_learnt_survive(tmp_path):
    """The session's next call is served by its pin, at hand, and the router model is not asked."""
    session = {"x-model-affinity": "session-1"}
    async with routed() as sidecar:
        first = decision_of(await sidecar.ask(headers=session, stream=True))
        averages = sidecar.app.foundation.averages
        learnt = averages.of_entry("anthropic/claude-demo", 0.0)
        sidecar.app.swap(load_config(sidecar.app.generation.loaded.files[0], {}))
        later = decision_of(await sidecar.ask(headers=session))
        asked = len(sidecar.router.requests)
        near_hits = (await sidecar.metrics("affinity_operations_total"))["get", "near_hit"]

    assert (200, "routed") == first[:2]
    assert (200, "pinned", *first[2:]) == later
    assert (1, 1) == (asked, near_hits)
    assert 1 == learnt[1]


async def _until_heard(process: SidecarProcess) -> None:
    """Wait until SIGHUP no longer ends a process that starts: it is held back, or handled."""
    bit, status = 1 << (signal.SIGHUP - 1), Path(f"/proc/{process.process.pid}/status")

    def is_heard() -> bool:
        masks = re.findall(r"^Sig(?:Blk|Cgt):\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
        return any(int(mask, 16) & bit for mask in masks)

    await _until(is_heard)


async def test_sighup_reloads_at_once_and_never_ends_the_process(tmp_path):
    """During the start, twice in a row, and during the drain."""
    async with ScriptedProvider() as provider:
        config = sidecar_config(provider.url, drain={"quiet_s": 0, "grace_s": 10})
        process = SidecarProcess(config, tmp_path)
        try:
            await _until_heard(process)
            process.process.send_signal(signal.SIGHUP)
            await process.wait_ready()
            await _until(lambda: "nothing has changed" in process.log())
            for alias in MODELS:
                text = json.dumps(config | {"model_aliases": {"fast": {"target": alias}}})
                process.config_path.write_text(text)
                process.process.send_signal(signal.SIGHUP)
                process.process.send_signal(signal.SIGHUP)
                # Long before the files would be looked at by themselves.
                await _until(lambda: f'-> {alias}"' in process.log())  # noqa: B023 - at once
            reply = await exchange(process.admin_port, raw_request("GET", "/metrics"))
        finally:
            code = await process.terminate()

    assert (0, 200) == (code, reply.status)
    assert b"plano_sidecar_config_last_reload_successful 1.0" in reply.body

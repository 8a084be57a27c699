"""Pods of an app and a sidecar, as a kubelet starts and ends them: the app is served for as long as it
lives, the pod ends when it should, and no container has to be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import sidecar.listener
from sidecar.runtime.lifecycle import Tasks
from tests.support.faults import Fault
from tests.support.fleet import InconsistentRouterModel, shared_config
from tests.support.net import closed_port, exchange, json_request, raw_request
from tests.support.pod import Mode, Pod, PodEnd, app_of
from tests.support.redis_server import redis_server
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

MODES = list(Mode)
QUIT_PORT = "9902"


def wrapped(command: Sequence[str], operators_port: str) -> list[str]:
    """An app's command inside the wrapper that the README shows."""
    text = (Path(sidecar.listener.__file__).parent / "README.md").read_text()
    (shown,) = re.findall(r"```yaml\n(restartPolicy:.*?)```", text, re.DOTALL)
    (container,) = yaml.safe_load(shown)["containers"]
    assert QUIT_PORT in container["command"][2]
    shell = [each.replace(QUIT_PORT, operators_port) for each in container["command"]]
    return [*shell, *command]


@contextlib.asynccontextmanager
async def running(
    mode: Mode, app: str, work: Path, *, is_job: bool = False, **more: Any
) -> AsyncIterator[tuple[Pod, ScriptedProvider]]:
    """A pod whose containers have been started; a Job's app is wrapped where that is needed."""
    async with ScriptedProvider() as provider:
        config = sidecar_config(provider.url, drain={"quiet_s": 0.1, "grace_s": 40})
        command = app_of(app)
        if is_job and mode is Mode.CONTAINER:
            command = wrapped(command, config["admin"]["operator_address"].rpartition(":")[2])
        pod = Pod(mode, config, command, work, **more)
        try:
            await pod.start()
            yield pod, provider
        finally:
            await pod.clean_up()


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("mode", MODES)
async def test_a_jobs_pod_ends_with_its_app(tmp_path, mode, code):
    """As the app ended: a Job counts its failures."""
    app = f"sys.exit({code} if call(connect()) == 200 else 99)"
    async with running(mode, app, tmp_path, is_job=True) as (pod, provider):
        end = await pod.run_to_end()

    assert (PodEnd(code, 0, ()), 1) == (end, provider.seen)


async def test_a_jobs_app_that_is_signalled_through_its_wrapper_ends_as_it_likes(tmp_path):
    """Kubernetes signals the shell, which by itself would pass nothing on."""
    app = "call(connect()); until_sigterm(); sys.exit(5 if call(connect()) == 200 else 99)"
    async with running(Mode.CONTAINER, app, tmp_path, is_job=True) as (pod, provider):
        await provider.wait_for_requests(1)
        end = await pod.delete()

    assert (PodEnd(5, 0, ()), 2) == (end, provider.seen)


async def test_a_jobs_app_keeps_its_exit_code_where_the_sidecar_is_gone(tmp_path):
    """The wrapper's POST is refused then."""
    process = await asyncio.create_subprocess_exec(
        *wrapped([sys.executable, "-c", "raise SystemExit(4)"], str(closed_port()))
    )

    assert 4 == await process.wait()


@pytest.mark.parametrize("mode", MODES)
async def test_an_app_is_served_until_it_ends_however_long_it_works_on_after_sigterm(
    tmp_path, mode
):
    """On a connection that it has kept, and on new ones; with pauses longer than `drain.quiet_s`."""
    app = """
kept = connect()
codes = [call(kept)]
until_sigterm()
for _ in range(3):
    time.sleep(0.5)
    codes += [call(kept), call(connect())]
sys.exit(0 if codes == [200] * 7 else 99)
"""
    async with running(mode, app, tmp_path) as (pod, provider):
        await provider.wait_for_requests(1)
        end = await pod.delete()

    assert (PodEnd(0, 0, ()), 7) == (end, provider.seen)


@pytest.mark.parametrize("mode", MODES)
async def test_an_app_that_outlasts_the_grace_does_not_take_the_sidecar_along(tmp_path, mode):
    """It hangs in a stream and is killed. The sidecar has ended before, or ends in the 2 s that it
    is given.
    """
    app = """
connection = connect()
connection.request("POST", "/v1/chat/completions", BODY[:-1] + ', "stream": true}')
connection.getresponse().read(1)
call(connect())
time.sleep(1000)
"""
    async with running(mode, app, tmp_path, grace_s=3.0) as (pod, provider):
        provider.script.next("hang-stream after=1")
        await provider.wait_for_requests(2)
        end = await pod.delete()

    assert PodEnd(-9, 0, ("app",)) == end


@pytest.mark.parametrize("mode", MODES)
async def test_a_pod_that_never_called_ends_at_once(tmp_path, mode):
    """Nothing is waited for but the quiet."""
    async with running(mode, "until_sigterm()", tmp_path) as (pod, _):
        end = await pod.delete()

    assert (0, ()) == (end.sidecar, end.killed)
    assert '"event":"drained"' in pod.sidecar.log()


@pytest.mark.parametrize("mode", MODES)
async def test_an_app_finds_a_sidecar_that_serves_when_it_starts(tmp_path, mode):
    """By the startup probe, or by the postStart hook of a container that is listed first."""
    app = "sys.exit(0 if call(connect()) == 200 else 99)"
    async with running(mode, app, tmp_path) as (pod, provider):
        code = await asyncio.to_thread(pod.app.wait, 30)
        await pod.delete()

    assert (0, 1) == (code, provider.seen)


async def test_probes_go_on_while_a_pod_ends(tmp_path):
    """Not ready, so that no service sends more work; alive, so that no probe cuts the drain short."""
    app = "kept = connect(); call(kept); until_sigterm(); time.sleep(1000)"
    async with running(Mode.CONTAINER, app, tmp_path, grace_s=30.0) as (pod, provider):
        await provider.wait_for_requests(1)
        end = Tasks().spawn(pod.delete(), name="the pod's end")
        await pod.sidecar.until_draining()
        alive = await exchange(pod.sidecar.admin_port, raw_request("GET", "/livez"))
        pod.app.kill()
        ended = await end

    assert (200, 0) == (alive.status, ended.sidecar)


STREAMING_APP = """
import threading
whole = []
def stream(session):
    headers = {"content-type": "application/json", "x-model-affinity": session, "x-org-id": "acme"}
    connection = connect()
    connection.request("POST", "/v1/chat/completions", BODY[:-1] + ', "stream": true}', headers)
    whole.append(b"[DONE]" in connection.getresponse().read())
threads = [threading.Thread(target=stream, args=(f"s{number}",)) for number in range(10)]
for thread in threads:
    thread.start()
until_sigterm()
for thread in threads:
    thread.join()
sys.exit(0 if whole == [True] * 10 else 99)
"""


async def test_a_rolling_update_loses_no_call(tmp_path):
    """The new pod serves before the old one is told to go. Streams of the old one end whole; its
    sessions keep their models in the new one, by the Redis that both share.
    """
    async with (
        ScriptedProvider() as provider,
        InconsistentRouterModel() as router,
        redis_server() as redis,
    ):
        config = functools.partial(shared_config, provider.url, router.url, redis.url)
        hold = asyncio.Event()
        provider.script.next(Fault(hold=hold, hold_after_events=1), times=10)
        old = Pod(Mode.NATIVE, config(), app_of(STREAMING_APP), tmp_path)
        new = Pod(Mode.NATIVE, config(), ["sleep", "1000"], tmp_path)
        try:
            await old.start()
            await provider.wait_for_requests(10)
            await new.start()
            before = [await _pin_of(old, number) for number in range(10)]
            ending = Tasks().spawn(old.delete(), name="the old pod's end")
            after = [await _pin_of(new, number) for number in range(10)]
            hold.set()
            end = await ending
        finally:
            for pod in (old, new):
                await pod.clean_up()

    assert before == after
    assert {(200, "pinned")} == {(status, source) for status, source, _ in after}
    assert PodEnd(0, 0, ()) == end


async def _pin_of(pod: Pod, number: int) -> tuple[int, str | None, str | None]:
    headers = {"x-model-affinity": f"s{number}", "x-org-id": "acme"}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    request = json_request("/v1/chat/completions", body, headers)
    reply = await exchange(pod.sidecar.data_port, request, limit_s=60)
    return reply.status, reply.header("x-plano-source"), reply.header("x-plano-model")

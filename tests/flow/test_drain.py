"""Going down: what is in flight ends well, what is new is served as long as it can be, and the exit
code is 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from sidecar.runtime.lifecycle import Tasks
from tests.support.failing import GENERATING_PATHS, body_for, good_model
from tests.support.faults import Fault
from tests.support.net import exchange, free_port, json_request, read_reply
from tests.support.sdks import open_sdks
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**CHAT, "stream": True}
STREAMS = 100
ALL_CALLS = {"mode": "all"}


async def _started_stream(
    sidecar: SidecarProcess,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    writer.write(json_request("/v1/chat/completions", STREAM, {"connection": "keep-alive"}))
    await reader.readuntil(b"data:")
    return reader, writer


def _access_lines(sidecar: SidecarProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sidecar.output().splitlines()]


async def _exit_code(sidecar: SidecarProcess) -> int:
    return await asyncio.to_thread(sidecar.process.wait, 30)


async def test_an_idle_sidecar_ends_with_0(sidecar):
    """Keep-alive connections that wait for nothing do not hold it back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    writer.write(json_request("/v1/chat/completions", CHAT, {"connection": "keep-alive"}))
    reply = await read_reply(reader)
    sidecar.process.send_signal(signal.SIGTERM)

    assert (200, 0) == (reply.status, await _exit_code(sidecar))
    assert b"" == await reader.read()
    writer.close()


async def test_a_stream_ends_well_and_new_calls_are_served_meanwhile(sidecar, scripted_provider):
    """The app may still need its sidecar: readiness is off, serving is not."""
    hold = asyncio.Event()
    scripted_provider.script.next(Fault(hold=hold, hold_after_events=1))
    reader, writer = await _started_stream(sidecar)
    sidecar.process.send_signal(signal.SIGTERM)
    await sidecar.until_draining()
    during = await exchange(sidecar.data_port, json_request("/v1/chat/completions", CHAT))
    hold.set()
    rest = await reader.readuntil(b"0\r\n\r\n")
    writer.close()

    assert 200 == during.status
    assert b"[DONE]" in rest
    assert 0 == await _exit_code(sidecar)


async def test_a_hundred_streams_end_whole_and_new_calls_are_served_meanwhile(
    start_sidecar, scripted_provider
):
    """SIGTERM costs none of them anything, and the process ends with 0 once they have ended."""
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url, access_log=ALL_CALLS))
    hold = asyncio.Event()
    scripted_provider.script.next(Fault(hold=hold, hold_after_events=1), times=STREAMS)
    streams = await asyncio.gather(*(_started_stream(sidecar) for _ in range(STREAMS)))
    sidecar.process.send_signal(signal.SIGTERM)
    await sidecar.until_draining()
    call = json_request("/v1/chat/completions", CHAT)
    during = await asyncio.gather(*(exchange(sidecar.data_port, call) for _ in range(20)))
    hold.set()
    rests = await asyncio.gather(*(reader.readuntil(b"0\r\n\r\n") for reader, _ in streams))
    for _, writer in streams:
        writer.close()

    assert 0 == await _exit_code(sidecar)
    assert [200] * 20 == [reply.status for reply in during]
    assert STREAMS == sum(b"[DONE]" in rest for rest in rests)
    results = [line["outcome"] for line in _access_lines(sidecar)]
    assert ["ok"] * (STREAMS + 20) == results


async def test_no_kept_connection_loses_a_call_across_the_drain(start_sidecar, scripted_provider):
    """Apps that call on and on: each call on a connection that has carried one before is answered
    whole, by the provider or by a refusal that closes the connection. Only a new one may find the
    door shut.
    """
    times = {"quiet_s": 1, "grace_s": 4}
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url, drain=times))
    begun = asyncio.Event()
    call = json_request("/v1/chat/completions", CHAT, {"connection": "keep-alive"})

    async def call_on() -> list[int]:
        statuses: list[int] = []
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
            except ConnectionError:
                return statuses
            with contextlib.closing(writer):
                writer.write(call)
                try:
                    reply = await read_reply(reader)
                except ConnectionError:
                    return statuses
                statuses.append(reply.status)
                while reply.header("connection") != "close":
                    writer.write(call)
                    reply = await read_reply(reader)
                    statuses.append(reply.status)
                    begun.set()

    apps = [Tasks().spawn(call_on(), name="app") for _ in range(20)]
    await begun.wait()
    sidecar.process.send_signal(signal.SIGTERM)
    statuses = [status for each in await asyncio.gather(*apps) for status in each]

    assert {200, 503} == set(statuses)
    assert 0 == await _exit_code(sidecar)


async def test_the_sdks_raise_where_the_grace_ends_their_streams(start_sidecar, scripted_provider):
    """In each dialect, and not as a lost connection; to the log they are broken off, not left."""
    times = {"quiet_s": 0, "grace_s": 0.2}
    config = sidecar_config(scripted_provider.url, drain=times, access_log=ALL_CALLS)
    sidecar = await start_sidecar(config)
    scripted_provider.script.next("hang-stream after=3", times=len(GENERATING_PATHS))
    errors = []
    async with open_sdks(sidecar.data_url, "async") as sdks:
        streams = []
        for path in GENERATING_PATHS:
            body = body_for(path, good_model(path), stream=True)
            streams.append(await sdks.method(path)(**body))
            await anext(streams[-1])
        sidecar.process.send_signal(signal.SIGTERM)
        for stream in streams:
            with pytest.raises((openai.APIError, anthropic.APIError)) as caught:
                [event async for event in stream]
            errors.append(caught.value)

    assert 0 == await _exit_code(sidecar)
    lost = (openai.APIConnectionError, anthropic.APIConnectionError)
    assert [] == [error for error in errors if isinstance(error, lost)]
    assert [("incomplete", 200, "stream_incomplete", "SX")] * len(streams) == [
        (line["outcome"], line["status"], line["error"], line["flags"])
        for line in _access_lines(sidecar)
    ]
    assert '"event":"calls_ended"' in sidecar.log()
    assert '"event":"responses_break_off"' not in sidecar.log()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_call_that_still_waits_for_its_answer_is_told_so(
    start_sidecar, scripted_provider, path, is_streamed
):
    """Nothing was sent to the app yet: it gets the whole error, not a connection that breaks for
    reasons of its own.
    """
    sidecar = await start_sidecar(
        sidecar_config(scripted_provider.url, drain={"quiet_s": 0, "grace_s": 0.2})
    )
    scripted_provider.script.next("hang")
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    model = "claude-demo" if path == "/v1/messages" else "gpt-4o"
    writer.write(
        json_request(path, {**CHAT, "model": model, "max_tokens": 9, "stream": is_streamed})
    )
    async with asyncio.timeout(20):
        while not scripted_provider.requests:
            await asyncio.sleep(0.01)  # sleep: the request is on its way through another process
    sidecar.process.send_signal(signal.SIGTERM)
    reply = await read_reply(reader)
    writer.close()

    assert (503, "draining", "close") == (
        reply.status,
        reply.header("x-plano-error"),
        reply.header("connection"),
    )
    assert ("request_id" in reply.json()) == (path == "/v1/messages")
    assert 0 == await _exit_code(sidecar)


async def test_the_last_seconds_refuse_new_calls(start_sidecar, scripted_provider):
    """503, with the code, when to come back, and the connection closed."""
    times = {"quiet_s": 60, "grace_s": 4}
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url, drain=times))
    sidecar.process.send_signal(signal.SIGTERM)
    call = json_request("/v1/chat/completions", CHAT)
    async with asyncio.timeout(20):
        while (reply := await exchange(sidecar.data_port, call)).status == 200:
            await asyncio.sleep(0.01)  # sleep: the signal arrives in the kernel's time

    assert (503, "draining", "1", "close") == (
        reply.status,
        reply.header("x-plano-error"),
        reply.header("retry-after"),
        reply.header("connection"),
    )
    assert 0 == await _exit_code(sidecar)


async def test_a_second_signal_stops_at_once(sidecar, scripted_provider):
    """Whoever insists does not wait for a stream."""
    scripted_provider.script.next("hang-stream after=1")
    reader, writer = await _started_stream(sidecar)
    sidecar.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        while "draining" not in sidecar.log():
            await asyncio.sleep(0.01)  # sleep: the signal arrives in the kernel's time
    sidecar.process.send_signal(signal.SIGTERM)
    await reader.read()
    writer.close()

    assert 0 == await _exit_code(sidecar)


CATCHES_SIGTERM = 1 << (signal.SIGTERM - 1)


def _catches_sigterm(pid: int) -> bool:
    (mask,) = re.findall(
        r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    return bool(int(mask, 16) & CATCHES_SIGTERM)


def _child_of(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


async def test_the_first_process_of_a_container_ends_on_a_signal_that_comes_while_it_starts(
    tmp_path, scripted_provider
):
    """The kernel drops what PID 1 has no handler for: the kubelet would wait for the whole grace."""
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(sidecar_config(scripted_provider.url)))
    run = (sys.executable, "-m", "sidecar", "run", "--config", str(file))
    own = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    try:
        subprocess.run([*own, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no process namespace of one's own here")
    process = await asyncio.create_subprocess_exec(*own, *run, stderr=subprocess.PIPE)
    async with asyncio.timeout(20):
        while (child := _child_of(process.pid)) is None or not _catches_sigterm(child):
            await asyncio.sleep(0.001)  # sleep: another process is on its way
        os.kill(child, signal.SIGTERM)
        _, errors = await process.communicate()

    assert (0, b"") == (process.returncode, errors)


def test_the_first_thing_that_run_does_is_to_catch_sigterm():
    """Before the imports, which take half a second."""
    spy = """
import signal, sys
def caught(number, handler):
    print(*sorted(name for name in sys.modules if name.startswith(("sidecar", "asyncio", "msgspec"))))
    raise SystemExit
signal.signal = caught
from sidecar.__main__ import main
sys.argv = ["plano-sidecar", "run"]
main()
"""
    output = subprocess.run([sys.executable, "-c", spy], capture_output=True, text=True, check=True)

    assert "sidecar sidecar.__main__\n" == output.stdout


async def test_a_sidecar_that_is_signalled_while_it_starts_ends_with_0(tmp_path, scripted_provider):
    """Whether its handler is there yet or its listeners are."""
    codes = []
    for delay_s in (0.1, 0.3, 0.6):
        sidecar = SidecarProcess(sidecar_config(scripted_provider.url), tmp_path)
        async with asyncio.timeout(20):
            while not _catches_sigterm(sidecar.process.pid):
                await asyncio.sleep(0.001)  # sleep: another process is on its way
        await asyncio.sleep(delay_s)  # sleep: any moment of the start will do
        codes.append(await sidecar.terminate())

    assert [0, 0, 0] == codes


async def test_a_redis_and_a_collector_that_hang_do_not_hold_the_end_back(
    tmp_path, scripted_provider
):
    """They accept connections and never answer, with pins and spans on their way to them."""
    hanging = socket.create_server(("127.0.0.1", 0))
    port = hanging.getsockname()[1]
    cache = {"type": "redis", "url": f"redis://127.0.0.1:{port}", "tenant": "acme"}
    config = sidecar_config(
        scripted_provider.url,
        drain={"quiet_s": 0, "grace_s": 60},
        routing={"session_cache": cache},
        tracing={"random_sampling": 100, "otlp_endpoint": f"http://127.0.0.1:{port}"},
    )
    sidecar = SidecarProcess(config, tmp_path, ["--mode", "native"])
    await sidecar.wait_ready()
    headers = {"x-model-affinity": "s1"}
    reply = await exchange(
        sidecar.data_port, json_request("/v1/chat/completions", CHAT, headers), limit_s=30
    )
    code = await sidecar.terminate()
    hanging.close()

    assert (200, 0) == (reply.status, code)


async def test_a_pre_stop_hook_that_drains_ends_with_the_drain_and_so_does_the_process(sidecar):
    """SIGTERM comes when the hook has ended; nothing is waited for twice."""
    place = ("--admin", sidecar.operator_address)
    hook = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "drain", "--wait", *place), stdout=subprocess.PIPE
    )
    output, _ = await hook.communicate()
    refused = await exchange(sidecar.data_port, json_request("/v1/chat/completions", CHAT))

    assert (0, b"draining, 0 in flight\ndrained\n") == (hook.returncode, output)
    assert (503, "draining") == (refused.status, refused.header("x-plano-error"))
    assert 0 == await sidecar.terminate()


async def test_a_sigterm_that_is_repeated_in_a_pod_cuts_nothing_off(tmp_path, scripted_provider):
    """A kubelet that is restarted while a pod ends signals its containers once more."""
    config = sidecar_config(scripted_provider.url)
    sidecar = SidecarProcess(config, tmp_path, ["--mode", "container"])
    await sidecar.wait_ready()
    hold = asyncio.Event()
    scripted_provider.script.next(Fault(hold=hold, hold_after_events=1))
    reader, writer = await _started_stream(sidecar)
    sidecar.process.send_signal(signal.SIGTERM)
    await sidecar.until_draining()
    sidecar.process.send_signal(signal.SIGTERM)
    during = await exchange(sidecar.data_port, json_request("/v1/chat/completions", CHAT))
    hold.set()
    rest = await reader.readuntil(b"0\r\n\r\n")
    writer.close()

    assert (200, True) == (during.status, b"[DONE]" in rest)
    assert 0 == await _exit_code(sidecar)


@pytest.mark.parametrize("port_of", ["listeners", "admin"])
async def test_a_port_in_use_is_a_config_error(tmp_path, scripted_provider, port_of):
    """78, and a line that names the address and the port."""
    taken = free_port()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", taken)
    entry = {"type": "model", "address": "127.0.0.1", "port": taken}
    overrides = (
        {"listeners": [entry]}
        if port_of == "listeners"
        else {"admin": {"address": "127.0.0.1", "port": taken}}
    )
    file = tmp_path / "config.yaml"
    file.write_text(str(sidecar_config(scripted_provider.url, **overrides)).replace("True", "true"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "run", "--config", str(file)), stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    server.close()

    assert 78 == process.returncode
    assert f"cannot listen on 127.0.0.1 port {taken}: ".encode() in errors
    assert b"Traceback" not in errors

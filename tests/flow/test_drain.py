"""Going down: what is in flight ends well, what is new is served as long as it can be, and the exit
code is 0.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from tests.support.faults import Fault
from tests.support.net import exchange, free_port, json_request, raw_request, read_reply
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**CHAT, "stream": True}


async def _started_stream(
    sidecar: SidecarProcess,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    writer.write(json_request("/v1/chat/completions", STREAM, {"connection": "keep-alive"}))
    await reader.readuntil(b"data:")
    return reader, writer


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
    async with asyncio.timeout(20):
        while (await exchange(sidecar.admin_port, raw_request("GET", "/readyz"))).status == 200:
            await asyncio.sleep(0.01)  # sleep: the signal arrives in the kernel's time
    during = await exchange(sidecar.data_port, json_request("/v1/chat/completions", CHAT))
    hold.set()
    rest = await reader.readuntil(b"0\r\n\r\n")
    writer.close()

    assert 200 == during.status
    assert b"[DONE]" in rest
    assert 0 == await _exit_code(sidecar)


async def test_a_stream_that_outlasts_the_grace_is_told_so(start_sidecar, scripted_provider):
    """An error event in the app's dialect, then a broken connection: no SDK takes the fragment for
    the whole.
    """
    sidecar = await start_sidecar(
        sidecar_config(scripted_provider.url, drain={"quiet_s": 0, "grace_s": 0.2})
    )
    scripted_provider.script.next("hang-stream after=1")
    reader, writer = await _started_stream(sidecar)
    sidecar.process.send_signal(signal.SIGTERM)
    rest = await reader.read()
    writer.close()

    assert b"stream_incomplete" in rest
    assert b"[DONE]" not in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert 0 == await _exit_code(sidecar)


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
    sidecar = await start_sidecar(
        sidecar_config(scripted_provider.url, drain={"quiet_s": 0, "grace_s": 4.5})
    )
    hold = asyncio.Event()
    scripted_provider.script.next(Fault(hold=hold, hold_after_events=1))
    reader, writer = await _started_stream(sidecar)
    sidecar.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        while (
            reply := await exchange(sidecar.data_port, json_request("/v1/chat/completions", CHAT))
        ).status == 200:
            await asyncio.sleep(0.01)  # sleep: the signal arrives in the kernel's time
    hold.set()
    await reader.readuntil(b"0\r\n\r\n")
    writer.close()

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

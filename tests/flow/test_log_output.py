"""What a sidecar writes of itself, and what becomes of it where nothing reads it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import yaml

from tests.support.net import exchange, raw_request
from tests.support.sidecar_process import REPOSITORY, SidecarProcess, sidecar_config

BODY = json.dumps({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]})


def full_pipe():
    """A pipe that takes no byte more: its reading end, and its writing end."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while os.write(write, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(write, True)
    return read, write


async def _answers(port):
    try:
        return (await exchange(port, raw_request("GET", "/readyz"))).status == 200
    except OSError:
        return False


async def test_calls_go_on_where_nothing_reads_the_output(tmp_path, scripted_provider):
    """Stdout and stderr are full pipes, as behind a log driver that stalls; SIGTERM ends the
    process all the same.
    """
    config = sidecar_config(scripted_provider.url, model_aliases={"a": {"target": "openai/gpt-4o"}})
    config["tracing"] = {"span_attributes": {}}  # a warning at the start
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    read, write = full_pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "run", "--config", str(file)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=write,
    )
    os.close(write)
    try:
        async with asyncio.timeout(30):
            while not await _answers(config["admin"]["port"]):
                await asyncio.sleep(0.02)  # sleep: a process in whose output nothing can be read
            port = config["listeners"][0]["port"]
            request = raw_request("POST", "/v1/chat/completions", BODY.encode())
            statuses = [(await exchange(port, request)).status for _ in range(5)]
            process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.wait, 15)
    finally:
        process.kill()
        process.wait()
        os.close(read)

    assert ([200] * 5, 0) == (statuses, code)


async def test_the_first_line_says_what_started(tmp_path, scripted_provider):
    """Versions, config, ports, models, routes, router and store; no key."""
    sidecar = SidecarProcess(sidecar_config(scripted_provider.url), tmp_path)
    await sidecar.wait_ready()
    await sidecar.terminate()
    lines = [json.loads(line) for line in sidecar.log().splitlines()]
    ready = next(line for line in lines if line.get("event") == "ready")

    assert str(sidecar.config_path) == ready["config"]
    assert (sidecar.data_port, sidecar.admin_port) == (ready["data_port"], ready["admin_port"])
    assert [each["model"] for each in sidecar.config["model_providers"]] == ready["models"]
    assert ([], None, "memory", 12) == (
        *(ready["routes"], ready["router"], ready["store"]),
        len(ready["config_hash"]),
    )
    assert {"version", "python", "loop", "compiled", "listener_path"} <= ready.keys()
    assert "draining" == lines[-2]["event"]
    assert lines[-1]["message"].startswith("drained after ")
    assert "sk-" not in sidecar.log()


async def test_the_form_of_a_line_is_the_configs(tmp_path, scripted_provider):
    """And so is the least severe level that is written."""
    config = sidecar_config(scripted_provider.url, logging={"format": "logfmt"})
    quiet = sidecar_config(scripted_provider.url, logging={"level": "error"})
    sidecars = [SidecarProcess(each, tmp_path) for each in (config, quiet)]
    for sidecar in sidecars:
        await sidecar.wait_ready()
    for sidecar in sidecars:
        await sidecar.terminate()

    assert all(line.startswith("time=") for line in sidecars[0].log().splitlines())
    assert (True, "") == ("event=ready" in sidecars[0].log(), sidecars[1].log())

"""The access log of a real sidecar: a line for each kind of call, which calls have one, and what is
never in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import yaml

from sidecar.domain.ids import shown_hash
from sidecar.telemetry.call_record import CallRecord
from sidecar.telemetry.log_writer import QUEUED_LINES
from tests.support.faults import Fault
from tests.support.net import exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import REPOSITORY, SidecarProcess, sidecar_config

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
MARKS = {
    "session": "marked-session",
    "tenant": "marked-tenant",
    "agent": "marked-agent",
    "prompt": "marked prompt",
    "key": "sk-marked-key",
    "query": "marked-query",
}
FIELDS = list(CallRecord.__struct_fields__)
LIMIT_S = 30.0


def _config(url: str, **changes: Any) -> dict[str, Any]:
    provider = {"access_key": MARKS["key"], "base_url": url}
    return sidecar_config(
        url,
        model_providers=[
            {"model": GPT, "fallbacks": [MINI], "default": True, **provider},
            {"model": MINI, **provider},
        ],
        model_aliases={},
        passthrough=[],
        routing={
            "session_cache": {"tenant_header": "x-tenant"},
            "agent_headers": ["x-agent"],
        },
        **{"access_log": {"mode": "all"}, **changes},
    )


def _headers(number: int = 0) -> dict[str, str]:
    return {
        "x-model-affinity": f"{MARKS['session']}-{number}",
        "x-tenant": MARKS["tenant"],
        "x-agent": MARKS["agent"],
        "x-request-id": f"req-{number}",
    }


def _body(model: str = GPT, text: str = "", **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": f"{MARKS['prompt']} {text}"}],
        **more,
    }


async def _ask(sidecar: SidecarProcess, body: dict[str, Any], number: int = 0) -> int:
    path = f"/v1/chat/completions?key={MARKS['query']}"
    reply = await exchange(sidecar.data_port, json_request(path, body, _headers(number)))
    return reply.status


async def _started(config: dict[str, Any], work: Any) -> SidecarProcess:
    sidecar = SidecarProcess(config, work)
    await sidecar.wait_ready()
    return sidecar


def _lines(sidecar: SidecarProcess) -> dict[str, dict[str, Any]]:
    """The lines of stdout by their calls' request ids."""
    lines = [json.loads(line) for line in sidecar.output().splitlines()]
    return {line["request_id"]: line for line in lines}


@pytest.fixture
async def sidecar(tmp_path, scripted_provider: ScriptedProvider):
    """One that writes all calls."""
    process = await _started(_config(scripted_provider.url), tmp_path)
    yield process
    await process.terminate()


async def test_each_kind_of_call_has_a_line_with_every_field(sidecar, scripted_provider):
    """Served, streamed, failed over, refused by the provider, refused by the sidecar, no call at
    all, and cancelled. No mark of an app, a key or a query is in any of them.
    """
    assert 200 == await _ask(sidecar, _body(), 1)
    assert 200 == await _ask(sidecar, _body(), 2)
    assert 200 == await _ask(sidecar, _body(stream=True), 3)
    scripted_provider.script.next("429", model="gpt-4o")
    assert 200 == await _ask(sidecar, _body(), 4)
    assert 404 == await _ask(sidecar, _body("no/such-model"), 5)
    no_call = raw_request(
        "GET", f"/v9/{'x' * 300}?k={MARKS['query']}", headers={"x-request-id": "req-6"}
    )
    assert 404 == (await exchange(sidecar.data_port, no_call)).status
    assert 0 == await sidecar.terminate()

    lines = _lines(sidecar)
    assert [f"req-{number}" for number in range(1, 7)] == sorted(lines)
    assert all(list(line) == FIELDS[:-1] for line in lines.values())
    assert [
        ("ok", 1),
        ("ok", 1),
        ("ok", 1),
        ("ok", 2),
        ("client_error", 0),
        ("client_error", 0),
    ] == [(line["outcome"], line["attempts"]) for _, line in sorted(lines.items())]
    served, streamed, moved = lines["req-1"], lines["req-3"], lines["req-4"]
    assert (GPT, GPT, True) == (
        served["routed_model"],
        served["model"],
        served["output_tokens"] > 0,
    )
    assert (
        shown_hash("marked-session-1"),
        shown_hash(MARKS["tenant"]),
        shown_hash(MARKS["agent"]),
    ) == (
        served["session"],
        served["tenant"],
        served["agent"],
    )
    assert (True, True) == (streamed["streamed"], streamed["first_byte_ms"] > 0)
    assert (GPT, MINI, True) == (moved["routed_model"], moved["model"], bool(moved["cause"]))
    assert ("NR", "model_not_found") == (lines["req-5"]["flags"], lines["req-5"]["error"])
    assert [] == [mark for mark in MARKS.values() if mark in sidecar.output()]


async def test_calls_that_end_badly_have_a_line(sidecar, scripted_provider):
    """A stream that breaks off, an app that leaves, a provider's refusal, and one that is gone."""
    scripted_provider.script.next("cut-stream after=2")
    await exchange(
        sidecar.data_port, json_request("/v1/chat/completions", _body(stream=True), _headers(1))
    )
    scripted_provider.script.next("hang")
    _, writer = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    writer.write(json_request("/v1/chat/completions", _body(), _headers(2)))
    await scripted_provider.wait_for_requests(2)
    writer.close()
    scripted_provider.script.next("400 code=context_length_exceeded", times=2)
    assert 400 == await _ask(sidecar, _body(), 3)
    await scripted_provider.aclose()
    assert 503 == await _ask(sidecar, _body(), 4)
    assert 0 == await sidecar.terminate()

    lines = _lines(sidecar)
    broken, left, too_long, gone = (lines[f"req-{number}"] for number in range(1, 5))
    assert ("incomplete", 200, "stream_incomplete") == (
        broken["outcome"],
        broken["status"],
        broken["error"],
    )
    assert "SX" in broken["flags"]
    assert ("cancelled", 0, "DC") == (left["outcome"], left["status"], left["flags"].split(",")[-1])
    assert ("client_error", "too_long", 2) == (
        too_long["outcome"],
        too_long["error"],
        too_long["attempts"],
    )
    assert ("upstream_error", "upstream_connect_failed", "connection refused") == (
        gone["outcome"],
        gone["error"],
        gone["cause"],
    )
    assert {"UF", "URX"} <= set(gone["flags"].split(","))
    assert [] == [mark for mark in MARKS.values() if mark in sidecar.output()]


HOSTILE = 'a\nb\r\n{"forged":1}\u2028\x1b[2J' + "x" * 5000


async def test_hostile_names_stay_inside_one_line(sidecar, scripted_provider):
    """A model's name that ends a line and moves a terminal's cursor."""
    assert 404 == await _ask(sidecar, _body(HOSTILE[:200]), 1)
    path = (
        b"GET /v1/\xff\x1b%0a" + b"y" * 900 + b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    await exchange(sidecar.data_port, path)
    scripted_provider.script.next(
        Fault(body=json.dumps({"model": HOSTILE, "choices": []}).encode())
    )
    await _ask(sidecar, _body(), 3)
    assert 0 == await sidecar.terminate()

    text = sidecar.output()
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
    assert all(len(line) < 4000 for line in text.splitlines())
    assert [] == [line for line in text.splitlines() if "forged" in json.loads(line)]
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mode": "all", "sample": 0}, ["req-1", "req-2"]),
        ({"mode": "errors", "sample": 0}, ["req-2"]),
        ({"mode": "errors", "sample": 1}, ["req-1", "req-2"]),
        ({"mode": "off", "sample": 1}, []),
    ],
)
async def test_mode_and_sample_say_which_calls_have_a_line(
    tmp_path, scripted_provider, settings, expected
):
    """One that is served, and one that is not."""
    sidecar = await _started(_config(scripted_provider.url, access_log=settings), tmp_path)
    assert 200 == await _ask(sidecar, _body(), 1)
    assert 404 == await _ask(sidecar, _body("no/such-model"), 2)
    assert 0 == await sidecar.terminate()

    assert expected == sorted(_lines(sidecar))


def _full_pipe() -> tuple[int, int]:
    """A pipe that takes no byte more: its reading end, and its writing end."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while os.write(write, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(write, True)
    return read, write


async def _dropped(port: int, stream: str) -> float:
    page = await exchange(port, raw_request("GET", "/metrics"))
    name = f'plano_sidecar_log_lines_dropped_total{{stream="{stream}"}} '
    return next(
        float(line.removeprefix(name))
        for line in page.body.decode().splitlines()
        if line.startswith(name)
    )


async def test_a_stalled_stdout_delays_no_call_and_its_lines_are_counted(
    tmp_path, scripted_provider
):
    """More lines than can wait are dropped; SIGTERM ends the process all the same."""
    config = _config(scripted_provider.url)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    read, write = _full_pipe()
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "run", "--config", str(file)],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=stderr,
        )
    os.close(write)
    port, admin_port = config["listeners"][0]["port"], config["admin"]["port"]
    refused = raw_request("GET", "/v9/nothing")
    try:
        async with asyncio.timeout(LIMIT_S):
            while not await _is_ready(admin_port):
                await asyncio.sleep(0.02)  # sleep: nothing of its output can be read
            for _ in range(QUEUED_LINES + 100):  # each has a line
                assert 404 == (await exchange(port, refused)).status
            body = raw_request("POST", "/v1/chat/completions", json.dumps(_body()).encode())
            statuses = [(await exchange(port, body)).status for _ in range(5)]
            stdout, stderr_lines = [
                await _dropped(admin_port, name) for name in ("stdout", "stderr")
            ]
            process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.wait, 15)
    finally:
        process.kill()
        process.wait()
        os.close(read)

    assert ([200] * 5, 0, True, 0.0) == (statuses, code, stdout > 0, stderr_lines)


async def _is_ready(port: int) -> bool:
    try:
        return (await exchange(port, raw_request("GET", "/readyz"))).status == 200
    except OSError:
        return False

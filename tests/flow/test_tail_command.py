"""`plano-sidecar tail` beside a real sidecar, and the calls that an operator names there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sidecar.domain.ids import shown_hash
from tests.support.net import exchange, json_request, raw_request
from tests.support.sidecar_process import REPOSITORY, SidecarProcess, sidecar_config

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
SESSION, PROMPT = "marked-session", "marked prompt"
LIMIT_S = 30.0


@pytest.fixture
async def sidecar(tmp_path, scripted_provider):
    """One without an access log, in which operators may change things."""
    config = sidecar_config(
        scripted_provider.url,
        access_log={"mode": "off"},
        admin={"mutations": True},
    )
    process = SidecarProcess(config, tmp_path)
    await process.wait_ready()
    yield process
    await process.terminate()


async def _ask(sidecar: SidecarProcess, model: str, request_id: str, session: str = SESSION) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
    headers = {"x-request-id": request_id, "x-model-affinity": session}
    reply = await exchange(sidecar.data_port, json_request("/v1/chat/completions", body, headers))
    return reply.status


def _port(sidecar: SidecarProcess) -> int:
    """Of its operators' pages."""
    return int(sidecar.operator_address.rpartition(":")[2])


class _Tail:
    """The command, running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdout is not None
        self._out = process.stdout

    async def line(self) -> str:
        async with asyncio.timeout(LIMIT_S):
            return (await self._out.readline()).decode().rstrip("\n")


@contextlib.asynccontextmanager
async def _tail(sidecar: SidecarProcess, *arguments: str) -> AsyncIterator[_Tail]:
    """Run the command until the block ends; it follows once a call of its own has been seen."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "tail", "--admin", sidecar.operator_address),
        *arguments,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield _Tail(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _followed(sidecar: SidecarProcess, tail: _Tail, model: str = GPT) -> str:
    """Make calls until the command shows one."""

    async def calls() -> None:
        while True:
            await _ask(sidecar, model, "seen")
            await asyncio.sleep(0.05)  # sleep: the command starts meanwhile

    async with asyncio.TaskGroup() as group:
        making = group.create_task(calls())
        line = await tail.line()
        making.cancel()
    return line


async def test_calls_are_shown_as_they_end(sidecar):
    """In columns, without colour, since this is no terminal; and it ends with the sidecar."""
    async with _tail(sidecar) as tail:
        assert (await tail.line()).startswith("TIME         STATUS        MS")
        row = await _followed(sidecar, tail)
        assert 0 == await sidecar.terminate()
        async with asyncio.timeout(LIMIT_S):
            _, errors = await tail.process.communicate()

    assert (0, b"tail: the sidecar has ended\n") == (tail.process.returncode, errors)
    assert ("200", GPT, True) == (row.split()[1], row.split()[5], shown_hash(SESSION)[:8] in row)
    assert ("\x1b" in row, SESSION in row) == (False, False)


async def test_a_reader_chooses_calls_and_gets_json(sidecar):
    """By model, status and session; the whole record of each."""
    wishes = ("--json", "--model", MINI, "--status", "2xx", "--session", SESSION)
    async with _tail(sidecar, *wishes) as tail:
        await _ask(sidecar, GPT, "other")
        line = json.loads(await _followed(sidecar, tail, MINI))

    assert (1, MINI, 200, shown_hash(SESSION)) == (
        line["schema"],
        line["model"],
        line["status"],
        line["session"],
    )
    assert PROMPT not in json.dumps(line)


async def test_without_a_sidecar_the_command_says_so(sidecar):
    """In one line, with exit code 1."""
    await sidecar.terminate()
    async with _tail(sidecar) as tail:
        async with asyncio.timeout(LIMIT_S):
            _, errors = await tail.process.communicate()

    assert (1, 1) == (tail.process.returncode, len(errors.splitlines()))
    assert sidecar.operator_address in errors.decode()


async def _name(sidecar: SidecarProcess, debug: dict[str, Any] | None) -> list[dict[str, Any]]:
    request = json_request("/logging", {"debug": debug})
    reply = await exchange(_port(sidecar), request)
    named: list[dict[str, Any]] = json.loads(reply.body)["debug"]
    return named


async def test_a_named_call_is_written_whole_and_no_other(sidecar, scripted_provider):
    """Although the access log is off: by its request id, or its session, whose own name is not
    kept.
    """
    await _ask(sidecar, GPT, "before")
    named = await _name(sidecar, {"request_id": "r-named", "seconds": 60})
    named = await _name(sidecar, {"session": SESSION})
    assert ["r-named", shown_hash(SESSION)] == [each["name"] for each in named]
    scripted_provider.script.next("503", model="gpt-4o")
    await _ask(sidecar, GPT, "r-named", "another-session")
    await _ask(sidecar, MINI, "of-the-session")
    await _ask(sidecar, MINI, "of-another", "another-session")
    assert [] == await _name(sidecar, None)
    await _ask(sidecar, MINI, "afterwards")
    assert 0 == await sidecar.terminate()

    lines = {line["request_id"]: line for line in map(json.loads, sidecar.output().splitlines())}
    assert {"r-named", "of-the-session"} == lines.keys()
    (attempt,) = lines["r-named"]["debug"]["attempts"]
    assert (503, "busy", "status 503") == (
        attempt["status"],
        attempt["reason"],
        attempt["cause"],
    )
    assert SESSION not in sidecar.output() + sidecar.log()


async def test_the_page_says_what_it_cannot_do(sidecar):
    """A wish that it does not know."""
    reply = await exchange(_port(sidecar), raw_request("GET", "/tail?tenant=acme"))

    assert (400, True) == (reply.status, b"tenant" in reply.body)

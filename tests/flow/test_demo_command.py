"""The `demo` command, as a stranger runs it: no key, no network, no config."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from sidecar.demo.scenario import STEPS
from tests.support.net import exchange, raw_request
from tests.support.redis_server import binary
from tests.support.sidecar_process import REPOSITORY

LIMIT_S = 60.0


@contextlib.asynccontextmanager
async def demo(
    *arguments: str, path: str | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process, with no provider key in its environment."""
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")
    }
    if path is not None:
        environment["PATH"] = path
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "demo", *arguments,
        cwd=REPOSITORY, env=environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_once() -> None:
    """`demo --once` prints a row for each call, all as expected, says nothing on stderr and ends
    with 0.
    """
    async with demo("--once") as process, asyncio.timeout(LIMIT_S):
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    text = out.decode()
    assert [int(n) for n in re.findall(r"^ ?(\d+)  [AB]  ", text, re.MULTILINE)] == list(
        range(1, len(STEPS) + 1)
    )
    assert "calls ended as expected" in text


def cells_of(text: str) -> list[list[str]]:
    """The table's rows as cells, without the two times, which no two runs share."""
    rows = re.findall(r"^ ?\d+  [AB]  .*$", text, re.MULTILINE)
    return [
        re.split(r" {2,}", re.sub(r" +\d+\.\d ms +\d+\.\d ms", "", row.strip())) for row in rows
    ]


async def test_the_readmes_table_comes_from_a_run(tmp_path) -> None:
    """Every cell but the times is what the demo prints today, on a machine with Redis."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "redis-server").symlink_to(binary("7"))
    async with demo("--once", path=str(programs)) as process, asyncio.timeout(LIMIT_S):
        out, _ = await process.communicate()
    readme = (REPOSITORY / "README.md").read_text()
    shown = readme.partition("<!-- demo-table -->")[2].partition("<!-- /demo-table -->")[0]

    assert len(STEPS) == len(cells_of(shown))
    assert cells_of(out.decode()) == cells_of(shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stays_up_for_curl(number: signal.Signals) -> None:
    """`demo` prints commands that work as they stand, and ends with 0 on a signal."""
    async with demo() as process, asyncio.timeout(LIMIT_S):
        assert process.stdout is not None
        commands: list[list[str]] = []
        while len(commands) < 4:
            line = (await process.stdout.readline()).decode()
            assert line, "the demo ended before it printed its commands"
            if line.startswith("  curl "):
                commands.append(shlex.split(line))
        chat, stream, failing, metrics = [await run_curl(command) for command in commands]
        process.send_signal(number)
        await process.communicate()
    assert b"Hello there" in chat
    assert b"event: message_stop" in stream
    assert b"x-plano-error: model_not_found" in failing
    assert b"# TYPE" in metrics
    assert process.returncode == 0


async def run_curl(command: list[str]) -> bytes:
    """What curl would print for these arguments: the body, headers before it with ``-i``."""
    url = next(word for word in command if word.startswith("http://"))
    port, path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", url).groups()  # type: ignore[union-attr]
    body = command[command.index("-d") + 1].encode() if "-d" in command else b""
    reply = await exchange(int(port), raw_request("POST" if body else "GET", path, body))
    return "".join(f"{name}: {value}\n" for name, value in reply.headers).encode() + reply.body


@pytest.mark.parametrize("has_redis", [True, False])
async def test_the_two_sidecars_share_their_pins_where_there_is_a_redis(has_redis, tmp_path):
    """It says which it is, and a session that began at A is pinned at B only then; no server is
    left behind.
    """
    programs = tmp_path / "bin"
    programs.mkdir()
    if has_redis:
        (programs / "redis-server").symlink_to(binary("7"))
    async with demo("--once", path=str(programs)) as process:
        async with asyncio.timeout(LIMIT_S):
            out, errors = await process.communicate()
    second = next(line for line in out.decode().splitlines() if "chat, streamed" in line)
    place = next(line for line in out.decode().splitlines() if line.startswith("  pins"))

    assert (0, b"") == (process.returncode, errors)
    assert ("pinned" if has_redis else "routed") in second
    assert ("redis://127.0.0.1" in place, "memory" in place) == (has_redis, not has_redis)
    if has_redis:
        port = int(place.rpartition(":")[2].partition("/")[0])
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

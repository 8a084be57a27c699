"""The sidecar as a real process: `python -m sidecar run --config FILE` on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.net import exchange, free_port, raw_request

REPOSITORY = Path(__file__).resolve().parents[2]
READY_LIMIT_S = 60.0
"""More than a start ever takes, on a machine that has much else to do."""
EXIT_LIMIT_S = 15.0


def sidecar_config(provider_url: str, **overrides: Any) -> dict[str, Any]:
    """A config whose providers are all one demo provider, on ports that were free a moment ago.

    Args: ``overrides`` replace top-level keys; where both are mappings, they are merged key by key.
    """
    config: dict[str, Any] = {
        "version": "v0.4.0",
        "listeners": [
            {"type": "model", "name": "llm", "address": "127.0.0.1", "port": free_port()}
        ],
        "admin": {
            "address": "127.0.0.1",
            "port": free_port(),
            "operator_address": f"127.0.0.1:{free_port()}",
        },
        "model_providers": [
            {
                "model": "openai/gpt-4o-mini",
                "access_key": "sk-demo",
                "base_url": provider_url,
                "default": True,
            },
            {"model": "openai/gpt-4o", "access_key": "sk-demo", "base_url": provider_url},
            {
                "model": "openai/text-embedding-3-small",
                "access_key": "sk-demo",
                "base_url": provider_url,
            },
            {
                "model": "anthropic/claude-demo",
                "access_key": "sk-ant-demo",
                "base_url": provider_url,
            },
        ],
        "model_aliases": {"fast": {"target": "openai/gpt-4o-mini"}},
        "passthrough": [{"path": "/v1/files", "provider": "openai"}],
        "drain": {"quiet_s": 0, "grace_s": 10},
    }
    for key, value in overrides.items():
        held = config.get(key)
        config[key] = (
            {**held, **value} if isinstance(held, dict) and isinstance(value, dict) else value
        )
    return config


class SidecarProcess:
    """A running sidecar.

    Args: ``arguments`` of `run`, behind its config.
    """

    def __init__(self, config: dict[str, Any], work: Path, arguments: Sequence[str] = ()) -> None:
        self.config = config
        self.data_port: int = config["listeners"][0]["port"]
        self.admin_port: int = config["admin"]["port"]
        self.data_url = f"http://127.0.0.1:{self.data_port}"
        self.admin_url = f"http://127.0.0.1:{self.admin_port}"
        self.operator_address: str = config["admin"].get("operator_address", "")
        self.config_path = work / f"sidecar-{self.data_port}.yaml"
        self.log_path = work / f"sidecar-{self.data_port}.log"
        self.output_path = work / f"sidecar-{self.data_port}.out"
        self.config_path.write_text(json.dumps(config, indent=1))  # JSON is YAML
        command = [sys.executable, "-m", "sidecar", "run", "--config", str(self.config_path)]
        command += arguments
        with self.log_path.open("wb") as log, self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                start_new_session=True,
            )

    def log(self) -> str:
        """All that it wrote to stderr so far."""
        return self.log_path.read_text(errors="replace")

    def output(self) -> str:
        """All that it wrote to stdout so far: the access log."""
        return self.output_path.read_text(errors="replace")

    async def wait_ready(self) -> None:
        """Poll `/readyz` until it says yes. Raises: AssertionError with the log if the process ends
        or takes too long.
        """
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while not await self._is_ready():
                    code = self.process.poll()
                    assert code is None, (
                        f"the sidecar ended with {code} before it was ready:\n{self.log()}"
                    )
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"the sidecar was not ready within {READY_LIMIT_S} s:\n{self.log()}"
            ) from None

    async def _is_ready(self) -> bool:
        try:
            return (await exchange(self.admin_port, raw_request("GET", "/readyz"))).status == 200
        except OSError:
            return False

    async def until_draining(self) -> None:
        """Wait until a signal that was sent has begun the drain."""
        async with asyncio.timeout(READY_LIMIT_S):
            while await self._is_ready():
                await asyncio.sleep(0.01)  # sleep: the signal arrives in the kernel's time

    async def terminate(self) -> int:
        """Send SIGTERM and wait. Returns: the exit code. Raises: AssertionError if it stays, or
        leaves processes behind.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(self.process.wait, EXIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(
                f"the sidecar did not end within {EXIT_LIMIT_S} s:\n{self.log()}"
            ) from None
        assert not _is_group_alive(self.process.pid), "the sidecar left processes behind"
        return code

    def _environment(self) -> dict[str, str]:
        """Return the variables of this process, but for the one that has branches counted: that
        doubles the time of the start.
        """
        return {key: it for key, it in os.environ.items() if key != "COVERAGE_PROCESS_CONFIG"}


class CountedSidecarProcess(SidecarProcess):
    """One whose branches are counted where those of the tests are."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)


def _first_free_descriptor(pid: int) -> int:
    """The number that the next file of a process would have."""
    used = {int(each) for each in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in itertools.count() if number not in used)


@contextlib.contextmanager
def no_descriptor_left(sidecar: SidecarProcess) -> Iterator[None]:
    """The sidecar can open nothing meanwhile."""
    pid = sidecar.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_first_free_descriptor(pid), hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True

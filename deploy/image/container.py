"""Runs an image as a kubelet does under the Pod Security Standard `restricted`: as PID 1, as the
image's user, without privileges, on a read-only root, within limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from deploy.image.build import Image
from deploy.image.cgroup import Cgroup, limited
from deploy.image.namespace import Entry, command_line
from tests.support.net import exchange, raw_request

CONFIG_FOLDER: Final = "/etc/plano-sidecar"
_READY_LIMIT_S: Final = 60.0
_END_LIMIT_S: Final = 40.0
_POLL_S: Final = 0.002


class Limits(NamedTuple):
    """What the chart grants."""

    memory_mib: int
    cpu_milli: int
    """Requested: a share in the CPU when others want it too, no limit."""


class NotReady(Exception):
    """The sidecar ended, or was not ready in time; the message has its log."""


class Container:
    """A running one."""

    def __init__(self, process: Process, cgroup: Cgroup, log: Path, marker: int) -> None:
        self.cgroup = cgroup
        self._process = process
        self._log = log
        self._marker = marker
        self.pid = 0
        """Of the sidecar, as this machine sees it."""
        self.start_cpu_s = 0.0
        """The CPU time of its main thread from its exec until it was ready."""

    async def until_ready(self, admin_port: int) -> float:
        """Wait for the first 200 of `/readyz`. Returns: the time since its exec, in seconds.

        Raises: NotReady.
        """
        await asyncio.to_thread(os.read, self._marker, 1)
        begun_s = time.perf_counter()
        self.pid = _child_of(self._process.pid)
        begun_cpu_s = _cpu_s(self.pid)
        while time.perf_counter() - begun_s < _READY_LIMIT_S and self._process.returncode is None:
            with contextlib.suppress(OSError):
                if (await exchange(admin_port, raw_request("GET", "/readyz"))).status == 200:
                    ready_s = time.perf_counter() - begun_s
                    self.start_cpu_s = _cpu_s(self.pid) - begun_cpu_s
                    return ready_s
            await asyncio.sleep(_POLL_S)
        raise NotReady(self.log())

    def rss_mib(self) -> float:
        """The resident memory of the process."""
        return self._status("VmRSS") / 1024

    def peak_mib(self) -> float:
        """The highest resident memory that the process had."""
        return self._status("VmHWM") / 1024

    def status_line(self, name: str) -> str:
        """A line of its `/proc/PID/status`, without its name."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        return ""

    def log(self) -> str:
        """All that it wrote."""
        return self._log.read_text(errors="replace")

    async def stop(self) -> int:
        """Send SIGTERM to PID 1. Returns: its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(_END_LIMIT_S):
            return await self._process.wait()

    def _status(self, name: str) -> int:
        return int(self.status_line(name).split()[0])


def _child_of(pid: int) -> int:
    """Return the process that ``unshare`` has become the parent of; 0 where it has ended."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text() or 0)


def _cpu_s(pid: int) -> float:
    """Return the CPU time that a process' main thread has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextlib.asynccontextmanager
async def running(
    image: Image, limits: Limits, config: Path, environment: Mapping[str, str]
) -> AsyncIterator[Container]:
    """A container while the context lasts, ended by force where `Container.stop` has not ended it.

    Args: the folder of the file ``config`` is mounted where the image looks for its config.
    """
    (image.root / CONFIG_FOLDER.lstrip("/")).mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    log = config.with_suffix(".log")
    with limited(limits.memory_mib << 20, limits.cpu_milli) as cgroup:
        entry = Entry(
            str(image.root),
            [*image.entrypoint, *image.command],
            {**image.environment, **environment},
            folder=image.folder,
            user=image.user,
            read_only=True,
            binds={CONFIG_FOLDER: str(config.parent)},
            cgroups=[str(folder) for folder in cgroup.folders],
            marker=writing,
        )
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command_line(entry),
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[writing],
                start_new_session=True,
            )
        os.close(writing)
        try:
            yield Container(process, cgroup, log, reading)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            os.close(reading)

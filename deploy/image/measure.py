"""Takes the figures: start to ready, memory idle and under load, the end, the size."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from deploy.image.build import Image
from deploy.image.container import Container, Limits, running
from deploy.image.scenes import (
    Scene,
    demo_provider,
    redis_server,
    scene,
    streams,
    write_config,
)

_SETTLE_S: Final = 1.5
"""For what begins after readiness: the connection to Redis, the first look at the loop."""
_SAMPLE_S: Final = 0.05
_FORBIDDEN: Final = (
    "bin/sh",
    "bin/bash",
    "bin/dash",
    "usr/bin/pip*",
    "usr/bin/apt*",
    "usr/bin/gcc*",
)
_PACKAGES: Final = ("pip", "setuptools", "mypy", "mypyc", "hatchling")


class Figures(NamedTuple):
    """What was measured of one scene; memory in MiB."""

    name: str
    ready_s: list[float]
    cpu_s: float
    """The median of the CPU time until readiness: it depends less on what else runs here."""
    idle: float
    idle_set: float
    loaded: float
    loaded_set: float
    after: float
    served: int
    exit_code: int
    cgroup: str
    facts: dict[str, str]
    """What the kernel says of the process: its user, privileges and process id."""

    def lines(self) -> list[str]:
        """For a person."""
        times = sorted(round(each * 1000) for each in self.ready_s)
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        ready = f"{statistics.median(times):.0f} ms (median of {len(times)}, up to {times[-1]})"
        return [
            f"{self.name}: ready in {ready}, {self.cpu_s * 1000:.0f} ms of CPU",
            f"  RSS: {self.idle:.1f} idle, {self.loaded:.1f} at most, {self.after:.1f} after",
            f"  working set: {self.idle_set:.1f} idle, {self.loaded_set:.1f} at most",
            f"  {self.served} streams whole; exit code {self.exit_code}; {facts}",
            f"  {self.cgroup}",
        ]


class Measuring(NamedTuple):
    """How to measure."""

    limits: Limits
    runs: int
    """Starts of each scene, of which the median counts."""
    streams: int = 200
    """At a time, each of a session of its own."""
    scenes: tuple[str, ...] = ("memory", "redis", "redis and tracing")


async def measure(
    image: Image, how: Measuring, work: Path, tell: Callable[[str], None]
) -> list[Figures]:
    """Measure the image in each scene; say each one's figures.

    Raises: NotReady; ProgramMissing where there is no Redis.
    """
    figures = []
    async with demo_provider() as provider, redis_server(work) as redis:
        for name in how.scenes:
            port = redis if "redis" in name else None
            one = scene(name, provider.url, port, is_traced="tracing" in name)
            figures.append(await _measure(one, image, how, work))
            for line in figures[-1].lines():
                tell(line)
    return figures


async def _measure(one: Scene, image: Image, how: Measuring, work: Path) -> Figures:
    config = write_config(one, work)
    ready_s, cpu_s = [], []
    for _ in range(how.runs - 1):
        async with running(image, how.limits, config, {}) as container:
            ready_s.append(await container.until_ready(one.admin_port))
            cpu_s.append(container.start_cpu_s)
            await container.stop()
    async with running(image, how.limits, config, {}) as container:
        ready_s.append(await container.until_ready(one.admin_port))
        cpu_s.append(container.start_cpu_s)
        await asyncio.sleep(_SETTLE_S)
        idle, idle_set = container.rss_mib(), container.cgroup.working_set_mib()
        facts = {
            "user": container.status_line("Uid").split()[0],
            "privileges": container.status_line("CapEff").lstrip("0") or "none",
            "PID": container.status_line("NSpid").split()[-1],
        }
        served, loaded_set = await _load(container, one.data_port, how.streams)
        peak = container.peak_mib()
        await asyncio.sleep(_SETTLE_S)
        after = container.rss_mib()
        code = await container.stop()
        words = container.cgroup.words
    return Figures(
        *(
            one.name,
            ready_s,
            statistics.median(cpu_s),
            idle,
            idle_set,
            peak,
            loaded_set,
            after,
            served,
            code,
            words,
            facts,
        )
    )


async def _load(container: Container, port: int, number: int) -> tuple[int, float]:
    """Return how many streams ended well, and the highest working set meanwhile."""
    highest = 0.0
    async with asyncio.TaskGroup() as group:
        load = group.create_task(streams(port, number))
        while not load.done():
            highest = max(highest, container.cgroup.working_set_mib())
            await asyncio.sleep(_SAMPLE_S)
    return load.result(), highest


def what_should_not_be_there(image: Image) -> list[str]:
    """Return the shells, package managers and build tools that the image holds: none is right."""
    found = [path for pattern in _FORBIDDEN for path in image.root.glob(pattern)]
    found += [path for name in _PACKAGES for path in image.root.glob(f"app/lib/*/*/{name}")]
    return [str(path.relative_to(image.root)) for path in found]


def uncompiled(image: Image) -> list[str]:
    """Return the modules without bytecode, which each start would compile anew: none is right."""
    return [
        str(path.relative_to(image.root))
        for folder in (image.root / "app/lib", *image.root.glob("usr/lib/python3.*"))
        for path in folder.rglob("*.py")
        if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
    ]


def size_mib(folder: Path) -> float:
    """Return how much the files of a folder hold, links counted as nothing."""
    files = (path.lstat() for path in folder.rglob("*") if not path.is_symlink())
    return sum(each.st_size for each in files) / (1 << 20)

"""Fixtures: scripted providers and sidecar processes.

``shared_`` ones live for a module, whose tests then run in one loop: ``pytestmark =
pytest.mark.asyncio(loop_scope="module")``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.support.failing import failing_config
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import (
    CountedSidecarProcess,
    SidecarProcess,
    sidecar_config,
)

StartSidecar = Callable[[dict[str, Any]], Awaitable[SidecarProcess]]


@pytest_asyncio.fixture
async def scripted_provider() -> AsyncIterator[ScriptedProvider]:
    """A provider of this test alone."""
    async with ScriptedProvider() as provider:
        yield provider


@pytest_asyncio.fixture
async def start_sidecar(tmp_path: Any) -> AsyncIterator[StartSidecar]:
    """Start sidecar processes from configs; each must end with exit code 0 on SIGTERM."""
    started: list[SidecarProcess] = []

    async def start(config: dict[str, Any]) -> SidecarProcess:
        started.append(CountedSidecarProcess(config, tmp_path))
        await started[-1].wait_ready()
        return started[-1]

    yield start
    await _end(started)


@pytest_asyncio.fixture
async def sidecar(
    scripted_provider: ScriptedProvider, start_sidecar: StartSidecar
) -> SidecarProcess:
    """A sidecar process of this test alone, in front of `scripted_provider`."""
    return await start_sidecar(sidecar_config(scripted_provider.url))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_provider() -> AsyncIterator[ScriptedProvider]:
    """A provider for all tests of a module."""
    async with ScriptedProvider(record=256) as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_sidecar(
    shared_provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SidecarProcess]:
    """A sidecar process for all tests of a module, in front of `shared_provider`."""
    async for process in _one_sidecar(sidecar_config(shared_provider.url), tmp_path_factory):
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def failing_sidecar(
    shared_provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SidecarProcess]:
    """A sidecar process for all tests of a module, whose providers fail in every way: see
    `tests.support.failing`.
    """
    async for process in _one_sidecar(failing_config(shared_provider.url), tmp_path_factory):
        yield process


async def _one_sidecar(
    config: dict[str, Any], paths: pytest.TempPathFactory
) -> AsyncIterator[SidecarProcess]:
    process = SidecarProcess(config, paths.mktemp("sidecar"))
    try:
        await process.wait_ready()
    except AssertionError:
        await process.terminate()
        raise
    yield process
    await _end([process])


async def _end(started: list[SidecarProcess]) -> None:
    codes = [(await process.terminate(), process.log()) for process in started]
    assert [code for code, _ in codes] == [0] * len(started), codes
